"""Where the brain is: where the perfusion software computed something."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_closing, binary_fill_holes

# Bridges gaps up to 6 voxels wide, about 5 mm: sulci and vessels that the software leaves out.
CLOSING_PX = 3


def brain_mask(maps: np.ndarray) -> np.ndarray:
    """Mask of the voxels where any perfusion map is not 0, closed and hole-filled slice by slice.

    The software writes 0 outside the brain, and often in ventricles and vessels: closing and
    filling give those back.

    Args:
        maps: (M, Z, Y, X), the perfusion maps.

    Returns:
        (Z, Y, X), bool; empty where all maps are zero.

    Source: our choice. Wang et al. 2020 do not mask; Clerigues et al. 2019 strip the skull of the
    CT by the sum of the maps.
    """
    computed = np.any(maps != 0, axis=0)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)
    mask = np.empty_like(computed)
    for closed, found in zip(mask, computed, strict=True):
        # The margin keeps the closing's erosion from eating what touches the edge of the image.
        padded = np.pad(found, CLOSING_PX)
        padded = binary_fill_holes(binary_closing(padded, cross, iterations=CLOSING_PX))
        closed[:] = padded[CLOSING_PX:-CLOSING_PX, CLOSING_PX:-CLOSING_PX]
    return mask
