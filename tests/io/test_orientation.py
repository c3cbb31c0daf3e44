"""Orders of axes: LPS from any of 48, and back, voxel by voxel."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from orders import ORDERS, TILTED, save_in_order

from nnunetv2_strokesynth.io.nifti import Geometry, read_volume, write_volume
from nnunetv2_strokesynth.io.orientation import (
    Reorientation,
    axis_order,
    reorientation_to,
    says_nothing,
)
from nnunetv2_strokesynth.io.placement import read_grid, reference_of

VOLUME = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)


@pytest.mark.parametrize("order", ORDERS)
def test_any_order_gives_the_same_voxels_and_comes_back(tmp_path, order):
    path = save_in_order(tmp_path / "a.nii.gz", VOLUME, order)
    grid, stored = read_grid(path), read_volume(path)
    assert grid.order == order and grid.known
    reference = reference_of("a", grid)
    found = reference.reorientation.apply(stored)
    np.testing.assert_array_equal(found, VOLUME)
    assert found.flags.c_contiguous
    assert reference.grid.shape_zyx == VOLUME.shape
    plain = reference_of("a", read_grid(save_in_order(tmp_path / "lps.nii.gz", VOLUME))).grid
    for part, expected in zip(reference.grid.geometry, plain.geometry, strict=True):
        np.testing.assert_allclose(part, expected, atol=1e-4)
    np.testing.assert_array_equal(reference.reorientation.undo(found), stored)
    # SimpleITK reads what is written back as the same image.
    write_volume(tmp_path / "out.nii.gz", reference.reorientation.undo(found), grid.geometry)
    ours, theirs = (sitk.ReadImage(str(tmp_path / name)) for name in ("out.nii.gz", "a.nii.gz"))
    np.testing.assert_allclose(ours.GetDirection(), theirs.GetDirection(), atol=1e-5)
    np.testing.assert_allclose(ours.GetOrigin(), theirs.GetOrigin(), atol=1e-4)
    for z, y, x in ((0, 0, 0), (2, 1, 4), (1, 3, 0)):
        stored_xyz = reference.stored_voxel((x, y, z))
        assert stored[stored_xyz[::-1]] == VOLUME[z, y, x]
        assert reference.read_voxel(stored_xyz) == (x, y, z)


@pytest.mark.parametrize("order", ORDERS[::5])
def test_simpleitk_agrees(order):
    image = sitk.GetImageFromArray(VOLUME)
    image.SetSpacing((2.0, 3.0, 5.0))
    image.SetOrigin((7.0, -8.0, 9.0))
    turned = sitk.DICOMOrient(image, order)
    turn = reorientation_to(turned.GetDirection())
    assert axis_order(turned.GetDirection()) == order
    array = sitk.GetArrayFromImage(turned)
    np.testing.assert_array_equal(turn.apply(array), VOLUME)
    geometry = Geometry(turned.GetSpacing()[::-1], turned.GetOrigin(), turned.GetDirection())
    found = turn.geometry_of(geometry, array.shape)
    assert found.spacing_zyx_mm == (5.0, 3.0, 2.0)
    np.testing.assert_allclose(found.origin_xyz_mm, (7.0, -8.0, 9.0))
    np.testing.assert_allclose(found.direction, np.eye(3).ravel(), atol=1e-12)


def test_series_and_leading_axes():
    series = np.arange(2 * 60).reshape(2, 3, 4, 5)
    turn = Reorientation((2, 0, 1), (True, False, True))
    turned = turn.apply(series)
    for frame, expected in zip(turned, series, strict=True):
        np.testing.assert_array_equal(frame, turn.apply(expected))
    np.testing.assert_array_equal(turn.undo(turned), series)
    assert turn.shape_of((3, 4, 5)) == turned.shape[1:]


def test_voxels_outside_the_image():
    with pytest.raises(ValueError, match=r"voxel x y z = 5 0 0 lies outside the image of \(5, 4"):
        Reorientation().wanted_voxel((5, 0, 0), (3, 4, 5))


def test_headers_that_say_nothing(tmp_path):
    """Both codes 0; or sform and qform that name other axes."""
    image = nibabel.Nifti1Image(VOLUME.T, TILTED)
    image.set_sform(TILTED, code=0)
    image.set_qform(TILTED, code=0)
    nibabel.save(image, tmp_path / "codes.nii")
    image.set_sform(TILTED, code=1)
    image.set_qform(TILTED @ np.diag([-1, -1, 1, 1]), code=1)
    nibabel.save(image, tmp_path / "two.nii")
    for name in ("codes.nii", "two.nii"):
        grid = read_grid(tmp_path / name)
        assert not grid.known and grid.order == "unknown"
        assert grid.geometry.spacing_zyx_mm == pytest.approx((5, 2.5, 2.0))
        reference = reference_of("a", grid)
        assert reference.reorientation == Reorientation()


def test_a_geometry_without_position_names_no_side():
    geometry = Geometry((5.0, 1.0, 1.0))
    assert says_nothing(geometry.direction, geometry.origin_xyz_mm)
    assert not says_nothing(geometry.direction, (0.0, 3.0, 0.0))
    assert not says_nothing((-1, 0, 0, 0, -1, 0, 0, 0, 1), (0, 0, 0))
