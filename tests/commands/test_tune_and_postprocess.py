from __future__ import annotations

import functools
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.evaluation import metrics
from nnunetv2_strokesynth.evaluation.components import clean_lesion
from nnunetv2_strokesynth.evaluation.postprocessing import (
    Rule,
    postprocess_case,
    read_rule,
)
from nnunetv2_strokesynth.evaluation.tuning import (
    SearchGrid,
    TuneCase,
    score_tune_case,
)

SHAPE = (3, 40, 44)
SPACING = (6.0, 0.9, 1.1)
N_CASES = 5


def _planted(k: int) -> tuple[np.ndarray, np.ndarray]:
    """A lesion of 3 x 12 x 10 voxels that T = 0.3 and S_min = 100 alone recover.

    It has a probability of 0.35 inside, so thresholds from 0.4 lose it; its rim has 0.25, so 0.2
    makes it too large. A false component of 3 x 5 x 4 = 60 voxels has 0.9, and a true one of 120
    voxels has 0.95: a minimum of 50 keeps the false one, one of 150 drops the true one.
    """
    gt, probs = np.zeros(SHAPE, bool), np.full(SHAPE, 0.05, np.float32)
    y = 4 + k
    probs[:, y - 2 : y + 14, 3:17] = 0.25
    gt[:, y : y + 12, 5:15] = True
    probs[gt] = 0.35
    gt[:, 25:33, 22:27] = True
    probs[:, 25:33, 22:27] = 0.95
    probs[:, 34:39, 38:42] = 0.9
    return gt, probs


def _write_case(write_volume, folder: Path, name: str, probs: np.ndarray) -> None:
    write_volume((probs > 0.5).astype(np.uint8), folder / f"{name}.nii.gz", origin=(3, 4, 5))
    np.savez_compressed(folder / f"{name}.npz", probabilities=np.stack([1 - probs, probs]))


@pytest.fixture
def data(tmp_path, write_volume) -> Path:
    """``gt``, a ``model`` of five folds and the same predictions in one folder, ``pred``."""
    for k in range(N_CASES):
        gt, probs = _planted(k)
        name = f"case_{k:03d}"
        write_volume(gt.astype(np.uint8), tmp_path / "gt" / f"{name}.nii.gz", origin=(3, 4, 5))
        for folder in (tmp_path / "model" / f"fold_{k}" / "validation", tmp_path / "pred"):
            _write_case(write_volume, folder, name, probs)
    return tmp_path


def _tune(data: Path, *more: str) -> int:
    sizes = () if "--sizes-ml" in more else ("--sizes-voxels", "10", "50", "100", "150")
    source = () if "--prob" in more else ("-m", str(data / "model"))
    common = ("--gt", str(data / "gt"), "-o", str(data / "tuned.json"), "--workers", "1")
    return main(["tune", *source, *common, *sizes, *more])


RULE = {"strokesynth_postprocessing": 1, "threshold": 0.3, "min_size": 100, "unit": "voxels"}


def _postprocess(data: Path, *more: str) -> int:
    (data / "tuned.json").write_text(json.dumps(RULE))
    folders = ("-i", str(data / "pred"), "-o", str(data / "clean"))
    rule = ("-p", str(data / "tuned.json"))
    return main(["postprocess", *folders, *rule, "--workers", "1", *more])


def test_planted_optimum_is_found(data, real_figures):
    assert _tune(data) == 0
    tuned = json.loads((data / "tuned.json").read_text())
    assert (tuned["threshold"], tuned["min_size"], tuned["unit"]) == (0.3, 100, "voxels")
    assert tuned["chosen"]["dice_mean"] == 1.0 and tuned["chosen"]["hausdorff_mm_mean"] == 0.0
    assert len(tuned["grid"]) == 9 * 4
    assert min(tuned["grid"], key=lambda row: row["mean_rank"]) == tuned["chosen"]
    about = tuned["tuned_on"]
    assert about["n_cases"] == N_CASES and about["folds"] == ["0", "1", "2", "3", "4"]
    assert about["cases"][0] == "case_000"
    # nnU-Net's labels: both components above 0.5, nothing removed.
    gt, probs = _planted(0)
    assert tuned["argmax"]["dice_mean"] == pytest.approx(metrics.dice(gt, probs > 0.5))
    expected = np.mean([metrics.hausdorff_mm(g, p > 0.5, SPACING) for g, p in
                        map(_planted, range(N_CASES))])  # fmt: skip
    assert tuned["argmax"]["hausdorff_mm_mean"] == pytest.approx(expected, rel=1e-6)
    assert (data / "tuned.png").stat().st_size > 10_000


def test_plain_folder_and_sizes_in_ml(data):
    more = ("--prob", str(data / "pred"), "--sizes-ml", "0.1", "0.5", "2.5")
    assert _tune(data, *more, "--thresholds", "0.9", "0.3") == 0
    tuned = json.loads((data / "tuned.json").read_text())
    # 5.94 mm^3 a voxel: 60 false voxels are 0.36 mL, 120 true ones 0.71 mL.
    assert (tuned["threshold"], tuned["min_size"], tuned["unit"]) == (0.3, 0.5, "mL")
    assert [row["threshold"] for row in tuned["grid"]] == [0.3] * 3 + [0.9] * 3


def test_json_is_strict_when_every_lesion_is_lost(data):
    assert _tune(data, "--thresholds", "0.99") == 0
    text = (data / "tuned.json").read_text()
    assert "NaN" not in text and "Infinity" not in text
    chosen = json.loads(text)["chosen"]
    assert chosen["hausdorff_mm_mean"] is None and chosen["hausdorff_not_countable"] == N_CASES


