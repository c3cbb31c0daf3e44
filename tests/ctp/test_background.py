"""Whatever constant the software wrote outside the brain, the brain and its values are the same."""

import numpy as np
import pytest
from backgrounds import BACKGROUNDS, with_background
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.ctp.background import (
    clear_background,
    constant_surroundings,
    name_backgrounds,
)
from nnunetv2_strokesynth.ctp.brain_mask import brain_of_maps, brain_of_scan
from nnunetv2_strokesynth.phantom.dataset import simulate_scan
from nnunetv2_strokesynth.phantom.plan import plan_scans


@pytest.fixture(scope="module")
def case():
    return simulate_scan(plan_scans(31, 0, 1, size=64, max_slices=3)[0])


@pytest.fixture(scope="module")
def maps(case):
    """(4, Z, Y, X); 0 outside the brain, in ventricles and in vessels."""
    return np.stack([np.asarray(volume, np.float32) for volume in case.maps])


def spacing(case):
    return (case.grid.slice_mm, case.grid.pixel_mm, case.grid.pixel_mm)


@settings(max_examples=60, deadline=None)
@given(BACKGROUNDS, st.booleans(), st.sampled_from([0.0, 1e-6]), st.booleans())
def test_any_constant_in_any_map(maps, values, inside_too, noise, as_integers):
    """Also where the maps' zeros inside the brain stay 0, and where maps are whole numbers."""
    expected = np.rint(10 * maps) if as_integers else maps
    outside = None if inside_too else ~brain_of_maps(maps)
    given_maps = [
        with_background(volume, value, outside, noise * max(1, abs(value)))
        if not np.isnan(value)
        else with_background(volume, value, outside)
        for volume, value in zip(expected, values, strict=True)
    ]
    kept = [volume.copy() for volume in given_maps]
    cleared = clear_background(given_maps)
    for found, volume in zip(cleared.maps, expected, strict=True):
        np.testing.assert_array_equal(found, volume)
    for volume, before in zip(given_maps, kept, strict=True):
        np.testing.assert_array_equal(volume, before)
    for found, value in zip(cleared.constants, values, strict=True):
        assert len(found) == (value != 0)
        if value:
            np.testing.assert_allclose(found, [value], rtol=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 500, width=32))
def test_constant_amid_the_maps_own_values(maps, value):
    """It is told from tissue by the other maps, which have their background in the same place."""
    outside = ~brain_of_maps(maps)
    given_maps = [maps[0], maps[1], maps[2], with_background(maps[3], value, outside)]
    found = clear_background(given_maps)
    np.testing.assert_array_equal(found.maps[3][~outside], maps[3][~outside])
    assert not found.maps[3][outside].any()


def test_several_constants_in_one_map(maps):
    """-30 around the brain, 0 in slices that were not covered, NaN in a corner of the gantry."""
    outside = ~brain_of_maps(maps)
    tmax = with_background(maps[3], -30, outside)
    tmax[0] = 0
    tmax[1, :, :12] = np.nan
    expected = np.where(outside, 0, maps[3])
    expected[0] = 0
    expected[1, :, :12] = 0
    found = clear_background([*maps[:3], tmax])
    np.testing.assert_array_equal(found.maps[3], expected)
    assert name_backgrounds(PERFUSION_MAPS, found.constants) in (
        "Tmax nan and -30",
        "Tmax -30 and nan",
    )


def test_field_of_view_that_was_turned(maps):
    """0 at the rim, where the turned image ends, and -30 between this and the brain."""
    rim = np.ones(maps.shape[1:], bool)
    rim[:, 4:-4, 4:-4] = False
    tmax = np.where(rim, 0, with_background(maps[3], -30))
    np.testing.assert_array_equal(clear_background([*maps[:3], tmax]).maps[3], maps[3])


