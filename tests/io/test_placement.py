"""Files of one patient are joined by position: the lesion stays where it is, or is refused."""

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from orders import ORDERS, TILTED, save_in_order

from nnunetv2_strokesynth.io.nifti import read_volume
from nnunetv2_strokesynth.io.placement import place, read_grid, reference_of

SHAPE = (6, 24, 20)


def lesion_of(shape=SHAPE):
    """Off the middle along every axis."""
    lesion = np.zeros(shape, np.uint8)
    z, y, x = shape
    lesion[z // 6 : z // 2, y // 2 : y - y // 6, x // 10 : x // 3] = 1
    return lesion


@pytest.fixture
def reference(tmp_path):
    path = save_in_order(tmp_path / "ct.nii.gz", np.zeros(SHAPE, np.float32), "LPS")
    return reference_of("CT", read_grid(path))


def centre_mm(mask, affine):
    """Of (Z, Y, X), in the patient's coordinates."""
    return affine[:3, :3] @ np.argwhere(mask)[:, ::-1].mean(axis=0) + affine[:3, 3]


def affine_of(grid):
    """RAS, of arrays (X, Y, Z)."""
    affine = np.eye(4)
    spacing, origin, direction = grid.geometry
    affine[:3, :3] = np.reshape(direction, (3, 3)) * spacing[::-1]
    affine[:3, 3] = origin
    return np.diag([-1, -1, 1, 1]) @ affine


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    order=st.sampled_from(ORDERS),
    shift=st.tuples(*[st.sampled_from((0.0, 0.7, -3.0, 11.0, -26.0, 200.0))] * 3),
    size=st.sampled_from((0.5, 1.0, 2.0)),
)
def test_a_lesion_stays_where_it_is_or_is_refused(tmp_path, reference, order, shift, size):
    """Axes, shifts in mm and voxel sizes; a label is placed within a voxel, or not used."""
    fine = tuple(round(n / size) for n in SHAPE)
    affine = TILTED.copy()
    affine[:3, :3] *= size
    affine[:3, 3] += shift
    lesion = lesion_of(fine)
    path = save_in_order(tmp_path / "ot.nii.gz", lesion, order, affine=affine)
    try:
        found, _ = place(path, reference).mask(read_volume(path) == 1)
    except ValueError as error:
        assert str(path) in str(error) and "voxels of" in str(error)
        return
    assert found.shape == SHAPE
    apart = centre_mm(found, affine_of(reference.grid)) - centre_mm(lesion, affine)
    assert np.abs(apart).max() < 0.5 * max(reference.grid.geometry.spacing_zyx_mm) + 0.1
    volume = found.sum() * 25 / (lesion.sum() * 25 * size**3)
    assert 0.6 < volume < 1.7


@pytest.mark.parametrize("order", ORDERS)
def test_other_orders_are_undone_without_a_word(tmp_path, reference, order):
    volume = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    path = save_in_order(tmp_path / "cbf.nii.gz", volume, order)
    placed = place(path, reference)
    np.testing.assert_array_equal(placed.image(read_volume(path)), volume)
    assert placed.moved is None and not placed.notes


def test_less_than_half_a_voxel_is_no_shift(tmp_path, reference):
    volume = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    for pixels, same in ((0.4, True), (0.6, False)):
        affine = TILTED.copy()
        affine[:3, 3] += pixels * affine[:3, 0]
        placed = place(save_in_order(tmp_path / "cbf.nii", volume, affine=affine), reference)
        assert (placed.moved is None) == same and bool(placed.notes) != same


def test_resampled_values_and_what_is_outside(tmp_path, reference):
    """A ramp along x is moved by linear interpolation; where there is no file, there is air."""
    volume = np.broadcast_to(np.arange(20, dtype=np.float32), SHAPE)
    affine = TILTED.copy()
    affine[:3, 3] += 1.5 * affine[:3, 0]
    path = save_in_order(tmp_path / "ct2.nii", volume, "RAS", affine=affine)
    placed = place(path, reference)
    found = placed.image(read_volume(path), outside=-1000.0)
    np.testing.assert_allclose(found[2, 3, 2:], np.arange(2, 20) - 1.5, atol=1e-3)
    assert found[2, 3, 0] == -1000
    (note,) = placed.notes
    assert "ct2.nii does not lie on the CT's voxels and was resampled" in note
    assert (
        "order RAS" in note and "order LPS" in note and "20 x 24 x 6 voxels of 2 x 2.5 x 5" in note
    )


def test_a_lesion_that_leaves_the_image_is_refused(tmp_path, reference):
    lesion = np.zeros(SHAPE, bool)
    lesion[:, :, :6] = True
    affine = TILTED.copy()
    affine[:3, 3] -= 4 * affine[:3, 0]
    placed = place(save_in_order(tmp_path / "ot.nii", lesion * 1.0, affine=affine), reference)
    with pytest.raises(
        ValueError, match=r"67 % of the mask lies where the reference has no voxels"
    ):
        placed.mask(lesion)


def test_a_header_without_position_needs_the_same_shape(tmp_path, reference):
    image = nibabel.Nifti1Image(np.zeros(SHAPE[::-1], np.float32), None)
    image.header["pixdim"][1:4] = 2.0, 2.5, 5.0
    nibabel.save(image, tmp_path / "cbf.nii")
    placed = place(tmp_path / "cbf.nii", reference)
    assert placed.moved is None
    assert "the header of cbf.nii does not say where its voxels lie" in placed.notes[0]
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 5, 5), np.float32), None), tmp_path / "s.nii")
    with pytest.raises(ValueError, match=r"s.nii has shape \(5, 5, 5\) \(z, y, x\), the CT has"):
        place(tmp_path / "s.nii", reference)
