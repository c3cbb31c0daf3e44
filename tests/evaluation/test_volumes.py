from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.evaluation.volumes import (
    check_probability_matches_label,
    check_same_grid,
    on_voxels_of,
    read_image,
    read_lesion_probability,
    read_mask,
)

SHAPE = (3, 5, 6)


@pytest.fixture
def mask() -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[1, 2, 3] = 1
    return mask


def test_axes_and_spacing_are_z_y_x(write_volume, tmp_path, mask):
    volume = read_mask(write_volume(mask, tmp_path / "a.nii.gz", spacing_mm=(6.0, 0.5, 0.25)))
    assert volume.spacing_mm == (6.0, 0.5, 0.25)
    assert volume.array.dtype == bool and np.argwhere(volume.array).tolist() == [[1, 2, 3]]


def test_other_labels_are_refused(write_volume, tmp_path, mask):
    with pytest.raises(ValueError, match=r"a\.nii\.gz holds the values 0, 2"):
        read_mask(write_volume(mask * 2, tmp_path / "a.nii.gz"))
    with pytest.raises(ValueError, match=r"0, 0\.5"):
        read_mask(write_volume(mask * np.float32(0.5), tmp_path / "b.nii.gz"))


def test_unreadable_files(tmp_path, write_volume):
    (tmp_path / "broken.nii.gz").write_bytes(b"not an image")
    with pytest.raises(ValueError, match="broken.nii.gz cannot be read"):
        read_image(tmp_path / "broken.nii.gz")
    with pytest.raises(FileNotFoundError, match="absent.nii.gz"):
        read_image(tmp_path / "absent.nii.gz")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 4))), str(tmp_path / "flat.nii.gz"))
    with pytest.raises(ValueError, match="expected a 3-D image"):
        read_image(tmp_path / "flat.nii.gz")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"shape": (3, 6, 5)}, "shape"),
        ({"spacing_mm": (6.0, 0.9, 1.2)}, "spacing"),
        ({"origin": (0, 0.5, 0)}, "origin"),
        ({"direction": (-1, 0, 0, 0, 1, 0, 0, 0, -1)}, "direction"),
    ],
)
def test_other_voxels_are_refused(write_volume, tmp_path, change, what):
    shape = change.pop("shape", SHAPE)
    reference = read_image(write_volume(np.zeros(SHAPE), tmp_path / "gt.nii.gz"))
    other = read_image(write_volume(np.zeros(shape), tmp_path / "pred.nii.gz", **change))
    with pytest.raises(ValueError, match=f"pred.nii.gz has {what}.*gt.nii.gz"):
        check_same_grid(reference, other)


def test_rounding_in_headers_is_forgiven(write_volume, tmp_path):
    reference = read_image(write_volume(np.zeros(SHAPE), tmp_path / "gt.nii.gz"))
    path = write_volume(
        np.zeros(SHAPE), tmp_path / "p.nii.gz", spacing_mm=(6.0, 0.90001, 1.1), origin=(0, 0.001, 0)
    )
    check_same_grid(reference, read_image(path))


def _npz(path, array, key="probabilities"):
    np.savez_compressed(path, **{key: array})
    return path


def test_lesion_is_the_last_class(tmp_path):
    lesion = np.random.default_rng(0).uniform(size=SHAPE).astype(np.float32)
    two = _npz(tmp_path / "two.npz", np.stack([1 - lesion, lesion]))
    np.testing.assert_array_equal(read_lesion_probability(two), lesion)
    region = _npz(tmp_path / "one.npz", lesion[None])
    np.testing.assert_array_equal(read_lesion_probability(region), lesion)


def test_unfit_probabilities_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected numbers \\(2, Z, Y, X\\)"):
        read_lesion_probability(_npz(tmp_path / "three.npz", np.zeros((3, *SHAPE))))
    with pytest.raises(ValueError, match="not a file of nnU-Net's probabilities"):
        read_lesion_probability(_npz(tmp_path / "key.npz", np.zeros((2, *SHAPE)), key="softmax"))
    with pytest.raises(ValueError, match="outside"):
        read_lesion_probability(_npz(tmp_path / "logits.npz", np.full((2, *SHAPE), 3.0)))
    whole = _npz(tmp_path / "cut.npz", np.zeros((2, *SHAPE))).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cut.npz"):
        read_lesion_probability(tmp_path / "cut.npz")


def test_pickled_probabilities_are_not_loaded(tmp_path):
    path = _npz(tmp_path / "pickle.npz", np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        read_lesion_probability(path)


def test_flipped_probabilities_are_noticed(write_volume, tmp_path, blobs):
    probs = blobs(0, shape=(3, 30, 40))
    label = read_mask(write_volume((probs > 0.5).astype(np.uint8), tmp_path / "a.nii.gz"))
    check_probability_matches_label(probs, label, tmp_path / "a.npz")
    with pytest.raises(ValueError, match="not the argmax"):
        check_probability_matches_label(probs[:, ::-1], label, tmp_path / "a.npz")
    with pytest.raises(ValueError, match="has shape"):
        check_probability_matches_label(probs[:2], label, tmp_path / "a.npz")


def test_another_order_of_axes_is_undone(write_volume, tmp_path):
    array = np.arange(np.prod(SHAPE), dtype=np.float32).reshape(SHAPE)
    path = write_volume(array, tmp_path / "gt.nii.gz", origin=(3.0, -4.0, 5.0))
    turned = sitk.DICOMOrient(sitk.ReadImage(str(path)), "RSA")
    sitk.WriteImage(turned, str(tmp_path / "pred.nii.gz"))
    reference, other = read_image(path), read_image(tmp_path / "pred.nii.gz")
    assert other.array.shape != reference.array.shape
    np.testing.assert_array_equal(on_voxels_of(reference, other).array, array)
