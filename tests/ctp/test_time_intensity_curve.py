"""Eq. 1-2 of Wang et al. 2020 against loops and sums by hand."""

import nibabel
import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.time_intensity_curve import summarise
from nnunetv2_strokesynth.io.series import NiftiSeries


def test_mip_is_the_largest_value_over_all_frames():
    rng = np.random.default_rng(0)
    series = rng.normal(size=(7, 2, 3, 4)).astype(np.float32)
    mip = summarise(series).mip
    assert mip.shape == (2, 3, 4)
    for z, y, x in np.ndindex(2, 3, 4):
        assert mip[z, y, x] == max(series[t, z, y, x] for t in range(7))


def test_curve_sums_each_frame():
    series = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(summarise(series).curve, [66, 210])


def test_curve_does_not_lose_the_bolus_in_float32():
    """4 million voxels of -1000 HU: one unit more is below the resolution of a float32 sum."""
    series = np.full((2, 4, 1024, 1024), -1000, dtype=np.float32)
    series[1, 0, 0, 0] += 1
    assert np.diff(summarise(series).curve) == [1]


def test_summary_of_a_stream_is_that_of_the_array(tmp_path):
    array = np.random.default_rng(0).integers(-50, 90, (7, 3, 4, 5)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4)), tmp_path / "ctp.nii")
    summary = summarise(NiftiSeries(tmp_path / "ctp.nii"))
    np.testing.assert_array_equal(summary.mip, array.max(axis=0))
    np.testing.assert_allclose(summary.curve, array.astype(np.float64).sum(axis=(1, 2, 3)))
    np.testing.assert_array_equal(summary.curve, summarise(array).curve)
    assert summary.curve.dtype == np.float64
    assert summary.changes
    assert not summarise(np.ones((4, 1, 2, 2), np.float32)).changes
    late = np.ones((4, 1, 2, 2), np.float32)
    late[3, 0, 1, 1] = 2
    assert summarise(late).changes


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_summary_names_the_frame_that_is_not_finite(value):
    series = np.ones((4, 2, 2, 2), np.float32)
    series[2, 0, 1] = value
    with pytest.raises(ValueError, match="frame 2 of the series a.nii holds 2 voxels that are NaN"):
        summarise(series, "a.nii")


def test_frames_that_repeat_the_one_before_are_counted():
    frames = np.arange(6, dtype=np.float32).reshape(6, 1, 1, 1) * np.ones((1, 1, 2, 2), np.float32)
    assert summarise(frames).n_repeated == 0
    assert summarise(frames[[0, 1, 1, 2, 2, 2, 3]]).n_repeated == 3
    assert summarise(frames[[0, 1, 0, 1]]).n_repeated == 0  # equal, but not one after the other
