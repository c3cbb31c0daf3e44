"""The scales of a DWI: affine, unclipped, and ours does not move with the lesion."""

import numpy as np
import pytest

from nnunetv2_strokesynth.dataloading.dwi_scaling import (
    BRAIN,
    PAPER,
    SCALES,
    find_scale,
    healthy_level,
    likely_brain,
    scale_dwi,
)

SHAPE = (4, 60, 60)


def head(lesion_share: float, seed: int = 0, gain: float = 1.7, sd: float = 0.12):
    """DWI of a head in air with a lesion of a share of the brain, and masks of brain and lesion."""
    rng = np.random.default_rng(seed)
    _, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    brain = (y - 30) ** 2 + (x - 30) ** 2 < 22**2
    dwi = 300 * rng.normal(1, sd, SHAPE) * brain + np.abs(rng.normal(0, 4, SHAPE))
    dwi[brain & (rng.random(SHAPE) < 0.1)] *= 0.5  # CSF
    order = np.argsort(np.where(brain, x, 1000), axis=None, kind="stable")
    lesion = np.zeros(brain.size, bool)
    lesion[order[: round(lesion_share * brain.sum())]] = True
    lesion = lesion.reshape(SHAPE)
    return np.where(lesion, gain * dwi, dwi), brain, lesion


def test_paper_scale_uses_minimum_and_99th_percentile_and_does_not_clip():
    dwi = np.arange(101, dtype=np.float32).reshape(1, 1, 101) + 7
    scaled = scale_dwi(dwi)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled[0, 0], np.arange(101) / 99, rtol=1e-6)


@pytest.mark.parametrize("scale", SCALES)
def test_scales_are_affine_and_can_be_reversed(scale):
    dwi, brain, lesion = head(0.004)
    found = find_scale(dwi, scale, brain)
    scaled = scale_dwi(dwi, scale, brain)
    np.testing.assert_allclose(found.raw(scaled.astype(np.float64)), dwi, atol=1e-2)
    # Nothing is clipped: the lesion keeps its ratio to the brain above the background.
    ratio = dwi[lesion].mean() / dwi[brain & ~lesion].mean()
    low = scaled[~brain].mean()
    found_ratio = (scaled[lesion].mean() - low) / (scaled[brain & ~lesion].mean() - low)
    assert found_ratio == pytest.approx(ratio, rel=0.02) and scaled.max() > 1.0


@pytest.mark.parametrize("scale", SCALES)
def test_a_constant_volume_becomes_zero(scale):
    assert not scale_dwi(np.full((2, 3, 3), 5.0), scale).any()
    assert not scale_dwi(np.full((2, 3, 3), 5.0), scale, np.ones((2, 3, 3), bool)).any()


def test_few_bright_voxels_are_not_lost():
    dwi = np.zeros((1, 40, 40), dtype=np.float32)
    dwi[0, 0, 0] = 10.0  # fewer than 1 %: the percentile equals the minimum
    assert scale_dwi(dwi).max() == 1.0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("gain", [1.3, 1.7, 2.5])
@pytest.mark.parametrize("sd", [0.06, 0.12])
def test_healthy_brain_stays_where_it_is_while_the_lesion_grows(seed, gain, sd):
    """From no lesion to a fifth of the brain; the paper's scale moves healthy brain by far more."""
    moves = {scale: [] for scale in SCALES}
    for share in (0.0, 0.01, 0.05, 0.1, 0.2):
        dwi, brain, lesion = head(share, seed, gain, sd)
        for scale in SCALES:
            moves[scale].append(scale_dwi(dwi, scale, brain)[brain & ~lesion].mean())
    assert np.ptp(moves[BRAIN]) < 0.02
    assert np.ptp(moves[PAPER]) > 0.1
    assert moves[BRAIN][0] == pytest.approx(0.5, abs=0.04)


def test_single_voxels_of_undershoot_do_not_move_the_brain():
    dwi, brain, _ = head(0.05)
    before = scale_dwi(dwi, BRAIN, brain)[brain].mean()
    dwi[0, 0, :3] = -500.0
    assert scale_dwi(dwi, BRAIN, brain)[brain].mean() == pytest.approx(before, abs=0.005)


def test_brain_that_the_dwi_does_not_cover_does_not_count():
    dwi, brain, _ = head(0.0)
    whole = scale_dwi(dwi, BRAIN, brain)[1][brain[1]].mean()
    dwi[2:] = 0.0
    assert scale_dwi(dwi, BRAIN, brain)[1][brain[1]].mean() == pytest.approx(whole, abs=0.02)


@pytest.mark.parametrize("useless", [None, np.zeros(SHAPE, bool), np.ones(SHAPE, bool)])
def test_without_a_useful_mask_the_dwi_shows_the_head(useless):
    dwi, brain, _ = head(0.1)
    found = likely_brain(dwi, useless)
    assert (found & brain).sum() > 0.85 * brain.sum() and not (found & ~brain).any()
    with_mask = find_scale(dwi, BRAIN, brain)
    assert find_scale(dwi, BRAIN, useless).unit == pytest.approx(with_mask.unit, rel=0.08)


def test_healthy_level_by_hand():
    """Median 3, robust sd 1.4826: 100 lies above the cut; the median of the others is 2.5."""
    assert healthy_level(np.array([1.0, 2, 3, 4, 100])) == 2.5
    assert healthy_level(np.array([7.0])) == 7.0


def test_unknown_scales_and_other_shapes_are_refused():
    with pytest.raises(ValueError, match="'median', expected one of paper, brain"):
        find_scale(np.zeros((1, 2, 2)), "median")
    with pytest.raises(ValueError, match="shape"):
        find_scale(np.zeros((1, 2, 2)), BRAIN, np.zeros((1, 2, 3), bool))
