"""A resumed training knows what its weights have learned from."""

import json

import pytest

from nnunetv2_strokesynth.trainers.trained_cases import RECORD, record_cases


def _record(folder):
    return json.loads((folder / RECORD).read_text())


def test_a_new_training_is_recorded(tmp_path):
    assert record_cases(tmp_path, ["b", "a"], ["c"], epoch=0) == []
    assert _record(tmp_path) == {"train": ["a", "b"], "val": ["c"], "earlier": []}
    assert record_cases(tmp_path, ["a"], ["b"], epoch=0) == []  # anew: nothing is remembered
    assert _record(tmp_path) == {"train": ["a"], "val": ["b"], "earlier": []}


def test_weights_do_not_forget_a_withdrawn_case_over_several_resumptions(tmp_path):
    record_cases(tmp_path, ["a", "b", "d"], ["c"], epoch=0)
    assert record_cases(tmp_path, ["a", "b", "d"], ["c"], epoch=3) == []
    (said,) = record_cases(tmp_path, ["a", "d"], ["c"], epoch=5)
    assert "epoch 5 has learned from 1 cases" in said and ": b." in said and "without --c" in said
    (said,) = record_cases(tmp_path, ["d"], ["c"], epoch=7)
    assert "learned from 2 cases" in said and ": a, b." in said
    assert _record(tmp_path) == {"train": ["d"], "val": ["c"], "earlier": ["a", "b"]}


def test_new_folds_do_not_validate_on_what_was_learned(tmp_path):
    """A withdrawal and a new conversion deal the cases to other folds."""
    record_cases(tmp_path, ["a", "b"], ["c", "d"], epoch=0)
    before = _record(tmp_path)
    with pytest.raises(ValueError, match=r"epoch 2 .* 1 cases .* validation, b: .*without --c"):
        record_cases(tmp_path, ["a", "c"], ["b", "d"], epoch=2)
    assert _record(tmp_path) == before


def test_fold_all_validates_on_what_it_learns(tmp_path):
    record_cases(tmp_path, ["a", "b"], ["a", "b"], epoch=0)
    (said,) = record_cases(tmp_path, ["a"], ["a"], epoch=1)
    assert ": b." in said


@pytest.mark.parametrize("content", [None, "torn", "{}", "[]"])
def test_a_training_without_a_record_says_so(tmp_path, content):
    if content is not None:
        (tmp_path / RECORD).write_text(content)
    (said,) = record_cases(tmp_path, ["a"], ["b"], epoch=4)
    assert "not recorded" in said
    assert _record(tmp_path)["train"] == ["a"]
