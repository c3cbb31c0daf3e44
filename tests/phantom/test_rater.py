"""The rater: an outline of what is seen on the DWI, with a threshold, smoothing and misses."""

import numpy as np
import pytest

from nnunetv2_strokesynth.phantom.physics import Physics
from nnunetv2_strokesynth.phantom.rater import draw_outline, leave_out_spots, visible_lesion

RATER = Physics().rater
EVERYWHERE = np.ones((1, 64, 64), bool)
STILL = np.zeros((1, 64, 64), np.float32)


def _disc(radius=20.0):
    """Distance (pixels) inwards from the edge of a disc, (1, 64, 64)."""
    y, x = np.mgrid[:64, :64] - 31.5
    return (radius - np.hypot(y, x))[None]


def _spots():
    """A large square and two small ones of 49 and 9 pixels."""
    spots = np.zeros((1, 64, 64), bool)
    spots[0, 10:30, 10:30] = spots[0, 50:57, 50:57] = spots[0, 50:53, 10:13] = True
    return spots


def test_outline_follows_what_is_visible():
    outline = draw_outline(_spots().astype(float), STILL, EVERYWHERE, pixel_mm=1.0)
    assert abs(int(outline.sum()) - int(_spots().sum())) < 30
    generous = draw_outline(_spots().astype(float), STILL + 2.0, EVERYWHERE, pixel_mm=1.0)
    assert int(generous.sum()) > 1.2 * int(outline.sum())


def test_something_is_always_outlined():
    visible = np.zeros((1, 64, 64), np.float32)
    visible[0, 20:22, 20:22] = 1
    outline = draw_outline(visible, STILL - 5.0, EVERYWHERE, pixel_mm=1.0)
    assert 0 < int(outline.sum()) < 20 and outline[0, 20, 20]


def test_specks_are_left_out_and_small_spots_missed_by_chance():
    kept = [
        leave_out_spots(_spots(), np.random.default_rng(seed), pixel_mm=1.0, physics=RATER)
        for seed in range(200)
    ]
    assert all(found[0, 15, 15] and not found[0, 51, 11] for found in kept)
    missed = np.mean([not found[0, 53, 53] for found in kept])
    assert missed == pytest.approx(RATER.miss_probability, abs=0.1)


def test_the_largest_spot_stays_however_small_it_is():
    speck = np.zeros((1, 64, 64), bool)
    speck[0, 5:7, 5:7] = True
    for seed in range(20):
        found = leave_out_spots(speck, np.random.default_rng(seed), pixel_mm=1.0, physics=RATER)
        np.testing.assert_array_equal(found, speck)


def test_raters_draw_the_same_lesion_at_different_levels():
    """A contrast that falls linearly from 1 in the centre to 0 at the edge, and the ADC with it."""
    contrast = np.clip(_disc() / 20.0, 0, 1)
    areas = []
    for cut in (0.35, 0.5, 0.65):
        visible = visible_lesion(contrast, 0.4 * contrast, cut, RATER)
        areas.append(np.count_nonzero(visible > 0.5))
    assert areas[0] > 1.3 * areas[1] > 1.6 * areas[2]
    # The top counts as the 80th percentile of where more than half of the deepest loss is.
    deep = contrast[contrast > 0.5]
    assert areas[1] == np.count_nonzero(contrast > 0.5 * np.percentile(deep, 80))


def test_a_bright_spot_with_a_normal_adc_is_no_lesion():
    lesion = _disc(10.0) > 0
    contrast = np.where(lesion, 0.6, 0.0)
    contrast[0, 2:8, 2:8] = 0.9
    visible = visible_lesion(contrast, 0.4 * lesion, 0.5, RATER)
    assert not visible[0, 2:8, 2:8].any() and (visible[lesion] > 0.5).all()
