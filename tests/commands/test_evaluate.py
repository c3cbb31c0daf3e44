from __future__ import annotations

import json
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.dataloading.dwi_scaling import BRAIN, scale_dwi
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import PseudoDwiRecord, write_record
from nnunetv2_strokesynth.evaluation import metrics
from nnunetv2_strokesynth.evaluation.image_quality import (
    local_region,
    psnr,
)
from nnunetv2_strokesynth.evaluation.lesion_matching import lesion_counts_isles2024
from nnunetv2_strokesynth.evaluation.results import OUTPUTS

SPACING = (6.0, 0.9, 1.1)
N_CASES = 6


@pytest.fixture
def data(tmp_path, write_volume, blobs) -> Path:
    """Six cases in ``gt``, a five-fold ``model``, a worse ``other``; DWI for two of them."""
    for k in range(N_CASES):
        truth = blobs(k) > 0.5
        prediction = blobs(k) + 0.2 * (blobs(k + 20) - 0.3) > 0.5
        worse = blobs(k) + 0.6 * (blobs(k + 40) - 0.2) > 0.5
        name = f"case_{k:03d}.nii.gz"
        write_volume(truth.astype(np.uint8), tmp_path / "gt" / name)
        fold = tmp_path / "model" / f"fold_{k % 5}" / "validation"
        write_volume(prediction.astype(np.uint8), fold / name)
        (fold / "summary.json").write_text("{}")
        write_volume(worse.astype(np.uint8), tmp_path / "other" / name)
        write_volume(blobs(k).astype(np.float32), tmp_path / "pseudo" / name)
        if k < 2:
            write_volume((1000 * blobs(k + 60)).astype(np.float32), tmp_path / "dwi" / name)
    return tmp_path


def _evaluate(data: Path, *more: str, gt="gt", pred="model") -> int:
    command = ["evaluate", "--gt", str(data / gt), "--pred", str(data / pred)]
    return main([*command, "-o", str(data / "out"), "--workers", "1", *more])


def test_all_outputs_of_a_comparison(data, real_figures):
    names = ("--names", "Ours", "Baseline")
    assert _evaluate(data, "--compare", str(data / "other"), *names) == 0
    out = data / "out"
    assert sorted(path.name for path in out.iterdir()) == sorted(OUTPUTS)
    assert all(path.stat().st_size > 10_000 for path in out.glob("*.png"))
    cases = pd.read_csv(out / "cases.csv", dtype={"fold": str})
    assert len(cases) == 2 * N_CASES
    ours = cases[cases["predictions"] == "Ours"]
    assert ours["fold"].tolist() == ["0", "1", "2", "3", "4", "0"]
    summary = json.loads((out / "summary.json").read_text())
    described = summary["predictions"]["Ours"]
    assert described["groups"]["all"]["dice"]["mean"] == pytest.approx(ours["dice"].mean())
    assert described["n_cases"] == N_CASES and described["missing_folds"] == []
    difference = summary["comparison"]["metrics"]["dice"]
    baseline = cases[cases["predictions"] == "Baseline"]
    expected = ours["dice"].mean() - baseline["dice"].mean()
    assert difference["mean"] == pytest.approx(expected) and difference["mean"] > 0
    assert summary["comparison"]["difference"] == "Ours - Baseline"
    text = (out / "summary.md").read_text()
    assert f"{100 * ours['dice'].mean():.2f} ± {100 * ours['dice'].std():.2f}" in text
    assert "Lesion F1, any overlap (%)" in text and "Lesion F1, ISLES 2024 (%)" in text
    assert "| < 10 mL |" in text and "Ours - Baseline" in text
    assert text.count("**\n\n| ") == 4  # titles with a table below


