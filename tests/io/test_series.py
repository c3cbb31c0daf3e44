"""A series read frame by frame gives what nibabel gives for the whole of it."""

import gzip

import nibabel
import numpy as np
import pytest

from nnunetv2_strokesynth.io.series import NiftiSeries, ReorderedSeries, unusable_voxels

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


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1e9])
def test_a_voxel_without_a_number_takes_the_frame_before(tmp_path, bad):
    """Air in the first frame; the places are known once the frames were read."""
    expected = save(tmp_path / "ctp.nii").T.copy()
    spoilt = expected.copy()
    spoilt[0, 0, 0, 0] = spoilt[3, 1, 2, 3] = spoilt[4, 1, 2, 3] = bad
    nibabel.save(nibabel.Nifti1Image(spoilt.T, np.eye(4)), tmp_path / "ctp.nii.gz")
    series = NiftiSeries(tmp_path / "ctp.nii.gz")
    assert unusable_voxels(series) is None
    expected[0, 0, 0, 0] = -1000
    expected[3, 1, 2, 3] = expected[4, 1, 2, 3] = expected[2, 1, 2, 3]
    for _ in range(2):
        np.testing.assert_array_equal(np.stack(list(series)), expected)
    assert np.argwhere(unusable_voxels(series)).tolist() == [[0, 0, 0], [1, 2, 3]]
    turned = ReorderedSeries(series, lambda frame: frame[:, ::-1])
    assert np.argwhere(unusable_voxels(turned)).tolist() == [[0, 3, 0], [1, 1, 3]]


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
