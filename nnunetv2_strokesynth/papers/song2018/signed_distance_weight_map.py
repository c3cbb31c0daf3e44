"""The weight map of Song & Huang 2018, from the signed distance to the lesion's edge."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.special import expit


def signed_distance_weight_map(lesion: np.ndarray, decay_px: float = 50.0) -> np.ndarray:
    """Weight map W: above 1 inside the lesion, highest at its core, below 1 outside.

    Args:
        lesion: bool (Y, X), or (..., Y, X) for a stack, in which distances stay within the slice.
        decay_px: D, in pixels.

    Returns:
        float32 of the same shape: ``0.5 + sigmoid(phi / decay_px)``, phi the Euclidean distance in
        pixels to the other side of the lesion's edge, positive inside. 0.5 everywhere in a slice
        without lesion, 1.5 in one that is all lesion.

    Raises:
        ValueError: fewer than two axes, or ``decay_px`` not above 0.

    Source: Song & Huang 2018, section 2.3 and Fig. 3, a heat map from the signed distance. Choice:
    the paper gives no formula; this is Eq. 9 of Wang et al. 2020 continued into the lesion.
    """
    lesion = np.asarray(lesion, dtype=bool)
    if lesion.ndim < 2 or decay_px <= 0:
        raise ValueError(
            "signed_distance_weight_map expects a (..., Y, X) array and decay_px > 0, found shape "
            f"{lesion.shape}, decay_px = {decay_px}."
        )
    weight = np.empty(lesion.shape, dtype=np.float32)
    for index in np.ndindex(lesion.shape[:-2]):
        inside = lesion[index]
        if inside.all() or not inside.any():
            weight[index] = 1.5 if inside.all() else 0.5
            continue
        distance = distance_transform_edt(inside) - distance_transform_edt(~inside)
        weight[index] = 0.5 + expit(distance / decay_px)
    return weight
