"""Motion of the head between frames, measured and taken out."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from nnunetv2_strokesynth.ctp.motion import WithoutMotion, measure_motion
from nnunetv2_strokesynth.phantom.acquisition import draw_motion, move_slices
from nnunetv2_strokesynth.phantom.dataset import simulate_scan
from nnunetv2_strokesynth.phantom.physics import DEFAULT_PHYSICS
from nnunetv2_strokesynth.phantom.plan import plan_scans

SPACING_MM = (5.0, 2.0, 2.0)
T, N = 8, 96
# dy mm, dx mm, degrees of each frame.
MOTION = np.zeros((T, 3))
MOTION[3:5] = [2.0, -1.0, 1.5]
MOTION[6] = [-1.0, 4.0, -2.0]


def head(n_slices: int) -> np.ndarray:
    """(Z, Y, X) HU: an elliptic head with bone, ventricles, petrous bones and a nose."""
    y, x = (np.mgrid[:N, :N] - (N - 1) / 2) * 2.0
    slices = []
    for z in range(n_slices):
        size = 1 - 0.03 * z
        radius = np.hypot(y, 1.2 * x) / size
        plane = np.full((N, N), -1000.0)
        for edge_mm, hu in ((84, 60), (80, 900), (74, 35)):
            plane[radius < edge_mm] = hu
        plane[(np.abs(y + 30) < 12) & (np.abs(np.abs(x) - 40) < 6)] = 700
        plane[(np.abs(y - 5 * z) < 20) & (np.abs(x) < 5)] = 8
        slices.append(plane)
    return ndimage.gaussian_filter(np.stack(slices), (0, 0.5, 0.5)).astype(np.float32)


def series(n_slices: int, motion: np.ndarray, *, noise_hu: float = 6.0, rest: bool = True):
    """(T, Z, Y, X): the head moved in each frame, an artery that fills, a rest that stays."""
    still, rng = head(n_slices), np.random.default_rng(2)
    frames = np.stack([move_slices(still, one, SPACING_MM[1]) for one in motion])
    bolus = 200 * np.exp(-(((np.arange(len(motion)) - 4) / 1.5) ** 2))
    frames[:, :, 60:63, 40:43] += bolus[:, None, None, None]
    if rest:
        frames[:, :, -3:, 20:-20] = -20
    return (frames + rng.normal(0, noise_hu, frames.shape)).astype(np.float32)


@pytest.mark.parametrize("n_slices", [2, 8])
def test_known_motion_is_found_and_taken_out(n_slices):
    moved = series(n_slices, MOTION)
    motion = measure_motion(moved, SPACING_MM)
    assert motion.in_plane == (n_slices == 2) and motion.corrected
    np.testing.assert_allclose(motion.turn_deg, np.abs(MOTION[:, 2]), atol=0.3)
    expected = np.hypot(MOTION[:, 0], MOTION[:, 1])
    np.testing.assert_allclose(motion.shift_mm, expected, atol=0.5)
    still = series(n_slices, 0 * MOTION)
    errors = [
        np.abs(np.stack(list(one)) - still)[:, :, 10:-10].mean(axis=(1, 2, 3))
        for one in (moved, WithoutMotion(moved, motion, SPACING_MM))
    ]
    assert errors[1][[3, 4, 6]].max() < 0.5 * errors[0][[3, 4, 6]].min()
    assert errors[1][[0, 1, 2, 5, 7]].max() == 0  # what has not moved is not interpolated
    assert "up to" in motion.warnings[0] and "in 3 of 8 frames" in motion.warnings[0]
    row = motion.row
    assert len(row["motion_mm"]) == T and row["motion_largest_mm"] > 4


def test_a_still_head_stays_as_it_is():
    still = series(4, 0 * MOTION, noise_hu=10.0)
    motion = measure_motion(still, SPACING_MM)
    assert not motion.corrected and motion.moved_mm.max() < 0.5 and not motion.warnings
    for before, after in zip(still, WithoutMotion(still, motion, SPACING_MM), strict=True):
        np.testing.assert_array_equal(after, before)


def test_motion_out_of_the_plane():
    still = head(12)
    lifted = ndimage.shift(still, (0.6, 0, 0), order=1, mode="nearest")
    motion = measure_motion([still] * 3 + [lifted], SPACING_MM)
    assert motion.shift_mm[3] == pytest.approx(3.0, abs=0.5)
    assert motion.moved_mm[:3].max() < 0.2


def test_images_without_a_head_do_not_move():
    noise = np.random.default_rng(0).normal(0, 5, (5, 3, 24, 24))
    for frames in (noise, np.zeros((5, 1, 16, 16))):
        motion = measure_motion(frames.astype(np.float32), SPACING_MM)
        assert np.isfinite(motion.moved_mm).all() and motion.moved_mm.max() < 30


STILL = {"drift_sd": (0.0,) * 3, "jitter_sd": (0.0,) * 3, "jolt_probability": 0.0}
FEW = slice(None, None, 4)  # every fourth frame: before, in and after the bolus


def scan_of(vendor: str, **motion: object):
    """A scan of four slices, in which motion out of the plane is looked for, and its voxels."""
    plans = plan_scans(0, 0, 12, size=64, max_slices=4)
    plan = next(p for p in plans if p.vendor == vendor and p.grid.n_slices == 4)
    physics = dataclasses.replace(
        DEFAULT_PHYSICS, ct=dataclasses.replace(DEFAULT_PHYSICS.ct, **motion)
    )
    case = simulate_scan(plan, physics=physics)
    return case.ctp, (case.grid.slice_mm, case.grid.pixel_mm, case.grid.pixel_mm)


@pytest.mark.parametrize("vendor", ["A", "B", "C", "D"])
def test_contrast_and_noise_are_no_motion(vendor):
    """A still head of every vendor: bolus, noise and the last frames move nothing."""
    ctp, spacing = scan_of(vendor, **STILL)
    motion = measure_motion(np.concatenate([ctp[:3], ctp[3:][FEW], ctp[-1:]]), spacing)
    assert motion.moved_mm.max() < 0.25 and not motion.corrected


def test_motion_in_the_plane_is_not_tilted(monkeypatch):
    """The phantom's heads move in the plane alone; a few thick slices can be tilted unseen."""
    drawn = []

    def draw(*args):
        drawn.append(draw_motion(*args))
        return drawn[-1]

    monkeypatch.setattr("nnunetv2_strokesynth.phantom.case.draw_motion", draw)
    ctp, spacing = scan_of("B", jolt_probability=0.0)
    keep = [0, 1, 2, *range(3, len(ctp), 4)]
    motion = measure_motion(ctp[keep], spacing)
    true = drawn[0][keep] - drawn[0][:3].mean(axis=0)
    expected = np.hypot(true[:, 0], true[:, 1])
    assert not motion.in_plane and expected.max() > 0.5
    np.testing.assert_allclose(motion.shift_mm, expected, atol=0.3)
    np.testing.assert_allclose(motion.turn_deg, np.abs(true[:, 2]), atol=0.3)
