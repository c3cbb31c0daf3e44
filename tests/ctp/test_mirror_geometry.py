"""Mirrored channels against formulas in numpy: interpolation, the reported shift, hard starts."""

import math

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.ctp.mirror import (
    REGISTERED,
    find_mirror,
    mirrored,
)

SPACING = (6.0, 2.2, 1.7)


def grid_mm(shape_yx, spacing):
    """y and x of the pixels of a slice, with the origin in its middle."""
    axes = zip(shape_yx, spacing[1:], strict=True)
    return np.meshgrid(*((np.arange(n) - (n - 1) / 2) * size for n, size in axes), indexing="ij")


def bilinear(image, row, column):
    """Weights of the four neighbours by hand; 0 beyond the outermost pixel centres."""
    top = np.clip(np.floor(row).astype(int), 0, image.shape[0] - 2)
    left = np.clip(np.floor(column).astype(int), 0, image.shape[1] - 2)
    down, right = row - top, column - left
    value = (
        image[top, left] * (1 - down) * (1 - right)
        + image[top, left + 1] * (1 - down) * right
        + image[top + 1, left] * down * (1 - right)
        + image[top + 1, left + 1] * down * right
    )
    rows, columns = image.shape
    inside = (row >= 0) & (row <= rows - 1) & (column >= 0) & (column <= columns - 1)
    return np.where(inside, value, 0)


def test_channels_are_interpolated_linearly_at_the_transformed_positions():
    angle, centre, shift = math.radians(17.0), np.array([4.0, -7.5]), np.array([3.3, 1.9])
    transform = sitk.Euler2DTransform()
    transform.SetCenter(centre.tolist())
    transform.SetAngle(angle)
    transform.SetTranslation(shift.tolist())
    volume = np.random.default_rng(0).normal(40, 10, (2, 21, 26)).astype(np.float32)
    y, x = grid_mm(volume.shape[1:], SPACING)
    u, v = x - centre[0], y - centre[1]
    to_x = math.cos(angle) * u - math.sin(angle) * v + centre[0] + shift[0]
    to_y = math.sin(angle) * u + math.cos(angle) * v + centre[1] + shift[1]
    column = to_x / SPACING[2] + (volume.shape[2] - 1) / 2
    row = to_y / SPACING[1] + (volume.shape[1] - 1) / 2
    found = mirrored(volume, transform, SPACING)
    # At half a pixel from the border SimpleITK and the formula differ in what is still inside.
    clear = (np.abs(row - 10) < 9.9) & (np.abs(column - 12.5) < 12.4)
    far = (np.abs(row - 10) > 10.6) | (np.abs(column - 12.5) > 13.1)
    assert clear.sum() > 200 and far.sum() > 30
    for image, other in zip(volume, found, strict=True):
        expected = bilinear(image[:, ::-1], row, column)
        np.testing.assert_allclose(other[clear], expected[clear], atol=1e-3)
        assert not other[far].any()


def upper_slice(tilt_deg, shift_mm, shape=(2, 100, 120)):
    """A slice above the ventricles: a round brain, a midline fissure, five pairs of sulci."""
    y, x = grid_mm(shape[1:], SPACING)
    y, x = y - shift_mm[1], x - shift_mm[0]
    tilt = math.radians(tilt_deg)
    across = np.cos(tilt) * x + np.sin(tilt) * y
    along = np.cos(tilt) * y - np.sin(tilt) * x
    ct = np.where(np.abs(across) < 2, 10.0, 33.0)
    for angle in np.radians(range(30, 180, 30)):
        side_mm, down_mm = 52 * math.sin(angle), -52 * math.cos(angle)
        ct[np.hypot(np.abs(across) - side_mm, along - down_mm) < 6] = 10
    brain = np.hypot(across, along) < 65
    noise = np.random.default_rng(3).normal(0, 3, shape)
    return np.where(brain, ct, -1000) + noise, np.broadcast_to(brain, shape).copy()


@pytest.mark.parametrize(("tilt_deg", "shift_mm"), [(-14, (6, 5)), (13, (-8, 3))])
def test_tilt_is_found_where_a_sulcus_may_be_taken_for_its_neighbour(tilt_deg, shift_mm):
    """Sulci at equal distances hold a descent that starts at 0: angles have to be searched."""
    ct, brain = upper_slice(tilt_deg, shift_mm)
    found = find_mirror(ct, brain, SPACING)
    assert found.rule == REGISTERED
    assert found.rotation_deg == pytest.approx(-2 * tilt_deg, abs=0.5)


def test_shift_is_how_far_the_middle_of_the_brain_moves():
    """From (x, y) in the scan to (-x, y) in the flipped one: 2 |x|, whatever the tilt."""
    for tilt_deg, shift_mm in ((0, (9, 4)), (8, (-7, 6))):
        ct, brain = upper_slice(tilt_deg, shift_mm)
        found = find_mirror(ct, brain, SPACING)
        assert found.shift_mm == pytest.approx(2 * abs(shift_mm[0]), abs=1.0)
        moved = np.array(found.transform.TransformPoint([float(mm) for mm in shift_mm]))
        np.testing.assert_allclose(moved, (-shift_mm[0], shift_mm[1]), atol=0.85)
