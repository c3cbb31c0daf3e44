"""The weight map A of the lesion, Eq. 9 of Wang et al. 2020."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.special import expit

_MAX_TABLE = 2**20  # squared pixels: patches of up to 724 x 724


def lesion_weight_map(lesion: np.ndarray, w: float = 1.5, decay_px: float = 50.0) -> np.ndarray:
    """Weight map A: w inside the lesion, falling from 1 to 0.5 with the distance outside.

    Args:
        lesion: bool (Y, X), or (..., Y, X) for a stack, in which distances stay within the slice.
        w: weight of lesion pixels, at least 1.
        decay_px: D, in pixels.

    Returns:
        float32 of the same shape: w inside, ``0.5 + sigmoid(-distance / decay_px)`` outside, with
        the Euclidean distance to the lesion in pixels. 0.5 everywhere in a slice without lesion.

    Raises:
        ValueError: fewer than two axes, ``w`` below 1, or ``decay_px`` not above 0.

    Source: Wang et al. 2020, Eq. 9. The paper does not define slices without lesion; 0.5 is the
    limit for a lesion infinitely far away.
    """
    lesion = np.asarray(lesion, dtype=bool)
    if lesion.ndim < 2 or w < 1 or decay_px <= 0:
        raise ValueError(
            "lesion_weight_map expects a (..., Y, X) array, w >= 1 and decay_px > 0, found shape "
            f"{lesion.shape}, w = {w}, decay_px = {decay_px}."
        )
    weight = np.full(lesion.shape, 0.5, dtype=np.float32)
    for index in np.ndindex(lesion.shape[:-2]):
        if lesion[index].any():
            _weigh(_squared_distance_px(lesion[index]), w, decay_px, out=weight[index])
    return weight


def _squared_distance_px(inside: np.ndarray) -> np.ndarray:
    """Squared distance to the nearest pixel inside: bool (Y, X) -> int32 (Y, X)."""
    y, x = _pixels(*inside.shape)
    nearest_y, nearest_x = distance_transform_edt(
        ~inside, return_distances=False, return_indices=True
    )
    nearest_y -= y
    nearest_y *= nearest_y
    nearest_x -= x
    nearest_x *= nearest_x
    nearest_y += nearest_x
    return nearest_y


@lru_cache(maxsize=4)
def _pixels(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels' coordinates y and x: int32 (Y, 1), (1, X)."""
    y, x = np.ogrid[:rows, :columns]
    return y.astype(np.int32), x.astype(np.int32)


def _weigh(squared_px: np.ndarray, w: float, decay_px: float, *, out: np.ndarray) -> None:
    """Write the weights of squared distances to the lesion, int (Y, X), into ``out`` (Y, X).

    Squared distances are whole numbers, and a patch holds few different ones. Looking the weights
    up takes a tenth of the time of root and exponential and gives the same numbers.
    """
    if sum(side**2 for side in squared_px.shape) > _MAX_TABLE:
        out[:] = np.where(squared_px, 0.5 + expit(-np.sqrt(squared_px) / decay_px), w)
    else:  # every index is in range; mode="clip" is only faster than the default check
        _weight_table(_MAX_TABLE, w, decay_px).take(squared_px, mode="clip", out=out)


@lru_cache(maxsize=4)
def _weight_table(length: int, w: float, decay_px: float) -> np.ndarray:
    """Weights at the squared distances 0, 1, 2, ...: float32 (length,)."""
    table = 0.5 + expit(-np.sqrt(np.arange(length)) / decay_px)
    table[0] = w
    return table.astype(np.float32)
