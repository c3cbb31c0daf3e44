"""Which reader may outline for which fold: none that has seen what the fold validates on."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunetv2_strokesynth.outlining.readers import held_out_scans, plan_readers


def folds_of(groups):
    """``splits_final.json`` of groups of case ids, one for each fold."""
    everyone = [case_id for group in groups for case_id in group]
    return [{"train": [c for c in everyone if c not in own], "val": list(own)} for own in groups]


def test_pairs_of_folds():
    splits = folds_of([["a", "b"], ["c"], ["d"], ["e"]])
    readers = plan_readers(splits, list("abcde"), {})
    wanted = [set("abcde") - {*one["val"], *two["val"]} for one, two in combinations(splits, 2)]
    assert {reader.learns_from for reader in readers.all} == {frozenset(own) for own in wanted}
    assert [len(own) for own in readers.of_fold.values()] == [3, 3, 3, 3]
    assert [reader.number for reader in readers.all] == list(range(6))


def test_fewer_folds_need_fewer_readers():
    splits = folds_of(["a", "b", "c", "d", "e"])
    readers = plan_readers(splits, list("abcde"), {}, folds=[3])
    assert len(readers.all) == 4 and [*readers.of_fold] == [3]


@pytest.mark.parametrize(("per_fold", "n_readers"), [(2, 5), (4, 10), (None, 10)])
def test_neighbouring_folds_share_readers(per_fold, n_readers):
    readers = plan_readers(
        folds_of(["a", "b", "c", "d", "e"]), list("abcde"), {}, per_fold=per_fold
    )
    assert len(readers.all) == n_readers
    assert {len(own) for own in readers.of_fold.values()} == {per_fold or 4}
    one_fold = plan_readers(
        folds_of(["a", "b", "c", "d", "e"]), list("abcde"), {}, folds=[4], per_fold=per_fold
    )
    assert len(one_fold.all) == (per_fold or 4)


def test_one_reader_has_nobody_to_agree_with():
    with pytest.raises(ValueError, match="--readers 1: expected at least 2"):
        plan_readers(folds_of(["a", "b", "c"]), list("abc"), {}, per_fold=1)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_reader_of_a_fold_has_seen_a_held_out_patient(data):
    """Any folds, any patients, outlines missing here and there, a split with test scans."""
    n_scans = data.draw(st.integers(6, 14))
    ids = [f"case_{number:03d}" for number in range(n_scans)]
    n_folds = data.draw(st.integers(2, 5))
    member = data.draw(st.lists(st.integers(0, n_folds - 1), min_size=n_scans, max_size=n_scans))
    patient = data.draw(st.lists(st.integers(0, n_scans), min_size=n_scans, max_size=n_scans))
    outlined = data.draw(st.lists(st.sampled_from(ids), unique=True, min_size=1))
    patients = dict(zip(ids, map(str, patient), strict=True))
    groups = [[c for c, own in zip(ids, member, strict=True) if own == k] for k in range(n_folds)]
    splits = folds_of(groups)
    splits.append({"train": ids[4:], "val": ids[:2], "test": ids[2:4]})
    folds = data.draw(st.none() | st.lists(st.integers(0, n_folds), min_size=1))
    per_fold = data.draw(st.none() | st.integers(2, 4))
    try:
        readers = plan_readers(splits, outlined, patients, folds=folds, per_fold=per_fold)
    except ValueError as error:
        assert "readers" in str(error)
        return
    for fold, own in readers.of_fold.items():
        held_out = {c for c in ids if c in outlined and c not in splits[fold]["train"]}
        held_out |= {*splits[fold]["val"], *splits[fold].get("test", ())}
        for reader in own:
            learned = {patients[case_id] for case_id in reader.learns_from}
            assert not learned & {patients[case_id] for case_id in held_out}
            assert reader.learns_from and reader.learns_from <= {*outlined}


def test_a_split_with_test_scans_is_no_fold_unless_it_is_named():
    splits = folds_of([["a", "b"], ["c", "d"], ["e", "f"]])
    splits.append({"train": ["c", "d", "e", "f"], "val": ["a"], "test": ["b"]})
    assert [*plan_readers(splits, list("abcdef"), {}).of_fold] == [0, 1, 2]
    named = plan_readers(splits, list("abcdef"), {}, folds=[3])
    assert held_out_scans(splits[3], list("abcdef")) == ["a", "b"]
    assert all(reader.learns_from.isdisjoint("ab") for reader in named.all)


def test_patients_on_both_sides_of_a_fold_are_refused():
    splits = folds_of(["a", "b", "c"])
    with pytest.raises(ValueError, match="scans of one patient are on both sides"):
        plan_readers(splits, list("abc"), {"a": "1", "b": "1", "c": "1"})


def test_two_folds_are_too_few():
    with pytest.raises(ValueError, match="--folds 3 or more"):
        plan_readers(folds_of(["ab", "cd"]), list("abcd"), {})


def test_a_fold_that_is_not_there():
    with pytest.raises(ValueError, match="--folds 7: the data set has the folds 0 to 2"):
        plan_readers(folds_of(["a", "b", "c"]), list("abc"), {}, folds=[7])
