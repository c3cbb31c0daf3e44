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


def measured_curves(
    series: np.ndarray,
    brain: np.ndarray,
    *,
    pixel_mm: float,
    smoothing_mm: float = SMOOTHING_SIGMA_MM,
) -> tuple[np.ndarray, np.ndarray]:
    """Smoothed tissue curves and the arterial input function, both over their baseline.

    The baseline is the mean of the frames before the contrast arrives. A series that begins in the
    middle of the bolus has none; there, it is that of its last frames, when most of it has gone.

    Args:
        series: (T, Z, Y, X), anything that is proportional to concentration up to a constant.
        brain: (Z, Y, X) bool.
        pixel_mm: in-plane voxel size.
        smoothing_mm: sigma of the in-plane Gaussian.

    Returns:
        (N, T) float32, a row for each voxel of the brain, and (T,), in the units of ``series``.
    """
    arterial = pick_aif(series, brain, pixel_mm=pixel_mm)
    baseline = slice(find_onset(arterial))
    if arterial.mean() <= arterial[baseline].mean():
        baseline = slice(-max(1, len(series) // 8), None)
    sigma = smoothing_mm / pixel_mm
    mask = brain.astype(np.float32)
    weight = np.maximum(ndimage.gaussian_filter(mask, (0, sigma, sigma), truncate=3.0), 1e-3)
    curves = np.empty((np.count_nonzero(brain), len(series)), np.float32)
    for k, frame in enumerate(series):
        curves[:, k] = _smooth_in_mask(frame, mask, weight, sigma)[brain]
    curves = ndimage.gaussian_filter1d(curves, 0.6, axis=1, mode="nearest")
    curves -= curves[:, baseline].mean(axis=1, keepdims=True)
    return curves, arterial - arterial[baseline].mean()


def time_to_peak_s(curves: np.ndarray, frame_s: float) -> np.ndarray:
    """Time of each curve's maximum after the first frame, (N,) float32 in s.

    Args:
        curves: (N, T), T at least 3; a parabola through the highest frame and its neighbours tells
            the time between frames. A maximum in the first or last frame is taken as it is.
        frame_s: time between frames, s.
    """
    top = np.argmax(curves, axis=1)
    centre = np.clip(top, 1, curves.shape[1] - 2)
    rows = np.arange(len(curves))
    left, mid, right = (curves[rows, centre + k].astype(np.float64) for k in (-1, 0, 1))
    curvature = left - 2 * mid + right
    bent = (centre == top) & (curvature < 0)
    offset = np.divide(0.5 * (left - right), curvature, out=np.zeros_like(mid), where=bent)
    return ((top + offset) * frame_s).astype(np.float32)


def into_volume(values: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """(N,) values of the brain's voxels -> (Z, Y, X) float32, 0 outside."""
    volume = np.zeros(brain.shape, np.float32)
    volume[brain] = values
    return volume


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
    curves, aif = measured_curves(ctp, brain, pixel_mm=pixel_mm)
    result = perfusion_maps(curves, aif, frame_s, threshold)
    return PerfusionMaps(*(into_volume(values, brain) for values in result))
