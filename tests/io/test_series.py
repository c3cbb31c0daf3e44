"""A series read frame by frame gives what nibabel gives for the whole of it."""

import gzip

import nibabel
import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.perfusion_window import (
    mip_time,
    sample_frames,
    summarise,
    time_intensity_curve,
)
from nnunetv2_strokesynth.io.series import NiftiSeries

SHAPE = (5, 4, 3, 7)


def save(path, *, dtype=np.float32, shape=SHAPE, scaling=(1, 0), endianness="<"):
    values = np.random.default_rng(0).integers(-50, 90, shape)
    header = nibabel.Nifti1Header(endianness=endianness)
    header.set_data_dtype(dtype)
    image = nibabel.Nifti1Image(values.astype(float), np.eye(4), header)
    image.header.set_slope_inter(*scaling)
    nibabel.save(image, path)
    return np.asarray(nibabel.load(path).dataobj, dtype=np.float32)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"dtype": np.int16},
        {"dtype": np.int16, "endianness": ">"},
        {"dtype": np.float64},
        {"dtype": np.uint16, "scaling": (0.5, -1024)},
    ],
)
def test_frames_are_nibabel_s(tmp_path, suffix, stored):
    path = tmp_path / f"ctp{suffix}"
    expected = save(path, **stored).T
    series = NiftiSeries(path)
    assert len(series) == 7
    for _ in range(2):  # every walk reads anew
        frames = list(series)
        assert all(frame.dtype == np.float32 and frame.flags.writeable for frame in frames)
        np.testing.assert_array_equal(np.stack(frames), expected)


@pytest.mark.parametrize("shape", [(5, 4, 3, 1, 7), (5, 4, 1, 7), (5, 4, 3, 7, 1)])
def test_singleton_axes(tmp_path, shape):
    expected = save(tmp_path / "ctp.nii", shape=shape)
    frames = np.stack(list(NiftiSeries(tmp_path / "ctp.nii")))
    assert len(frames) == 7
    np.testing.assert_array_equal(frames.ravel(), expected.ravel(order="F"))


def test_change_is_applied_to_each_frame(tmp_path):
    expected = save(tmp_path / "ctp.nii").T
    series = NiftiSeries(tmp_path / "ctp.nii", lambda frame: frame[:, ::2] + 1)
    np.testing.assert_array_equal(np.stack(list(series)), expected[:, :, ::2] + 1)


def test_damaged_files(tmp_path):
    path = tmp_path / "ctp.nii"
    save(path)
    whole = path.read_bytes()
    packed = tmp_path / "ctp.nii.gz"
    packed.write_bytes(gzip.compress(whole[:-30]))
    with pytest.raises(ValueError, match=r"ctp.nii.gz: truncated or damaged \(frame 6 ends after"):
        list(NiftiSeries(packed))
    packed.write_bytes(gzip.compress(whole)[:-40])
    with pytest.raises(ValueError, match="truncated or damaged"):
        list(NiftiSeries(packed))
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="truncated"):
        NiftiSeries(path)


def test_summary_of_a_stream_is_that_of_the_array(tmp_path):
    array = save(tmp_path / "ctp.nii").T
    summary = summarise(NiftiSeries(tmp_path / "ctp.nii"))
    np.testing.assert_array_equal(summary.mip, array.max(axis=0))
    np.testing.assert_array_equal(summary.mip, mip_time(array))
    np.testing.assert_allclose(summary.curve, array.astype(np.float64).sum(axis=(1, 2, 3)))
    np.testing.assert_array_equal(summary.curve, time_intensity_curve(array))
    assert summary.changes
    assert not summarise(np.ones((4, 1, 2, 2), np.float32)).changes
    late = np.ones((4, 1, 2, 2), np.float32)
    late[3, 0, 1, 1] = 2
    assert summarise(late).changes


def test_sampled_frames_of_a_stream_by_hand(tmp_path):
    array = save(tmp_path / "ctp.nii").T
    frames = sample_frames(NiftiSeries(tmp_path / "ctp.nii"), 1, 4, 3)
    np.testing.assert_array_equal(frames[0], array[1])
    np.testing.assert_allclose(frames[1], (array[2] + array[3]) / 2)  # position 2.5
    np.testing.assert_array_equal(frames[2], array[4])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_summary_names_the_frame_that_is_not_finite(value):
    series = np.ones((4, 2, 2, 2), np.float32)
    series[2, 0, 1] = value
    with pytest.raises(ValueError, match="frame 2 of the series a.nii holds 2 voxels that are NaN"):
        summarise(series, "a.nii")
