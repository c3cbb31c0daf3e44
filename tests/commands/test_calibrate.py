"""``strokesynth calibrate`` on a model that has validated, and what it refuses."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.inference.calibration import CALIBRATION_FILE, read_calibration


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((2.0, 2.0, 5.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture
def trained(tmp_path):
    """Twenty cases in five folds; case k has k + 1 voxels of lesion and twice as many predicted."""
    model, labels = tmp_path / "model", tmp_path / "labelsTr"
    for k in range(20):
        true, predicted = (np.zeros((2, 8, 16), np.uint8) for _ in range(2))
        true.reshape(-1)[: k + 1] = 1
        predicted.reshape(-1)[: 2 * (k + 1)] = 1
        save(labels / f"case_{k:03d}.nii.gz", true)
        save(model / f"fold_{k % 5}" / "validation" / f"case_{k:03d}.nii.gz", predicted)
        pseudo_dwi = (0.5 + true).astype(np.float32)
        save(tmp_path / "pseudo" / f"case_{k:03d}.nii.gz", pseudo_dwi)
    return model, labels


def calibrate(model, labels, *options):
    return main(["calibrate", "-m", str(model), "--gt", str(labels), *map(str, options)])


def test_writes_the_interval_beside_the_folds(trained, capsys):
    model, labels = trained
    assert calibrate(model, labels) == 0
    found = read_calibration(model).volume
    voxel_ml = 0.02
    ratios = np.log([(1 + voxel_ml * k) / (1 + 2 * voxel_ml * k) for k in range(1, 21)])
    assert found.log_ratio_low == pytest.approx(ratios.min())
    assert found.log_ratio_high == pytest.approx(ratios.max()) and found.n_cases == 20
    record = json.loads((model / CALIBRATION_FILE).read_text())
    assert record["folds"] == list("01234") and len(record["cases"]) == 20
    assert calibrate(model, labels) == 2 and "--overwrite" in capsys.readouterr().err
    assert calibrate(model, labels, "--overwrite", "--coverage", 0.8) == 0
    assert read_calibration(model).volume.coverage == 0.8


def test_cases_that_are_left_out_are_named(trained, caplog):
    model, labels = trained
    (model / "fold_3" / "validation" / "case_003.nii.gz").unlink()
    assert calibrate(model, labels) == 2
    assert calibrate(model, labels, "--allow-missing") == 0
    assert "left out, not predicted: case_003" in caplog.text
    assert read_calibration(model).volume.n_cases == 19


def test_threshold_of_the_pseudo_dwi(trained, tmp_path):
    model, labels = trained
    assert calibrate(model, labels, "--pseudo-dwi", tmp_path / "pseudo") == 0
    cut = read_calibration(model).cut
    assert 0.5 <= cut.cut < 1.5 and cut.dice_mean == 1.0 and cut.n_cases == 20
    (tmp_path / "pseudo" / "case_003.nii.gz").unlink()
    assert calibrate(model, labels, "--overwrite", "--pseudo-dwi", tmp_path / "pseudo") == 2


def test_too_few_cases_leave_no_file(trained, capsys):
    model, labels = trained
    assert calibrate(model, labels, "-f", 0, 1) == 2
    assert "8 validation cases are too few" in capsys.readouterr().err
    assert not (model / CALIBRATION_FILE).exists()


def test_a_folder_of_predictions_is_no_model(trained, tmp_path, capsys):
    assert calibrate(tmp_path / "labelsTr", tmp_path / "labelsTr") == 2
    assert "holds no fold" in capsys.readouterr().err
