"""How much a pseudo-DWI resembles the DWI: SSIM and PSNR, globally and around the lesion.

Both are on the paper's scale (``dataloading.dwi_scaling``), on which the DWI's minimum is 0 and its
99th percentile 1; neither is clipped, so that a lesion may lie above 1. The data range stays 1.
"""

from __future__ import annotations

import numpy as np
from skimage.metrics import structural_similarity

DATA_RANGE = 1.0
SSIM_WINDOW_PX = 7
LOCAL_MARGIN_PX = 10


def local_region(lesion: np.ndarray, margin_px: int = LOCAL_MARGIN_PX) -> np.ndarray:
    """The region for local SSIM and PSNR: the lesion's bounding box in each slice, with a margin.

    Args:
        lesion: bool ``(Z, Y, X)``, the true lesion.
        margin_px: added on all four sides, cut off at the border of the slice.

    Returns:
        bool ``(Z, Y, X)``; slices without lesion are empty, and so is the result for an empty mask.

    Source:
        Wang et al. 2020, section 4.1, says "the region around the ground truth lesion"; box and
        margin are ours.
    """
    region = np.zeros(lesion.shape, dtype=bool)
    for z in np.flatnonzero(lesion.any(axis=(1, 2))):
        rows, columns = (_extent(lesion[z].any(axis=other), margin_px) for other in (1, 0))
        region[z, rows, columns] = True
    return region


def _extent(hit: np.ndarray, margin_px: int) -> slice:
    """From the first place that is hit to the last, with a margin."""
    places = np.flatnonzero(hit)
    return slice(max(places[0] - margin_px, 0), places[-1] + margin_px + 1)


def _check(dwi: np.ndarray, pseudo_dwi: np.ndarray, mask: np.ndarray | None) -> None:
    shapes = {array.shape for array in (dwi, pseudo_dwi, mask) if array is not None}
    if len(shapes) > 1 or dwi.ndim != 3:
        raise ValueError(
            f"dwi, pseudo_dwi and mask have the shapes {sorted(shapes)}, expected one (Z, Y, X)"
        )


def ssim_map(dwi: np.ndarray, pseudo_dwi: np.ndarray) -> np.ndarray:
    """Structural similarity at every voxel, at most 1; 1 everywhere for equal images.

    It is computed slice by slice, because the images are 2-D slices far apart and many slabs have
    only two, with scikit-image's defaults (uniform 7 x 7 window, K1 = 0.01, K2 = 0.03, sample
    covariance).

    Args:
        dwi: ``(Z, Y, X)``, mostly in [0, 1].
        pseudo_dwi: same shape.

    Returns:
        float64 ``(Z, Y, X)``; ``mean_ssim`` averages it.

    Raises:
        ValueError: the shapes differ, or a slice is smaller than the window.

    Source:
        Wang et al. 2020, section 4.1 (window and data range are not stated there).
    """
    _check(dwi, pseudo_dwi, None)
    if min(dwi.shape[1:]) < SSIM_WINDOW_PX:
        raise ValueError(f"slices of {dwi.shape[1:]} px are smaller than SSIM's 7 x 7 window")
    pairs = zip(dwi.astype(np.float64), pseudo_dwi.astype(np.float64), strict=True)
    return np.stack(
        [
            structural_similarity(
                true, pseudo, data_range=DATA_RANGE, win_size=SSIM_WINDOW_PX, full=True
            )[1]
            for true, pseudo in pairs
        ]
    )


def mean_ssim(similarity: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Mean of an SSIM map over a region, all slices together.

    Half a window along the border of each slice is left out, as scikit-image does. A mask loses
    this border as well, unless it has nothing else, so that a mask of ones gives the global value.

    Args:
        similarity: result of ``ssim_map``.
        mask: bool, same shape, such as ``local_region``; None = everywhere.

    Returns:
        NaN for an empty mask.

    Raises:
        ValueError: the shapes differ.
    """
    _check(similarity, similarity, mask)
    half = SSIM_WINDOW_PX // 2
    inner = np.zeros(similarity.shape, dtype=bool)
    inner[:, half:-half, half:-half] = True
    region = inner if mask is None else np.asarray(mask, dtype=bool)
    if not region.any():
        return float("nan")
    return float(similarity[region & inner if (region & inner).any() else region].mean())


def psnr(dwi: np.ndarray, pseudo_dwi: np.ndarray, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB, ``10 log10(1 / MSE)``, data range 1.

    Args:
        dwi: ``(Z, Y, X)``, mostly in [0, 1].
        pseudo_dwi: same shape.
        mask: bool, same shape: the voxels to average the squared error over; None = everywhere.

    Returns:
        Infinity for equal images (not countable in the tables); NaN for an empty mask.

    Source:
        Wang et al. 2020, section 4.1. We pool the error over the volume, not slice by slice.
    """
    _check(dwi, pseudo_dwi, mask)
    error = dwi.astype(np.float64) - pseudo_dwi.astype(np.float64)
    region = np.ones(dwi.shape, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    if not region.any():
        return float("nan")
    mean_square = float(np.mean(error[region] ** 2))
    return float(10 * np.log10(DATA_RANGE**2 / mean_square)) if mean_square else float("inf")