def test_rows_are_what_the_metrics_say(data, blobs):
    assert _evaluate(data, pred="other") == 0
    cases = pd.read_csv(data / "out" / "cases.csv").set_index("case_id")
    row = cases.loc["case_003"]
    gt, pred = blobs(3) > 0.5, blobs(3) + 0.6 * (blobs(43) - 0.2) > 0.5
    overlap, lesions = metrics.overlap_counts(gt, pred), metrics.lesion_counts(gt, pred)
    distances = metrics.surface_distances(gt, pred, SPACING)
    for key, counts in (("dice", overlap), ("precision", overlap), ("recall", overlap),
                        ("lesion_f1", lesions), ("lesion_count_difference", lesions)):  # fmt: skip
        assert row[key] == pytest.approx(getattr(metrics, f"{key}_from")(counts))
    matched = metrics.lesion_f1_from(lesion_counts_isles2024(gt, pred))
    assert row["lesion_f1_isles2024"] == pytest.approx(matched)
    assert (cases["lesion_f1_isles2024"] <= cases["lesion_f1"]).all()  # the stricter one
    assert (cases["lesion_f1_isles2024"] < cases["lesion_f1"]).any()
    for key in ("hausdorff_mm", "relative_volume_error", "volume_difference_ml",
                "absolute_volume_difference_ml"):  # fmt: skip
        assert row[key] == pytest.approx(getattr(metrics, key)(gt, pred, SPACING), rel=1e-6)
    p95 = metrics.hausdorff_from(distances, 95.0)
    assert row["hausdorff95_mm"] == pytest.approx(p95, rel=1e-6)
    assert row["assd_mm"] == pytest.approx(metrics.assd_from(distances), rel=1e-6)
    assert row["volume_gt_ml"] == pytest.approx(gt.sum() * 6 * 0.9 * 1.1 / 1000, rel=1e-6)


def test_pseudo_dwi_is_compared_with_the_scaled_dwi(data, blobs):
    images = ("--dwi", str(data / "dwi"), "--pseudo-dwi", str(data / "pseudo"))
    assert _evaluate(data, *images) == 0
    cases = pd.read_csv(data / "out" / "cases.csv").set_index("case_id")
    assert cases["ssim_global"].notna().tolist() == [True, True, False, False, False, False]
    dwi = (1000 * blobs(61)).astype(np.float32)
    scaled = (dwi - dwi.min()) / (np.percentile(dwi, 99) - dwi.min())  # not clipped any more
    pseudo, region = blobs(1).astype(np.float32), local_region(blobs(1) > 0.5)
    row = cases.loc["case_001"]
    assert row["psnr_global_db"] == pytest.approx(psnr(scaled, pseudo), abs=1e-4)
    assert row["psnr_local_db"] == pytest.approx(psnr(scaled, pseudo, region), abs=1e-4)
    assert "(4 n.c.)" in (data / "out" / "summary.md").read_text()


def _data_set(data, write_volume, brain):
    """The true lesions as ``labelsTr`` of a converted data set whose maps show the brain."""
    (data / "gt").rename(data / "labelsTr")
    description = {"channel_names": {"0": "CT", "1": "CBF"}, "file_ending": ".nii.gz"}
    (data / "dataset.json").write_text(json.dumps(description))
    for k in range(2):
        for channel in range(2):
            name = f"case_{k:03d}_{channel:04d}.nii.gz"
            write_volume(brain.astype(np.float32), data / "imagesTr" / name)


def test_the_lesion_in_the_pseudo_dwi_is_measured_in_the_brain_of_the_maps(
    data, blobs, write_volume, capsys
):
    images = ("--dwi", str(data / "dwi"), "--pseudo-dwi", str(data / "pseudo"))
    brain = blobs(77) > 0.2
    _data_set(data, write_volume, brain)
    assert _evaluate(data, *images, gt="labelsTr") == 0
    cases = pd.read_csv(data / "out" / "cases.csv").set_index("case_id")
    curves = []
    for k in range(2):
        lesion, pseudo = blobs(k) > 0.5, blobs(k).astype(np.float32)
        others = pseudo[brain & ~lesion]
        contrast = (pseudo[lesion].mean() - others.mean()) / others.std()
        row = cases.loc[f"case_00{k}"]
        assert row["lesion_contrast"] == pytest.approx(contrast, rel=1e-4)
        assert 0.5 < row["lesion_auc"] <= 1 and np.isfinite(row["dwi_lesion_contrast"])
        cuts = np.arange(251) / 100
        curves.append([metrics.dice(lesion, brain & (pseudo > cut)) for cut in cuts])
    best = np.mean(curves, axis=0).argmax()
    found = cases["cut_dice"][:2]
    np.testing.assert_allclose(found, np.array(curves)[:, best], atol=1e-6)
    assert (cases["cut_dice_scan"][:2] >= found - 1e-9).all()
    assert cases["cut_threshold"].dropna().unique().tolist() == [best / 100]
    text = (data / "out" / "summary.md").read_text()
    assert f"is {best / 100:.2f} of its scale, chosen in hindsight" in text
    assert "Contrast of the DWI" in text and "--images" not in capsys.readouterr().err