@pytest.mark.parametrize("as_integers", [False, True])
def test_crop_that_the_brain_fills(as_integers):
    """No background, however often the normal Tmax of 1 s or the clamped MTT of 20 s occurs."""
    rng = np.random.default_rng(3)
    shape = (2, 40, 40)
    values = [rng.gamma(4, scale, shape) for scale in (10, 1, 2, 0.3)]
    if as_integers:
        values = [np.rint(volume) for volume in values]
        values[3] = 1 + (rng.random(shape) > 0.6)
    values[2] = np.minimum(values[2] + 1, 6)
    volumes = [volume.astype(np.float32) for volume in values]
    cleared = clear_background(volumes)
    for found, volume in zip(cleared.maps, volumes, strict=True):
        np.testing.assert_array_equal(found, volume)
    brain = brain_of_scan(np.stack(cleared.maps), np.full(shape, 35.0), (5.0, 2.0, 2.0))
    assert brain.mask.all() and brain.source == "maps" and not brain.warnings


def noise_outside(maps, seed=0):
    """Maps that were not masked: where nothing was to be computed they hold noise."""
    rng = np.random.default_rng(seed)
    return [
        np.where(volume == 0, rng.normal(2, 3, volume.shape), volume).astype(np.float32)
        for volume in maps
    ]


@pytest.mark.parametrize("tmax_background", [None, -30.0])
def test_unmasked_maps_leave_the_brain_to_the_ct(case, maps, tmax_background):
    """As in ISLES 2024, where Tmax alone has a background."""
    unmasked = noise_outside(maps)
    if tmax_background is not None:
        unmasked[3] = with_background(maps[3], tmax_background)
    cleared = np.stack(clear_background(unmasked).maps)
    ct = np.asarray(case.ct, np.float32)
    found = brain_of_scan(cleared, ct, spacing(case))
    assert found.source == "CT" and "not masked to the brain" in found.warnings[0]
    dice = 2 * (found.mask & case.brain).sum() / (found.mask.sum() + case.brain.sum())
    assert dice > 0.9
    masked = brain_of_scan(maps, ct, spacing(case))
    assert masked.source == "maps" and not masked.warnings


def test_unmasked_maps_and_a_ct_without_a_brain(case, maps):
    cleared = np.stack(clear_background(noise_outside(maps)).maps)
    found = brain_of_scan(cleared, np.asarray(case.ct, np.float32) + 1024, spacing(case))
    assert found.mask.mean() > 0.9 and "the CT shows no brain" in found.warnings[0]


def test_nothing_but_background_is_no_brain():
    cleared = clear_background([np.full((2, 30, 30), value) for value in (-1.0, 0, np.nan, -30)])
    with pytest.raises(ValueError, match="nothing but background"):
        brain_of_scan(np.stack(cleared.maps), np.zeros((2, 30, 30)), (5, 1, 1))


def test_few_voxels_that_are_no_number_are_no_background(maps):
    spoilt = maps[2].copy()
    spoilt[1, 30:33, 30:33] = np.nan
    found = clear_background([maps[0], maps[1], spoilt, maps[3]])
    np.testing.assert_array_equal(found.maps[2], spoilt)
    assert found.constants == [[], [], [], []]


@pytest.mark.parametrize("outside", [0.0, -1024.0, -3024.0])
def test_surroundings_of_a_ct(case, outside):
    """The same value inside the brain is a density, not background."""
    ct = np.rint(np.asarray(case.ct, np.float32))
    ct[:, 30:33, 30:33] = outside
    stripped = np.where(case.brain, ct, np.float32(outside))
    found = constant_surroundings(stripped)
    assert not found[:, 30:33, 30:33].any()
    assert (found & case.brain).sum() < 0.02 * case.brain.sum()
    assert found[~case.brain].mean() > 0.99
    noisy = np.random.default_rng(0).normal(-990, 20, ct.shape).astype(np.float32)
    assert not constant_surroundings(noisy).any()


def test_steps_of_the_sample_that_fit_the_rows():
    # 195 x 256 x 256 voxels make steps of 256: all of the sample would lie in the first column.
    shape = (195, 256, 256)
    y, x = np.ogrid[:256, :256]
    inside = (y - 128) ** 2 + (x - 128) ** 2 < 90**2
    volume = np.full(shape, np.float32(1000))
    volume[:, inside] = np.linspace(1, 60, int(inside.sum()), dtype=np.float32)
    (constants,) = clear_background([volume]).constants
    assert constants == [1000]
