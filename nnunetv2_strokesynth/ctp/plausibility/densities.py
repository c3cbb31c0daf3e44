"""Whether a CT, or a frame of a series, is in HU: water 0, air -1000, brain 30 to 40."""

from __future__ import annotations

import numpy as np

from nnunetv2_strokesynth.ctp.plausibility.finding import Finding

_LEAST_RANGE = 20.0
"""Brain of 30 HU over a background of 0 has more, so that no CT is as flat."""
_AIR_HU, _BONE_HU = -200.0, 900.0
_MOST_BONE = 0.1
"""Choice: of the image, denser than 900. Skull is 2 to 5 %, a head that is 1024 too dense 30 % or
more."""
_OFFSET_BRAIN = (900.0, 1300.0)
_BRAIN_HU = (10.0, 70.0)
"""Choice: white matter is 25 to 30 HU, grey matter 35 to 40, blood 40 to 60; the median of a brain
lies among them, also with contrast and noise."""
_DISPLAY = 255.0
_EXPECTED = "HU (air -1000, water 0, brain 30 to 40)"


def check_densities(
    image: str, volume: np.ndarray, brain: np.ndarray | None = None
) -> list[Finding]:
    """What is wrong with the densities of a CT or of a frame; at most one finding.

    Args:
        image: what to call it.
        volume: (Z, Y, X), finite.
        brain: (Z, Y, X) bool; None checks what can be known without it.
    """
    low, high = float(volume.min()), float(volume.max())
    found = f"values from {low:g} to {high:g}"
    if high - low < _LEAST_RANGE:
        action = "is it scaled, normalised or empty? Replace it by the image in HU"
        return [Finding(image, found, _EXPECTED, action, refuses=True)]
    median = None if brain is None or not brain.any() else float(np.median(volume[brain]))
    if median is not None:
        found += f", median {median:.0f} in the brain"
    if _is_offset(volume, median):
        action = (
            "it was stored without its rescale intercept: subtract 1024 (or 1000, where air is 0)"
        )
        return [Finding(image, found, _EXPECTED, action, refuses=True)]
    if low >= 0 and high == _DISPLAY and np.array_equal(volume, np.round(volume)):
        action = "does it hold a picture's grey values, 0 to 255? Replace it by the image in HU"
        # Grey values may bring brain to any number; beyond soft tissue there is no doubt.
        certain = median is not None and median > _BRAIN_HU[1]
        return [Finding(image, found, _EXPECTED, action, refuses=certain)]
    if median is not None and not _BRAIN_HU[0] <= median <= _BRAIN_HU[1]:
        expected = f"a median of {_BRAIN_HU[0]:g} to {_BRAIN_HU[1]:g} HU in the brain"
        action = "is it in HU, and does the brain mask lie on the brain?"
        return [Finding(image, found, expected, action, refuses=False)]
    return []


def _is_offset(volume: np.ndarray, median: float | None) -> bool:
    """Whether all densities are about 1024 too high."""
    no_air = float(np.percentile(volume, 1)) > _AIR_HU
    if no_air and float(np.mean(volume > _BONE_HU)) > _MOST_BONE:
        return True
    return no_air and median is not None and _OFFSET_BRAIN[0] <= median <= _OFFSET_BRAIN[1]
