"""What of a patient's images reaches the result, and options that would have no effect."""

import nibabel
import numpy as np
import pytest
from dicom_files import write_ctp

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.inference.patient import prepare
from nnunetv2_strokesynth.inference.scan_maps import maps_of_study
from nnunetv2_strokesynth.inference.study import find_study


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"aif_at": (1, 2, 0)}, "--aif"),
        ({"vof_at": (1, 2, 0), "correct_motion": False}, "--vof and --no-motion-correction"),
    ],
)
def test_options_without_effect_are_refused(tmp_path, options, named):
    """The maps are given: nothing is computed that a vessel could change."""
    for name in ("ctp", "cbf", "cbv", "mtt", "tmax"):
        shape = (9, 8, 3, 12) if name == "ctp" else (9, 8, 3)
        image = nibabel.Nifti1Image(np.ones(shape, np.float32), np.diag([2.0, 2.0, 5.0, 1]))
        nibabel.save(image, tmp_path / f"{name}.nii.gz")
    study = find_study(tmp_path, frame_s=2.0)
    with pytest.raises(ValueError, match=f"{named}: the maps are given, so none is computed"):
        prepare(study, PRESETS["wang2020"], **options)


def study_with_a_gap(folder, make_head):
    """A DICOM series of which one frame lacks a slice."""
    head = make_head(np.arange(0, 50, 2.0), noise_hu=1.0)
    ctp, spacing = np.rint(head.series).astype(int), (5.0, 2.5, 2.5)
    skip = [(20, 1)]
    write_ctp(folder, ctp, times_s=head.times_s, spacing_zyx_mm=spacing, skip=skip)
    return find_study(folder)


def test_a_dropped_frame_is_a_warning_of_the_result(tmp_path, make_head):
    prepared = prepare(study_with_a_gap(tmp_path / "s", make_head), PRESETS["wang2020"])
    (warning,) = [text for text in prepared.warnings if "lack a slice and were dropped" in text]
    assert prepared.notes.count(warning) == 1 and "40.0 s" in warning
    assert prepared.computed.row["frames"] == 24


def test_predict_doubts_what_maps_doubts_and_has_one_brain(tmp_path, make_head):
    """Uneven steps, a missing vein and so on are warnings of both commands, not notes of one."""
    study = study_with_a_gap(tmp_path / "s", make_head)
    prepared = prepare(study, PRESETS["wang2020"])
    doubts = maps_of_study(study).warnings
    assert doubts and set(doubts) <= set(prepared.warnings)
    brain_ml = 5.0 * 2.5 * 2.5 / 1000 * prepared.made.mask.sum()
    assert prepared.computed.row["brain_ml"] == pytest.approx(brain_ml, abs=0.051)
    np.testing.assert_array_equal(prepared.computed.brain, prepared.made.mask)
