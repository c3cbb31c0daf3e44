"""The rater, who outlines the lesion on a DWI."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.phantom.physics import RaterPhysics
from nnunetv2_strokesynth.phantom.random_field import RandomField, draw_random_field

_IN_PLANE = np.pad(np.ones((1, 3, 3), bool), ((1, 1), (0, 0), (0, 0)))
_SMOOTHING_MM = 1.0
_JITTER_MM = 7.0
_TOP_PERCENTILE = 80
_NEVER_MM = -1e3


class Rater(NamedTuple):
    """One rater's habits.

    Attributes:
        cut: share of the lesion's contrast at which the outline is drawn.
        generosity_mm: how far outside of that.
        jitter: of the outline, from place to place.
        misses: numbers from 0 to 1, by which small spots are missed.
    """

    cut: float
    generosity_mm: float
    jitter: RandomField
    misses: np.random.Generator

    def outwards_mm(self, points_mm: np.ndarray, physics: RaterPhysics) -> np.ndarray:
        """How far outwards the outline lies, (N,), at positions (3, N)."""
        return physics.outline_sd_mm * self.jitter(points_mm) + self.generosity_mm


def draw_rater(rng: np.random.Generator, physics: RaterPhysics) -> Rater:
    """A rater for one scan."""
    return Rater(
        rng.uniform(*physics.cut_range),
        rng.normal(0, physics.generosity_sd_mm),
        draw_random_field(rng, _JITTER_MM),
        np.random.default_rng(rng.integers(2**32)),
    )


def visible_lesion(
    contrast: np.ndarray, loss: np.ndarray, cut: float, physics: RaterPhysics
) -> np.ndarray:
    """What the rater takes for lesion, (Z, Y, X): over 0.5 inside, and 0 where the ADC is normal.

    Args:
        contrast: (Z, Y, X), the DWI's signal relative to that of the same tissue when healthy,
            less 1.
        loss: (Z, Y, X), share of the ADC that is lost: a rater who sees a bright spot looks at the
            ADC, too.
        cut: share of the lesion's contrast at which the outline is drawn.
        physics: how much lower the ADC must be.
    """
    restricted = loss > physics.least_loss_share * loss.max()
    deep = loss > 0.5 * loss.max()
    top = np.percentile(contrast[deep], _TOP_PERCENTILE)
    return np.where(restricted, contrast / (2 * cut * max(top, 1e-6)), 0)


def draw_outline(
    visible: np.ndarray, outwards_mm: np.ndarray, tissue: np.ndarray, *, pixel_mm: float
) -> np.ndarray:
    """The outline of what is visible, bool (Z, Y, X); never empty where anything is visible.

    Args:
        visible: from ``visible_lesion``.
        outwards_mm: (Z, Y, X), how far outwards the outline lies.
        tissue: bool, where a lesion can be.
        pixel_mm: in-plane voxel size.
    """
    sigma = _SMOOTHING_MM / pixel_mm
    soft = ndimage.gaussian_filter(visible.astype(np.float32), (0, sigma, sigma)) > 0.5
    distance = np.full(visible.shape, _NEVER_MM, np.float32)
    for k, plane in enumerate(soft):
        if plane.any():
            distance[k] = ndimage.distance_transform_edt(plane)
            distance[k] -= ndimage.distance_transform_edt(~plane)
            distance[k] *= pixel_mm
    outline = (distance + outwards_mm > 0) & tissue
    if outline.any():
        return outline
    return soft if soft.any() else visible > 0.5 * visible.max()


def leave_out_spots(
    outline: np.ndarray, misses: np.random.Generator, *, pixel_mm: float, physics: RaterPhysics
) -> np.ndarray:
    """The outline without what raters leave out: specks, and some of the small spots.

    The largest part always stays.
    """
    labels, count = ndimage.label(outline, structure=_IN_PLANE)
    areas = ndimage.sum_labels(outline, labels, np.arange(1, count + 1)) * pixel_mm**2
    missed = misses.random(count) < physics.miss_probability
    kept = (areas >= physics.speck_mm2) & ~(missed & (areas < physics.small_spot_mm2))
    kept |= areas == areas.max(initial=0)
    return np.isin(labels, 1 + np.flatnonzero(kept))
