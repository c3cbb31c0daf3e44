"""From a CTP series to perfusion maps, as a scanner's software does it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.phantom.deconvolution import PerfusionMaps, perfusion_maps

SMOOTHING_SIGMA_MM = 2.6
_N_AIF_VOXELS = 6
_RIM_MM = 5.0
_STRONG_PERCENTILE = 97.0


def find_onset(curve: np.ndarray) -> int:
    """Number of frames before contrast arrives (at least 1) in an arterial curve (T,)."""
    smooth = ndimage.gaussian_filter1d(curve.astype(np.float64), 1.0)
    peak = int(np.argmax(smooth))
    low = smooth[: peak + 1].min()
    above = np.flatnonzero(smooth[: peak + 1] > low + 0.08 * (smooth[peak] - low))
    return max(1, int(above[0]) - 1) if above.size else 1


def _half_rise(rise: np.ndarray) -> np.ndarray:
    """Time (frames, fractional) at which each curve (N, T) first reaches half of its maximum."""
    above = rise >= 0.5 * rise.max(axis=1, keepdims=True)
    after = np.maximum(above.argmax(axis=1), 1)
    rows = np.arange(len(rise))
    low, high = rise[rows, after - 1], rise[rows, after]
    half = 0.5 * rise.max(axis=1)
    return after - 1 + np.clip((half - low) / np.maximum(high - low, 1e-6), 0, 1)


def pick_aif(ctp: np.ndarray, brain: np.ndarray, *, pixel_mm: float) -> np.ndarray:
    """An arterial input function (T,) in HU, picked from the data.

    Among the voxels that enhance most (away from the skull, whose edge moves), those whose curve is
    smooth and peaks before the end are kept; the AIF is the mean of the highest of the earliest.

    Args:
        ctp: (T, Z, Y, X) HU.
        brain: (Z, Y, X) bool.

    Raises:
        ValueError: the mask is empty.
    """
    if not brain.any():
        raise ValueError("the brain mask is empty; there is no artery to pick")
    steps = max(1, round(_RIM_MM / pixel_mm))
    inner = np.stack([ndimage.binary_erosion(plane, iterations=steps) for plane in brain])
    curves = ctp[:, inner if inner.any() else brain].T
    smooth = ndimage.gaussian_filter1d(curves, 1.2, axis=1)
    rise = smooth - np.percentile(smooth, 10, axis=1)[:, None]
    strong = rise.max(axis=1) >= np.percentile(rise.max(axis=1), _STRONG_PERCENTILE)
    curves, rise = curves[strong], rise[strong]
    height = rise.max(axis=1)
    jump = np.abs(np.diff(rise, n=2, axis=1)).max(axis=1)
    bolus_like = (rise.argmax(axis=1) < rise.shape[1] - 3) & (jump < 0.35 * height)
    if np.count_nonzero(bolus_like) >= _N_AIF_VOXELS:
        curves, rise, height = curves[bolus_like], rise[bolus_like], height[bolus_like]
    arrival = _half_rise(rise)
    early = np.flatnonzero(arrival <= np.percentile(arrival, 10) + 0.5)
    best = early[np.argsort(height[early], kind="stable")[-_N_AIF_VOXELS:]]
    return curves[best].mean(axis=0)


def _smooth_in_mask(frame: np.ndarray, mask: np.ndarray, weight: np.ndarray, sigma: float):
    blurred = ndimage.gaussian_filter(frame * mask, (0, sigma, sigma), truncate=3.0)
    return blurred / weight


def maps_from_series(
    ctp: np.ndarray, brain: np.ndarray, *, pixel_mm: float, frame_s: float, threshold: float = 0.15
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
    arterial = pick_aif(ctp, brain, pixel_mm=pixel_mm)
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
