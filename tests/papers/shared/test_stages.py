"""Which epoch was a stage's best."""

from nnunetv2_strokesynth.papers.shared.stages import epochs_since_best, kept_is_best


def test_best_scores_and_patience():
    assert kept_is_best([0.2]) and kept_is_best([0.2, 0.1, 0.2]) and not kept_is_best([0.2, 0.1])
    assert kept_is_best([float("nan")]) and not kept_is_best([0.1, float("nan")])
    assert [epochs_since_best(s) for s in ([1.0], [1, 2], [2, 1, 2], [2, 1, 3, 0, 0])] == [
        0, 0, 2, 2,
    ]  # fmt: skip
    assert epochs_since_best([float("nan"), 0.0, float("nan")]) == 1