def test_without_maps_the_brain_is_the_dwis_head_and_that_is_said(data, caplog):
    images = ("--dwi", str(data / "dwi"), "--pseudo-dwi", str(data / "pseudo"))
    assert _evaluate(data, *images) == 0
    assert "2 of 2 cases have no perfusion maps at hand" in caplog.text


def test_the_scale_of_the_pseudo_dwi_is_that_of_its_record(data, blobs):
    """The DWI itself on our scale is a perfect pseudo-DWI, however far that is from the paper's."""
    images = ("--dwi", str(data / "dwi"), "--pseudo-dwi", str(data / "pseudo"))
    for k in range(2):
        source = sitk.ReadImage(str(data / "dwi" / f"case_00{k}.nii.gz"))
        scaled = sitk.GetImageFromArray(scale_dwi(sitk.GetArrayFromImage(source), BRAIN))
        scaled.CopyInformation(source)
        sitk.WriteImage(scaled, str(data / "pseudo" / f"case_00{k}.nii.gz"))
    write_record(data / "pseudo", PseudoDwiRecord.now(BRAIN, "DWI"))
    assert _evaluate(data, *images) == 0
    cases = pd.read_csv(data / "out" / "cases.csv")
    assert (cases["psnr_global_db"][:2] > 80).all() and (cases["ssim_global"][:2] > 0.9999).all()


def test_a_pseudo_dwi_that_is_none_is_said(data, caplog):
    write_record(data / "pseudo", PseudoDwiRecord.now(BRAIN, "nothing"))
    images = ("--dwi", str(data / "dwi"), "--pseudo-dwi", str(data / "pseudo"))
    assert _evaluate(data, *images) == 0
    assert "no pseudo-DWI" in caplog.text
    assert "given as pseudo-DWI is none: this model learned" in (
        data / "out" / "summary.md"
    ).read_text(encoding="utf-8")
    summary = json.loads((data / "out" / "summary.json").read_text(encoding="utf-8"))
    (about,) = summary["predictions"].values()
    assert "learned from no DWI" in about["pseudo_dwi_caution"]
    (data / "pseudo" / "pseudo_dwi.json").write_text('{"scale": "median"}')
    assert _evaluate(data, *images, "--overwrite") == 2


def test_one_image_folder_alone_is_refused(data, capsys):
    assert _evaluate(data, "--dwi", str(data / "dwi")) == 2
    assert "go together" in capsys.readouterr().err


def test_missing_predictions_are_an_error_unless_allowed(data, capsys):
    (data / "model" / "fold_1" / "validation" / "case_001.nii.gz").unlink()
    assert _evaluate(data) == 2
    error = capsys.readouterr().err
    assert "case_001" in error and "Folds without predictions: 1" in error
    assert not (data / "out").exists()
    assert _evaluate(data, "--allow-missing") == 0
    summary = json.loads((data / "out" / "summary.json").read_text())["predictions"]["model"]
    assert summary["missing_cases"] == ["case_001"] and summary["missing_folds"] == ["1"]
    assert "case_001" in (data / "out" / "summary.md").read_text()


