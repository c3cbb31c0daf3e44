"""Frames at equal steps of a window, against interpolation voxel by voxel."""

import nibabel
import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.frames import sample_frames
from nnunetv2_strokesynth.io.series import NiftiSeries


def test_sampled_frames_interpolate_voxel_by_voxel():
    rng = np.random.default_rng(1)
    series = rng.normal(size=(9, 2, 3, 4)).astype(np.float32)
    frames = sample_frames(series, 1, 7, n_frames=5)
    assert frames.shape == (5, 2, 3, 4) and frames.dtype == np.float32
    positions = [1 + 6 * i / 4 for i in range(5)]
    for z, y, x in np.ndindex(2, 3, 4):
        expected = np.interp(positions, range(9), series[:, z, y, x])
        np.testing.assert_allclose(frames[:, z, y, x], expected, atol=1e-6)


def test_sampled_frames_keep_the_ends_and_a_linear_ramp():
    ramp = np.arange(20, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 2, 2), np.float32)
    np.testing.assert_allclose(
        sample_frames(ramp, 3, 19, n_frames=6)[:, 0, 0, 0], np.linspace(3, 19, 6)
    )
    np.testing.assert_array_equal(sample_frames(ramp, 0, 19, n_frames=20), ramp)


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 3), (4, 2), (0, 5)])
def test_window_outside_the_series(start, end):
    with pytest.raises(ValueError, match="does not lie in a series of 5 frames"):
        sample_frames(np.zeros((5, 1, 2, 2), np.float32), start, end, n_frames=3)


def test_sampled_frames_of_a_stream_by_hand(tmp_path):
    array = np.random.default_rng(0).integers(-50, 90, (7, 3, 4, 5)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4)), tmp_path / "ctp.nii")
    frames = sample_frames(NiftiSeries(tmp_path / "ctp.nii"), 1, 4, n_frames=3)
    np.testing.assert_array_equal(frames[0], array[1])
    np.testing.assert_allclose(frames[1], (array[2] + array[3]) / 2)  # position 2.5
    np.testing.assert_array_equal(frames[2], array[4])
