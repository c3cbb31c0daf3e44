"""From a CTP series to perfusion maps, as a scanner's software does it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.phantom.deconvolution import PerfusionMaps, perfusion_maps

SMOOTHING_SIGMA_MM = 1.6
_N_AIF_VOXELS = 6


def find_onset(curve: np.ndarray) -> int:
    """Number of frames before contrast arrives (at least 1) in an arterial curve (T,)."""
    smooth = ndimage.gaussian_filter1d(curve.astype(np.float64), 1.0)
    peak = int(np.argmax(smooth))
    low = smooth[: peak + 1].min()
    above = np.flatnonzero(smooth[: peak + 1] > low + 0.08 * (smooth[peak] - low))
    return max(1, int(above[0]) - 1) if above.size else 1


def pick_aif(ctp: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """An arterial input function (T,) in HU, picked from the data.

    The average of the voxels inside the brain mask whose enhancement is highest for how early it
    is.

    Args:
        ctp: (T, Z, Y, X) HU.
        brain: (Z, Y, X) bool.

    Raises:
        ValueError: the mask is empty.
    """
    if not brain.any():
        raise ValueError("the brain mask is empty; there is no artery to pick")
    curves = ctp[:, brain].T
    smooth = ndimage.gaussian_filter1d(curves, 1.0, axis=1)
    floor = np.percentile(smooth, 10, axis=1)
    height = smooth.max(axis=1) - floor
    strong = np.flatnonzero(height >= np.percentile(height, 99.5))
    rise = smooth[strong] - floor[strong, None]
    half = (rise > 0.5 * rise.max(axis=1, keepdims=True)).argmax(axis=1)
    early = half <= np.percentile(half, 35) + 1
    best = strong[early][np.argsort(height[strong[early]], kind="stable")[-_N_AIF_VOXELS:]]
    return curves[best].mean(axis=0)


def _smooth_in_mask(frame: np.ndarray, mask: np.ndarray, weight: np.ndarray, sigma: float):
    blurred = ndimage.gaussian_filter(frame * mask, (0, sigma, sigma), truncate=3.0)
    return blurred / weight


def maps_from_series(
    ctp: np.ndarray, brain: np.ndarray, *, pixel_mm: float, frame_s: float, threshold: float = 0.1
) -> PerfusionMaps:
    """CBF, CBV, MTT and Tmax volumes of a CTP series.

    Args:
        ctp: (T, Z, Y, X) HU.
        brain: (Z, Y, X) bool; the maps are 0 outside.
        pixel_mm: in-plane voxel size, for the spatial smoothing.
        frame_s: time between frames, s.
        threshold: of the singular values, see ``perfusion_maps``.

    Returns:
        Volumes (Z, Y, X) float32 in the units of ``perfusion_maps``.
    """
    arterial = pick_aif(ctp, brain)
    onset = find_onset(arterial)
    sigma = SMOOTHING_SIGMA_MM / pixel_mm
    mask = brain.astype(np.float32)
    weight = np.maximum(ndimage.gaussian_filter(mask, (0, sigma, sigma), truncate=3.0), 1e-3)
    curves = np.empty((np.count_nonzero(brain), len(ctp)), np.float32)
    for k, frame in enumerate(ctp):
        curves[:, k] = _smooth_in_mask(frame, mask, weight, sigma)[brain]
    curves = ndimage.gaussian_filter1d(curves, 0.6, axis=1, mode="nearest")
    curves -= curves[:, :onset].mean(axis=1, keepdims=True)
    aif = arterial - arterial[:onset].mean()
    result = perfusion_maps(curves, aif, frame_s, threshold)
    volumes = []
    for values in result:
        volume = np.zeros(brain.shape, np.float32)
        volume[brain] = values
        volumes.append(volume)
    return PerfusionMaps(*volumes)
