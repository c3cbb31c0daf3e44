"""The scale of a DWI target: a module of its own, since evaluation uses it without nnU-Net."""

from __future__ import annotations

import numpy as np

UPPER_PERCENTILE = 99.0


def scale_dwi(dwi: np.ndarray) -> np.ndarray:
    """Scales a DWI volume to [0, 1] by its minimum and its 99th percentile.

    Args:
        dwi: ``(Z, Y, X)``, any unit.

    Returns:
        float32 ``(Z, Y, X)`` in [0, 1]; all zeros for a constant volume.

    Source:
        Wang et al. 2020, section 4.1. The paper does not say what happens above the percentile. We
        clip there, so that the target stays within the range that the paper names.
    """
    low = float(dwi.min())
    high = float(np.percentile(dwi, UPPER_PERCENTILE))
    if high <= low:  # fewer than 1 % of the voxels lie above the minimum
        high = float(dwi.max())
    if high <= low:
        return np.zeros(dwi.shape, dtype=np.float32)
    return np.clip((dwi.astype(np.float32) - low) / (high - low), 0.0, 1.0)
