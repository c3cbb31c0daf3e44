import numpy as np

from nnunetv2_strokesynth.ctp.brain_of_maps import (
    CLOSING_PX,
    brain_mask,
)


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
    np.testing.assert_array_equal(brain_mask(maps), expected)


def test_negative_values_are_brain_too():
    assert brain_mask(-maps_with((3, 0, (10, 20), (10, 20))))[0, 10:20, 10:20].all()


def test_ventricles_are_filled_slice_by_slice():
    """A hole closed in its own slice is filled, though the slice above is empty there."""
    maps = maps_with((0, 0, (5, 35), (5, 35)))
    maps[0, 0, 12:28, 12:28] = 0
    mask = brain_mask(maps)
    assert mask[0, 5:35, 5:35].all() and mask.sum() == 900


def test_narrow_gaps_are_closed_and_wide_ones_stay():
    width = 2 * CLOSING_PX
    maps = maps_with((0, 0, (5, 35), (5, 12)), (0, 0, (5, 35), (12 + width, 35)))
    assert brain_mask(maps)[0, 10:30, 5:35].all()
    maps = maps_with((0, 0, (5, 35), (5, 12)), (0, 0, (5, 35), (13 + width, 35)))
    assert not brain_mask(maps)[0, 10:30, 12 : 13 + width].any()


def test_a_brain_at_the_edge_of_the_image_is_not_eroded():
    maps = maps_with((0, 0, (0, 40), (0, 15)))
    np.testing.assert_array_equal(brain_mask(maps), maps[0] != 0)


def test_no_map_no_brain():
    mask = brain_mask(np.zeros((4, 2, 8, 8)))
    assert mask.dtype == bool and not mask.any()
