"""The scales of a DWI target: a module of its own, since evaluation uses it without nnU-Net.

Both scales are affine and clip nothing. A small lesion lies above the 99th percentile of its
volume: clipping it to 1 beside brain at 0.8 would erase most of the contrast that the synthesis
lives on.

- ``paper``: the minimum becomes 0, the 99th percentile of the whole volume 1 (Wang et al. 2020).
  The percentile moves with the lesion's size, and healthy tissue with it.
- ``brain``: the background becomes 0, healthy brain 0.5, however large the lesion is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from skimage.filters import threshold_otsu

PAPER, BRAIN = "paper", "brain"
SCALES = (PAPER, BRAIN)
# Raised when a scale's numbers change: targets of another version are made again.
SCALE_VERSION = 1
# The grey window of a DWI and its pseudo-DWI on each scale: from 0 to this.
WINDOW_TOP = {PAPER: 1.5, BRAIN: 1.0}

UPPER_PERCENTILE = 99.0
BACKGROUND_PERCENTILE = 1.0
BRAIN_VALUE = 0.5
_MAX_BRAIN_SHARE = 0.9  # of all voxels: above it the maps have no background that is 0
_MIN_BRAIN_VOXELS = 10
_SD_OF_MAD = 1.4826  # of a normal distribution
_CUT_SD = 3.0
_MAX_ROUNDS = 20


class DwiScale(NamedTuple):
    """An affine scale: ``low`` becomes 0 and ``low + unit`` becomes 1. All 0 if ``unit`` is 0."""

    low: float
    unit: float

    def apply(self, dwi: np.ndarray) -> np.ndarray:
        """The DWI on this scale, float32, nothing clipped."""
        if not self.unit:
            return np.zeros(dwi.shape, dtype=np.float32)
        return (dwi.astype(np.float32) - np.float32(self.low)) / np.float32(self.unit)

    def raw(self, scaled: np.ndarray) -> np.ndarray:
        """The inverse: from this scale to the DWI's own values."""
        return self.low + self.unit * scaled


def find_scale(dwi: np.ndarray, scale: str, brain: np.ndarray | None = None) -> DwiScale:
    """The scale of a DWI volume.

    Args:
        dwi: ``(Z, Y, X)``, any unit.
        scale: one of ``SCALES``.
        brain: bool, the same shape, for ``brain``: what the perfusion maps show. None, or a mask
            that cannot be the brain (next to nothing, or next to everything), is replaced by the
            head as the DWI shows it.

    Returns:
        The scale. ``unit`` is 0 for a constant volume.

    Raises:
        ValueError: an unknown scale, or another shape of the brain.

    Source:
        ``paper``: Wang et al. 2020, section 4.1. ``brain``: ours. Its 0 is the 1st percentile of
        the volume, which single voxels of a resampling's undershoot do not move. Its 0.5 is the
        brain's median after voxels far above it, such as a lesion's, were left out.
    """
    if scale not in SCALES:
        raise ValueError(f"the DWI's scale is '{scale}', expected one of {', '.join(SCALES)}")
    if brain is not None and brain.shape != dwi.shape:
        raise ValueError(f"the brain has shape {brain.shape}, the DWI {dwi.shape}")
    if scale == BRAIN:
        low = float(np.percentile(dwi, BACKGROUND_PERCENTILE))
        unit = (healthy_level(_brain_values(dwi, brain, low)) - low) / BRAIN_VALUE
        if unit > 0:
            return DwiScale(low, unit)
    return _paper_scale(dwi)


def _paper_scale(dwi: np.ndarray) -> DwiScale:
    low = float(dwi.min())
    high = float(np.percentile(dwi, UPPER_PERCENTILE))
    if high <= low:  # fewer than 1 % of the voxels lie above the minimum
        high = float(dwi.max())
    return DwiScale(low, high - low)


def scale_dwi(dwi: np.ndarray, scale: str = PAPER, brain: np.ndarray | None = None) -> np.ndarray:
    """A DWI volume on one of the two scales; see ``find_scale`` for the arguments.

    Returns:
        float32 ``(Z, Y, X)``, nothing clipped; all zeros for a constant volume.
    """
    return find_scale(dwi, scale, brain).apply(dwi)


def dwi_window(dwi: np.ndarray, scale: str, brain: np.ndarray | None = None) -> tuple[float, float]:
    """The grey window of a DWI in its own values that its pseudo-DWI has on the scale.

    Arguments as of ``find_scale``.
    """
    found = find_scale(dwi, scale, brain)
    return found.low, found.low + found.unit * WINDOW_TOP[scale]


def likely_brain(dwi: np.ndarray, brain: np.ndarray | None) -> np.ndarray:
    """The brain if it can be one, else the head as the DWI shows it: bool ``(Z, Y, X)``.

    Args:
        dwi: ``(Z, Y, X)``.
        brain: bool, the same shape, or None.
    """
    if brain is not None and _MIN_BRAIN_VOXELS <= brain.sum() <= _MAX_BRAIN_SHARE * brain.size:
        return brain
    if dwi.min() == dwi.max():
        return np.ones(dwi.shape, dtype=bool)
    return dwi > threshold_otsu(dwi)


def _brain_values(dwi: np.ndarray, brain: np.ndarray | None, low: float) -> np.ndarray:
    """The DWI's values in the brain, without what its field of view does not cover."""
    values = dwi[likely_brain(dwi, brain)]
    covered = values[values > low]
    return covered if covered.size else values


def healthy_level(values: np.ndarray) -> float:
    """The median of the brain without what is far brighter than it.

    Voxels more than 3 robust standard deviations above the median are left out, and the median is
    taken anew, until nothing is left out any more. A lesion of a fifth of the brain moves the plain
    median by a third of the healthy tissue's standard deviation.

    Args:
        values: ``(N,)``, of the brain, in any unit; at least one.
    """
    kept = np.asarray(values, dtype=np.float64).ravel()
    for _ in range(_MAX_ROUNDS):
        centre = np.median(kept)
        spread = _SD_OF_MAD * np.median(np.abs(kept - centre))
        smaller = kept[kept <= centre + _CUT_SD * spread]
        if smaller.size == kept.size:
            break
        kept = smaller
    return float(np.median(kept))
