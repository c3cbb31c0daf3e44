"""Whether a CT perfusion series has enough frames, and contrast in them."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.ctp.plausibility.finding import Finding
from nnunetv2_strokesynth.io.series import LEAST_FRAMES

_NO_CONTRAST_HU, _LITTLE_CONTRAST_HU = 0.3, 1.0
"""Of the brain's mean. CBV is 3 to 5 % of the brain, so that the weakest artery measured on ISLES
2018 (35 HU) brings at least 1 HU; the mean of 10,000 noisy voxels moves by 0.1."""


def check_n_frames(image: str, n_frames: int) -> list[Finding]:
    """A finding where a series has fewer frames than the bolus can be seen in.

    Args:
        image: what to call the series.
        n_frames: of it.
    """
    if n_frames >= LEAST_FRAMES:
        return []
    return [
        Finding(
            image,
            f"{n_frames} frames",
            f"at least {LEAST_FRAMES}",
            "is it a CT angiography of several phases, or cut off? Give the whole perfusion series",
            refuses=True,
        )
    ]


def check_contrast(image: str, brain_hu: np.ndarray) -> list[Finding]:
    """A finding where no contrast agent, or hardly any, comes into the brain.

    Args:
        image: what to call the series.
        brain_hu: (T,) mean of the brain in each frame, HU.
    """
    smooth = ndimage.gaussian_filter1d(np.asarray(brain_hu, np.float64), 1.0)
    rise = float(np.ptp(smooth))
    if rise >= _LITTLE_CONTRAST_HU:
        return []
    return [
        Finding(
            image,
            f"the brain's mean rises and falls by {rise:.2f} HU over all frames",
            f"at least {_LITTLE_CONTRAST_HU:g} HU",
            "was contrast given, and is it the perfusion series, in HU?",
            refuses=rise < _NO_CONTRAST_HU,
        )
    ]
