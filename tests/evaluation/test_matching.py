from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest

from nnunetv2_strokesynth.evaluation.cases import Gathered
from nnunetv2_strokesynth.evaluation.matching import (
    find_cases,
    match_cases,
    pair_images,
)

VALIDATION = {0: "ab", 1: "cd", 2: "e", 4: "fg"}  # fold 3 is not trained
SPLIT = [{"val": list(VALIDATION.get(fold, "hi"))} for fold in range(5)]
FOLDS = [fold for n in range(1, 5) for fold in combinations(VALIDATION, n)]


def _touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.fixture
def gt(tmp_path) -> Path:
    """True lesions of nine cases."""
    return _touch(tmp_path / "raw" / "labelsTr", *(f"{i}.nii.gz" for i in "abcdefghi"))


@pytest.fixture
def model(tmp_path) -> Path:
    """A model of four of the five folds."""
    folder = tmp_path / "results" / "Dataset018_X" / "model"
    for fold, cases in VALIDATION.items():
        _touch(folder / f"fold_{fold}" / "validation", *(f"{i}.nii.gz" for i in cases))
    return folder


@pytest.fixture(params=["no split", "beside the labels", "in nnUNet_preprocessed"])
def split(request, gt, tmp_path, monkeypatch) -> str:
    """Where the split of the training lies."""
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)
    folder = gt.parent
    if request.param == "in nnUNet_preprocessed":
        monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "preprocessed"))
        folder = _touch(tmp_path / "preprocessed" / "Dataset018_X")
        # The converter's split may be another one by now.
        (gt.parent / "splits_final.json").write_text(json.dumps(SPLIT[::-1]))
    if request.param != "no split":
        (folder / "splits_final.json").write_text(json.dumps(SPLIT))
    return request.param


@pytest.mark.parametrize("folds", FOLDS)
def test_folds_restrict_the_truth_to_their_validation_cases(gt, model, split, folds):
    """Every combination of the folds that are there, with and without the split."""
    found = find_cases(gt, model, folds=folds)
    expected = sorted(i for fold in folds for i in VALIDATION[fold])
    assert found.case_ids == sorted(found.gt) == expected
    assert found.missing == [] and found.pred.missing_folds == ()
    assert set(found.pred.folds.values()) == {str(fold) for fold in folds}


@pytest.mark.parametrize("folds", FOLDS)
def test_a_case_that_a_fold_has_not_predicted_is_missed(gt, model, split, folds):
    (lost := next((model / f"fold_{folds[-1]}" / "validation").iterdir())).unlink()
    case_id = lost.name[0]
    if split == "no split" or not any((model / f"fold_{folds[-1]}" / "validation").iterdir()):
        return  # nobody can know of the case, or the whole fold is missing
    with pytest.raises(ValueError, match=f"lacks 1 of .* cases: {case_id}"):
        find_cases(gt, model, folds=folds)
    assert find_cases(gt, model, folds=folds, allow_missing=True).missing == [case_id]


@pytest.mark.parametrize("folds", [(0, 3), (3, 4, 7)])
def test_a_named_fold_that_is_not_trained_is_an_error(gt, model, split, folds):
    lacking = ", ".join(str(fold) for fold in folds if fold not in VALIDATION)
    with pytest.raises(ValueError, match=f"Folds without predictions: {lacking}"):
        find_cases(gt, model, folds=folds)
    found = find_cases(gt, model, folds=folds, allow_missing=True)
    assert found.pred.missing_folds == tuple(lacking.split(", "))


def test_without_folds_all_truth_counts_and_missing_folds_are_named(gt, model, split):
    with pytest.raises(ValueError, match="lacks 2 of 9 cases: h, i.*predictions: 3.*-f 0 1 2 4"):
        find_cases(gt, model)
    found = find_cases(gt, model, allow_missing=True)
    assert found.missing == ["h", "i"] and found.case_ids == list("abcdefg")


def test_a_split_of_another_training_is_passed_over(gt, model):
    (gt.parent / "splits_final.json").write_text(json.dumps([{"val": ["h"]}] * 5))
    assert find_cases(gt, model, folds=[0]).case_ids == ["a", "b"]
    (gt.parent / "splits_final.json").write_text("{}")
    assert find_cases(gt, model, folds=[0]).case_ids == ["a", "b"]
    (gt.parent / "splits_final.json").write_text("no json")
    with pytest.raises(ValueError, match="splits_final.json is damaged or is not JSON"):
        find_cases(gt, model, folds=[0])


def test_a_label_without_probabilities_is_missed(gt, model):
    """Without a split nnU-Net's own labels say which cases a fold has."""
    _touch(model / "fold_0" / "validation", "a.npz")
    with pytest.raises(ValueError, match="lacks 1 of 2 cases: b"):
        find_cases(gt, model, endings=(".npz",), folds=[0])


def test_no_truth_is_an_error(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="no label file"):
        find_cases(_touch(tmp_path / "empty"), model)


def test_matching_names_strays_and_missing(tmp_path):
    pred = Gathered({"a": tmp_path, "x": tmp_path}, {}, ("3",))
    with pytest.raises(ValueError, match="1 cases without true lesion: x"):
        match_cases(["a"], pred, pred_folder=tmp_path, allow_missing=True)
    with pytest.raises(ValueError, match="lacks 1 of 3 cases: b.*Folds without predictions: 3"):
        match_cases(["a", "x", "b"], pred, pred_folder=tmp_path, allow_missing=False)
    found = match_cases(["x", "a", "b"], pred, pred_folder=tmp_path, allow_missing=True)
    assert found == ["a", "x"]


def test_only_cases_with_a_dwi_need_a_pseudo_dwi(tmp_path):
    dwi = _touch(tmp_path / "dwi", "a.nii.gz", "b.nii.gz", "unrelated.nii.gz")
    pseudo = _touch(tmp_path / "pseudo", "a.nii.gz", "c.nii.gz")
    with pytest.raises(ValueError, match="lacks 1 of 2 cases.*b"):
        pair_images("abc", dwi, pseudo, allow_missing=False)
    assert list(pair_images("abc", dwi, pseudo, allow_missing=True)) == ["a"]
    with pytest.raises(FileNotFoundError, match="none of the 1 cases"):
        pair_images("z", dwi, pseudo, allow_missing=False)
