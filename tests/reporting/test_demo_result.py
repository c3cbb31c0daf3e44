"""Which scans the demo's picture shows."""

from nnunetv2_strokesynth.reporting.demo_result import MOST_ROWS, pick_by_rank


def test_all_scans_from_the_best_to_the_worst_where_there_are_few():
    assert pick_by_rank({"a": 0.2, "b": 0.9, "c": 0.9}) == ["b", "c", "a"]


def test_best_and_worst_are_among_the_picked():
    scores = {f"case_{i:02d}": i / 40 for i in range(40)}
    picked = pick_by_rank(scores)
    assert len(picked) == len(set(picked)) == MOST_ROWS
    assert (picked[0], picked[-1]) == ("case_39", "case_00")
    assert picked == sorted(picked, reverse=True)