def test_only_the_named_folds_are_measured(data, capsys):
    """A sixth fold may belong to another split, whose cases are in the first five too."""
    extra = data / "model" / "fold_5" / "validation"
    extra.mkdir(parents=True)
    shutil.copy(data / "model" / "fold_2" / "validation" / "case_002.nii.gz", extra)
    for named in ((), ("-f", "0", "1", "2", "3", "4", "--overwrite")):
        assert _evaluate(data, *named) == 0
        cases = pd.read_csv(data / "out" / "cases.csv", dtype={"fold": str})
        assert cases["fold"].tolist() == ["0", "1", "2", "3", "4", "0"]
    assert _evaluate(data, "-f", "2", "5", "--allow-missing", "--overwrite") == 2
    assert "case_002 is in two folds" in capsys.readouterr().err
    assert _evaluate(data, "-f", "5", "3", "--allow-missing", "--overwrite") == 0
    summary = json.loads((data / "out" / "summary.json").read_text())["predictions"]["model"]
    assert summary["folds"] == ["3", "5"] and summary["n_cases"] == 2
    assert summary["missing_folds"] == []
    assert _evaluate(data, "-f", "3", "7", "--overwrite") == 2
    assert "Folds without predictions: 7" in capsys.readouterr().err
    assert _evaluate(data, "-f", "7", "--overwrite") == 2
    assert "fold_7/validation" in capsys.readouterr().err
    assert _evaluate(data, "-f", "0", "--overwrite", pred="other") == 2
    assert "has no folds to name" in capsys.readouterr().err


@pytest.mark.parametrize("n_folds", range(1, 6))
def test_any_folds_can_be_measured_alone(data, n_folds):
    """The truth of the other folds is no business of theirs: nothing is missing."""
    for folds in combinations(range(5), n_folds):
        assert _evaluate(data, "-f", *map(str, folds), "--overwrite") == 0
        cases = pd.read_csv(data / "out" / "cases.csv")
        assert cases["case_id"].tolist() == [f"case_{k:03d}" for k in range(6) if k % 5 in folds]
        summary = json.loads((data / "out" / "summary.json").read_text())["predictions"]["model"]
        assert summary["missing_cases"] == [] and summary["missing_folds"] == []


def test_without_f_a_missing_fold_is_named_and_how_to_go_on(data, capsys):
    shutil.rmtree(data / "model" / "fold_3")
    assert _evaluate(data) == 2
    error = capsys.readouterr().err
    assert "lacks 1 of 6 cases: case_003" in error
    assert "Folds without predictions: 3" in error and "-f 0 1 2 4" in error
    assert _evaluate(data, "-f", *"0124") == 0


def test_unusable_case_is_named(data, capsys, write_volume):
    write_volume(np.full((4, 20, 24), 3, np.uint8), data / "other" / "case_004.nii.gz")
    assert _evaluate(data, pred="other") == 2
    assert "case case_004:" in capsys.readouterr().err
    write_volume(np.zeros((4, 24, 20), np.uint8), data / "other" / "case_004.nii.gz")
    assert _evaluate(data, pred="other") == 2
    assert "case_004" in capsys.readouterr().err
    assert not (data / "out").exists()


def test_empty_masks_are_reported_as_not_countable(data, write_volume):
    write_volume(np.zeros((4, 20, 24), np.uint8), data / "other" / "case_002.nii.gz")
    assert _evaluate(data, pred="other") == 0
    row = pd.read_csv(data / "out" / "cases.csv").set_index("case_id").loc["case_002"]
    assert row["dice"] == 0 and np.isnan(row["hausdorff_mm"])
    assert "(1 n.c.)" in (data / "out" / "summary.md").read_text()


def test_earlier_results_stay_unless_told_otherwise(data, capsys):
    assert _evaluate(data) == 0
    before = (data / "out" / "cases.csv").read_bytes()
    assert _evaluate(data, pred="other") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (data / "out" / "cases.csv").read_bytes() == before
    assert _evaluate(data, "--overwrite", pred="other") == 0
    assert (data / "out" / "cases.csv").read_bytes() != before


def test_overwrite_never_deletes_foreign_files(data, capsys):
    (data / "out").mkdir()
    (data / "out" / "thesis.docx").write_text("three years of work")
    assert _evaluate(data, "--overwrite") == 2
    assert "thesis.docx" in capsys.readouterr().err
    assert (data / "out" / "thesis.docx").read_text() == "three years of work"


def test_names_have_to_fit(data, capsys):
    assert _evaluate(data, "--names", "A", "B") == 2
    assert "expected 1" in capsys.readouterr().err