def test_postprocess_applies_the_choice_in_the_labels_geometry(data):
    assert _postprocess(data) == 0
    assert len(list((data / "clean").glob("case_*.nii.gz"))) == N_CASES
    for k in range(N_CASES):
        gt, probs = _planted(k)
        image = sitk.ReadImage(str(data / "clean" / f"case_{k:03d}.nii.gz"))
        found = sitk.GetArrayFromImage(image)
        np.testing.assert_array_equal(found, gt)
        np.testing.assert_array_equal(found, clean_lesion(probs, 0.3, 100))
        assert found.dtype == np.uint8
        assert image.GetSpacing() == pytest.approx(SPACING[::-1])
        assert image.GetOrigin() == pytest.approx((3, 4, 5))
    applied = (data / "clean" / "postprocessing_strokesynth.json").read_text()
    assert json.loads(applied) == RULE


def test_postprocess_applies_what_tune_wrote(data):
    assert _tune(data, "--thresholds", "0.3") == 0
    assert read_rule(data / "tuned.json") == (0.3, 100, "voxels")


def test_sizes_in_ml_follow_the_spacing(data):
    (data / "ml.json").write_text(json.dumps(RULE | {"min_size": 0.5, "unit": "mL"}))
    assert _postprocess(data, "-p", str(data / "ml.json")) == 0
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(data / "clean" / "case_000.nii.gz")))
    np.testing.assert_array_equal(found, _planted(0)[0])


def test_work_can_go_to_other_processes(data):
    grid = SearchGrid((0.3,), (100,), "voxels")
    case = TuneCase("case_000", data / "pred/case_000.npz", data / "gt/case_000.nii.gz")
    for task in (
        functools.partial(score_tune_case, case, grid=grid),
        functools.partial(postprocess_case, case.npz, rule=Rule(0.3, 100, "voxels"), output=data),
    ):
        assert pickle.loads(pickle.dumps(task)).func is task.func
    assert pickle.loads(pickle.dumps(score_tune_case(case, grid))).dice == 1.0


def test_postprocess_keeps_the_input_and_earlier_results(data, capsys):
    assert _postprocess(data) == 0
    assert _postprocess(data) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert _postprocess(data, "--overwrite") == 0
    assert _postprocess(data, "--overwrite", "-o", str(data / "pred")) == 2
    assert "another folder" in capsys.readouterr().err
    assert _postprocess(data, "--overwrite", "-o", str(data)) == 2
    assert (data / "gt").is_dir()


def test_label_without_probabilities_is_not_dropped_silently(data, capsys):
    (data / "pred" / "case_003.npz").unlink()
    assert _postprocess(data) == 2
    assert "case_003" in capsys.readouterr().err and not (data / "clean").exists()


def test_tune_refuses_what_does_not_fit(data, capsys, write_volume):
    _, probs = _planted(1)
    _write_case(write_volume, data / "model" / "fold_1" / "validation", "case_001", probs[:, ::-1])
    flipped = np.stack([1 - probs, probs])
    np.savez(data / "model" / "fold_1" / "validation" / "case_001.npz", probabilities=flipped)
    assert _tune(data) == 2
    assert "case case_001" in capsys.readouterr().err
    (data / "model" / "fold_1" / "validation" / "case_001.npz").unlink()
    assert _tune(data) == 2
    assert "lacks 1 of 5 cases: case_001" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--thresholds", "0.5", "1.5"), "between 0 and 1"),
        (("--sizes-ml", "-1"), "0 or more"),
        (("-o", "somewhere.txt"), "end in .json"),
    ],
)
def test_unusable_options(data, capsys, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _tune(data, *options) == 2
    assert message in capsys.readouterr().err
    assert not (data / "tuned.json").exists()


def test_tune_does_not_overwrite(data, capsys):
    (data / "tuned.json").write_text("mine")
    assert _tune(data) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (data / "tuned.json").read_text() == "mine"


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        "{}",
        '{"strokesynth_postprocessing": 2, "threshold": 0.5, "min_size": 1, "unit": "mL"}',
        '{"strokesynth_postprocessing": 1, "threshold": 5, "min_size": 1, "unit": "mL"}',
        '{"strokesynth_postprocessing": 1, "threshold": 0.5, "min_size": 1, "unit": "litres"}',
        '{"strokesynth_postprocessing": 1, "threshold": 0.5, "min_size": null, "unit": "mL"}',
    ],
)
def test_unusable_rules_are_refused(tmp_path, text):
    (tmp_path / "rule.json").write_text(text)
    with pytest.raises(ValueError, match="rule.json"):
        read_rule(tmp_path / "rule.json")


def test_one_fold_is_tuned_postprocessed_and_measured_alone(data):
    """The chain of `strokesynth reproduce clerigues2019 --folds 0 3`, command by command."""
    model, gt, final = (str(data / name) for name in ("model", "gt", "final"))
    folds, missing = ("-f", "0", "3"), "--allow-missing"
    assert _tune(data, *folds, missing) == 0
    rule = ("-p", str(data / "tuned.json"))
    common = ("--workers", "1")
    assert main(["postprocess", "-i", model, *folds, *rule, "-o", final, *common]) == 0
    assert sorted(path.name for path in (data / "final").glob("*.nii.gz")) == [
        "case_000.nii.gz",
        "case_003.nii.gz",
    ]
    out = str(data / "evaluation")
    assert main(["evaluate", "--gt", gt, "--pred", final, missing, "-o", out, *common]) == 0
    cases = pd.read_csv(data / "evaluation" / "cases.csv")
    assert list(cases["case_id"]) == ["case_000", "case_003"] and (cases["dice"] == 1).all()


def test_folds_are_those_of_a_model(data, capsys):
    assert _postprocess(data, "-f", "0") == 2
    assert "has no folds to name" in capsys.readouterr().err
