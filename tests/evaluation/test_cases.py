from __future__ import annotations

from pathlib import Path

import pytest

from nnunetv2_strokesynth.evaluation.cases import (
    case_files,
    gather,
    label_beside,
)


def _touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_case_files_skips_what_is_no_case(tmp_path):
    _touch(tmp_path, "b.nii.gz", "a.nii", "dataset.json", "b.npz", "._b.nii.gz", ".tmp-1-c.nii.gz")
    assert list(case_files(tmp_path)) == ["a", "b"]
    assert list(case_files(tmp_path, (".npz",))) == ["b"]


def test_case_with_two_files(tmp_path):
    with pytest.raises(ValueError, match="case a has two files"):
        case_files(_touch(tmp_path, "a.nii", "a.nii.gz"))


def test_folds_of_a_model_are_gathered(tmp_path):
    _touch(tmp_path / "fold_0" / "validation", "a.nii.gz", "b.nii.gz", "summary.json")
    _touch(tmp_path / "fold_3" / "validation", "c.nii.gz")
    _touch(tmp_path / "fold_2")  # training has not reached its validation
    _touch(tmp_path / "fold_4" / "validation", "summary.json")
    _touch(tmp_path / "fold_all" / "validation", "a.nii.gz")  # its own training cases
    found = gather(tmp_path)
    assert found.folds == {"a": "0", "b": "0", "c": "3"}
    assert found.files["c"] == tmp_path / "fold_3" / "validation" / "c.nii.gz"
    assert found.missing_folds == ("1", "2", "4")


def test_more_than_five_folds(tmp_path):
    for fold in (0, 1, 2, 3, 4, 6, 10):
        _touch(tmp_path / f"fold_{fold}" / "validation", f"{fold}.nii.gz")
    assert gather(tmp_path).missing_folds == ("5", "7", "8", "9")


def test_the_papers_split_beside_the_five_folds_is_left_out(tmp_path):
    for fold, case_id in ((0, "a"), (1, "b"), (5, "a")):
        _touch(tmp_path / f"fold_{fold}" / "validation", f"{case_id}.nii.gz")
    assert gather(tmp_path).folds == {"a": "0", "b": "1"}
    assert gather(tmp_path, folds=[5]).folds == {"a": "5"}


def test_case_in_two_folds(tmp_path):
    for fold in (0, 1):
        _touch(tmp_path / f"fold_{fold}" / "validation", "a.nii.gz")
    with pytest.raises(ValueError, match="case a is in two folds.*fold_0.*fold_1"):
        gather(tmp_path)


def test_nothing_to_gather_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        gather(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="save_probabilities"):
        gather(_touch(tmp_path / "plain", "a.nii.gz"), (".npz",))
    _touch(tmp_path / "model" / "fold_0" / "validation", "a.nii.gz")
    with pytest.raises(FileNotFoundError, match="--val --npz"):
        gather(tmp_path / "model", (".npz",))


def test_label_beside_probabilities(tmp_path):
    _touch(tmp_path, "a.b.npz", "a.b.nii.gz", "c.npz")
    assert label_beside(tmp_path / "a.b.npz") == tmp_path / "a.b.nii.gz"
    with pytest.raises(FileNotFoundError, match="c.nii.gz"):
        label_beside(tmp_path / "c.npz")
