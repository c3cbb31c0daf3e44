"""The readers' probability lands on the voxels of its preprocessed case, resampled linearly."""

import json
import pickle

import blosc2
import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from trainer_world import plans_and_dataset

from nnunetv2_strokesynth.dataloading.soft_labels import (
    prepare_soft_labels,
    preprocess_soft_label,
    soft_labels_folder,
)

PROPERTIES = {
    "shape_before_cropping": (2, 10, 8),
    "bbox_used_for_cropping": [[0, 2], [2, 10], [0, 8]],
    "spacing": [5.0, 2.0, 2.0],  # the plans' is 1 mm in the slice
}


@pytest.fixture(scope="module")
def plans():
    manager = PlansManager(plans_and_dataset("wang2020")[0])
    return manager, manager.get_configuration("2d")


def ramp():
    """The probability grows along x: linear resampling keeps a line, and no value overshoots."""
    return np.tile(np.linspace(0, 1, 8, dtype=np.float32), (2, 10, 1))


def test_a_line_stays_a_line(plans):
    found = preprocess_soft_label(ramp(), PROPERTIES, *plans)
    assert found.shape == (1, 2, 16, 16) and found.dtype == np.float32
    inner = found[0, 0, 5, 1:-1]
    np.testing.assert_allclose(np.diff(inner), 1 / 14, atol=1e-5)
    assert found.min() >= 0 and found.max() <= 1


def test_the_crop_is_the_cases(plans):
    marked = np.zeros((2, 10, 8), np.float32)
    marked[:, :2] = 1  # cropped away
    assert preprocess_soft_label(marked, PROPERTIES, *plans).max() == 0


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        (np.zeros((2, 8, 8), np.float32), r"shape \(2, 8, 8\), the scan has \(2, 10, 8\)"),
        (ramp() + 0.5, "run from 0.5 to 1.5, expected"),
        (np.full((2, 10, 8), np.nan, np.float32), "run from nan"),
    ],
)
def test_what_is_no_probability_of_the_scan_is_refused(plans, volume, why):
    with pytest.raises(ValueError, match=why):
        preprocess_soft_label(volume, PROPERTIES, *plans)


def test_they_are_stored_once_and_made_again_when_they_change(plans, tmp_path):
    raw, preprocessed = tmp_path / "probabilitiesTr", tmp_path / "nnUNetPlans_2d"
    raw.mkdir()
    preprocessed.mkdir()
    with (preprocessed / "case_001_f0.pkl").open("wb") as file:
        pickle.dump(PROPERTIES, file)
    path = raw / "case_001_f0.nii.gz"
    arguments = (preprocessed, ["case_001_f0", "case_002"], *plans, ".nii.gz")
    sitk.WriteImage(sitk.GetImageFromArray(ramp()), str(path))
    assert prepare_soft_labels(raw, *arguments) == ["case_001_f0"]
    stored = soft_labels_folder(preprocessed) / "case_001_f0.b2nd"
    first = stored.stat().st_mtime_ns
    prepare_soft_labels(raw, *arguments)
    assert stored.stat().st_mtime_ns == first
    sitk.WriteImage(sitk.GetImageFromArray(ramp()[:, :, ::-1].copy()), str(path))
    prepare_soft_labels(raw, *arguments)
    assert blosc2.open(str(stored))[0, 0, 0, 0] == 1
    assert prepare_soft_labels(None, *arguments) == ["case_001_f0"]  # raw data not at hand
    assert prepare_soft_labels(tmp_path / "gone", *arguments) == []
    sitk.WriteImage(sitk.GetImageFromArray(ramp() * 2), str(path))
    with pytest.raises(ValueError, match=r"case_001_f0: .*case_001_f0.nii.gz: .*expected"):
        prepare_soft_labels(raw, *arguments)
    assert json.loads(stored.with_suffix(".json").read_text())["source_bytes"]
