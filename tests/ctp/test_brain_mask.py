"""The brain by its density, with its skull and without, and by perfusion maps."""

import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.brain_mask import (
    CLOSING_PX,
    brain_of_maps,
    brain_of_series,
    rim_of_brain,
    tissue_of_brain,
)
from nnunetv2_strokesynth.phantom.dataset import simulate_scan
from nnunetv2_strokesynth.phantom.plan import plan_scans

SPACING_MM = (10.0, 2.0, 2.0)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def head_ct(n_slices=2):
    """Ring of bone, 4 pixels of scalp around it, ventricles, a vessel at the rim; and the brain."""
    y, x = np.mgrid[:96, :96] - 47.5
    radius = np.hypot(y, x)
    plane = np.full((96, 96), -1000.0)
    plane[radius < 44] = 15.0
    plane[radius < 40] = 1000.0
    plane[radius < 36] = 35.0
    plane[np.hypot(y, x - 5) < 6] = 5.0
    plane[29:32, 13:16] = 160.0
    return np.repeat(plane[None], n_slices, axis=0), np.repeat((radius < 36)[None], n_slices, 0)


def test_brain_inside_its_skull():
    ct, brain = head_ct()
    found = brain_of_series(ct, SPACING_MM)
    assert dice(found, brain) > 0.97
    assert found[:, 45:50, 50:55].all(), "ventricles belong to the brain"
    assert not found[ct > 900].any() and not found[ct == 15].any()


@pytest.mark.parametrize("outside", [0, -1000, -1024])
def test_stripped_brain(outside):
    ct, brain = head_ct()
    assert dice(brain_of_series(np.where(brain, ct, outside), SPACING_MM), brain) > 0.98


def test_gap_in_the_skull_is_bridged():
    ct, brain = head_ct()
    ct[:, 46:49, :14] = 15.0  # 6 mm
    assert dice(brain_of_series(ct, SPACING_MM), brain) > 0.97


def test_open_skull_gives_no_scalp():
    ct, brain = head_ct()
    ct[:, :30, 30:60][ct[:, :30, 30:60] == 1000] = 15.0
    found = brain_of_series(ct, SPACING_MM)
    assert dice(found, brain) > 0.9
    assert not found[:, 40:55, :5].any() and not found[:, 90:].any()


def test_slice_of_air_is_empty_and_others_stay():
    ct, brain = head_ct(3)
    ct[1] = -1000
    found = brain_of_series(ct, SPACING_MM)
    assert not found[1].any() and dice(found[[0, 2]], brain[[0, 2]]) > 0.97


@pytest.mark.parametrize("ct", [np.full((2, 40, 40), -1000.0), head_ct()[0] + 1024])
def test_no_brain_is_an_error(ct):
    with pytest.raises(ValueError, match="no brain is found.*HU"):
        brain_of_series(ct, SPACING_MM)


def test_tissue_is_brain_without_csf_and_rim_is_around_it():
    ct, brain = head_ct()
    tissue = tissue_of_brain(brain, ct, SPACING_MM)
    assert not tissue[:, 45:50, 50:55].any() and tissue[:, 60:70, 40:50].all()
    assert not tissue[:, 30, 14].any(), "a vessel full of contrast"
    cut = brain.copy()
    cut[:, :, :20] = False
    rim = rim_of_brain(cut, ct, SPACING_MM)
    assert rim[:, 45, 18:20].all() and not rim[:, 45, :17].any()
    assert not (rim & cut).any() and not rim[ct > 900].any()
    nothing = np.full_like(ct, 500.0)
    np.testing.assert_array_equal(tissue_of_brain(brain, nothing, SPACING_MM), brain)


def test_brain_of_the_phantom():
    case = simulate_scan(plan_scans(31, 0, 1, size=64, max_slices=3)[0])
    spacing = (case.grid.slice_mm, case.grid.pixel_mm, case.grid.pixel_mm)
    mean = case.ctp.mean(axis=0)
    assert dice(brain_of_series(mean, spacing), case.brain) > 0.95


def maps_with(*boxes, shape=(2, 40, 40)):
    """Four maps of zeros; box ``(map, z, y slice, x slice)`` is 1."""
    maps = np.zeros((4, *shape), dtype=np.float32)
    for index, z, y, x in boxes:
        maps[index, z, slice(*y), slice(*x)] = 1
    return maps


def test_any_map_counts():
    """Each map covers a quarter of a square; the mask is the whole square."""
    maps = maps_with(
        (0, 0, (10, 20), (10, 20)),
        (1, 0, (10, 20), (20, 30)),
        (2, 0, (20, 30), (10, 20)),
        (3, 0, (20, 30), (20, 30)),
    )
    expected = np.zeros((2, 40, 40), dtype=bool)
    expected[0, 10:30, 10:30] = True
    np.testing.assert_array_equal(brain_of_maps(maps), expected)


def test_negative_values_are_brain_too():
    assert brain_of_maps(-maps_with((3, 0, (10, 20), (10, 20))))[0, 10:20, 10:20].all()


def test_ventricles_are_filled_slice_by_slice():
    """A hole closed in its own slice is filled, though the slice above is empty there."""
    maps = maps_with((0, 0, (5, 35), (5, 35)))
    maps[0, 0, 12:28, 12:28] = 0
    mask = brain_of_maps(maps)
    assert mask[0, 5:35, 5:35].all() and mask.sum() == 900


def test_narrow_gaps_are_closed_and_wide_ones_stay():
    width = 2 * CLOSING_PX
    maps = maps_with((0, 0, (5, 35), (5, 12)), (0, 0, (5, 35), (12 + width, 35)))
    assert brain_of_maps(maps)[0, 10:30, 5:35].all()
    maps = maps_with((0, 0, (5, 35), (5, 12)), (0, 0, (5, 35), (13 + width, 35)))
    assert not brain_of_maps(maps)[0, 10:30, 12 : 13 + width].any()


def test_a_brain_at_the_edge_of_the_image_is_not_eroded():
    maps = maps_with((0, 0, (0, 40), (0, 15)))
    np.testing.assert_array_equal(brain_of_maps(maps), maps[0] != 0)


def test_no_map_no_brain():
    mask = brain_of_maps(np.zeros((4, 2, 8, 8)))
    assert mask.dtype == bool and not mask.any()
