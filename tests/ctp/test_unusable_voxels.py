"""Voxels without a measurement: which they are, what becomes of them, and when it is too much."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunetv2_strokesynth.channels import CT, MRI_MAPS, PERFUSION_MAPS
from nnunetv2_strokesynth.ctp.unusable_voxels import (
    check_unusable,
    clear_unusable,
    counted,
    series_unusable,
)

BRAIN = np.ones((2, 10, 10), bool)
BAD = st.sampled_from([np.nan, np.inf, -np.inf, -54112.0, 1e30, -1e30])


def sound(seed=0):
    """Values that any map may have."""
    return np.random.default_rng(seed).uniform(1, 9, BRAIN.shape).astype(np.float32)


@given(
    st.sampled_from(sorted({*PERFUSION_MAPS, *MRI_MAPS})),
    st.dictionaries(st.integers(0, 199), BAD, min_size=1, max_size=20),
    st.integers(0, 9),
)
def test_bad_voxels_become_background_and_no_other_changes(name, bad, seed):
    """Of any map, of any kind: NaN, infinity, and what no head can have; counted one by one."""
    volume = sound(seed)
    spoilt = volume.copy()
    spoilt.flat[list(bad)] = list(bad.values())
    before = spoilt.copy()
    cleared, (found,) = clear_unusable(name, spoilt)
    expected = volume.copy()
    expected.flat[list(bad)] = 0
    np.testing.assert_array_equal(cleared, expected)
    np.testing.assert_array_equal(spoilt, before)
    assert found.n_voxels == len(bad) == np.count_nonzero(found.where)
    (sentence,) = check_unusable([found], BRAIN)
    assert sentence.startswith(f"{name} holds voxels without a measurement")
    assert f"they are {len(bad) / 2:g} % of the brain" in sentence


@pytest.mark.parametrize("name", [*PERFUSION_MAPS, CT])
def test_sound_images_stay_themselves(name):
    for volume in (sound(), np.zeros(BRAIN.shape, np.float32), -0.05 * sound() + 9):
        assert clear_unusable(name, volume)[0] is volume


def test_limits_by_hand():
    """Times of -5 to 300 s; flow up to 50 times its 90th percentile, which is 9 here."""
    mtt = np.array([[[-5, 300, -5.1, 300.5, 0]]], np.float32)
    np.testing.assert_array_equal(clear_unusable("MTT", mtt)[0], [[[-5, 300, 0, 0, 0]]])
    cbf = np.full((1, 20, 20), 9, np.float32)
    cbf[0, 0, :4] = (-0.8, -1, 440, 460)
    np.testing.assert_array_equal(
        clear_unusable("CBF", cbf)[0][0, 0, :5], np.float32([-0.8, 0, 440, 0, 9])
    )
    ct = np.array([[[np.nan, 35]]], np.float32)
    np.testing.assert_array_equal(clear_unusable(CT, ct, background=-1000)[0], [[[-1000, 35]]])


def test_what_was_found_is_said():
    mtt = sound()
    mtt[0, 0, :3] = (np.nan, np.inf, -54112)
    _, found = clear_unusable("MTT", mtt)
    (sentence,) = check_unusable(found, BRAIN)
    assert "(2 NaN or infinite, 1 of -54112, expected -5 to 300 s)" in sentence
    assert counted(found) == "MTT 3" and counted([]) == ""


@pytest.mark.parametrize(("n_bad", "refused"), [(20, False), (21, True)])
def test_more_than_a_tenth_of_the_brain_is_refused(n_bad, refused):
    brain = BRAIN.copy()
    mtt = sound()
    mtt.flat[:n_bad] = np.nan
    _, found = clear_unusable("MTT", mtt)
    if refused:
        with pytest.raises(ValueError, match=r"MTT holds no measurement in 10% of the brain \(21"):
            check_unusable(found, brain)
    else:
        assert "they are 10 % of the brain" in check_unusable(found, brain)[0]
    brain.flat[:n_bad] = False
    assert "they are 0 % of the brain" in check_unusable(found, brain)[0]


def test_nothing_left():
    with pytest.raises(ValueError, match="DWI holds no measurement in any of its 200 voxels"):
        clear_unusable("DWI", np.full(BRAIN.shape, np.nan, np.float32))


def test_series():
    assert series_unusable(None) == series_unusable(~BRAIN) == []
    (found,) = series_unusable(BRAIN)
    assert found.n_voxels == 200 and "in some frame" in found.found


def test_an_image_in_another_unit_is_left_as_it_is():
    """``plausibility`` names the unit; without its values it could not."""
    seconds = np.linspace(0.1, 12, 1000, dtype=np.float32).reshape(1, 10, 100)
    for other in (1000 * seconds, seconds - 1024):
        other.flat[0] = np.nan
        kept, (found,) = clear_unusable("Tmax", other)
        np.testing.assert_array_equal(kept.flat[1:], other.flat[1:])
        assert kept.flat[0] == 0 and found.n_voxels == 1
    # Divisions by almost 0 go to both sides, even where they are the most.
    divided = 1000 * np.where(np.arange(1000).reshape(seconds.shape) % 2, seconds, -seconds)
    kept, (found,) = clear_unusable("MTT", divided.astype(np.float32))
    assert found.n_voxels > 900 and kept.max() <= 300
