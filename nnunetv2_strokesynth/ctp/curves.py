"""From a CTP series to perfusion maps, as a scanner's software does it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.ctp.arteries import find_aif
from nnunetv2_strokesynth.ctp.deconvolution import (
    PerfusionMaps,
    perfusion_maps,
)
from nnunetv2_strokesynth.io.series import Series

SMOOTHING_SIGMA_MM = 2.6
SVD_THRESHOLD = 0.15
"""Of the singular values of a CTP series, see ``perfusion_maps``."""


def find_onset(curve: np.ndarray) -> int:
    """Number of frames before contrast arrives (at least 1) in an arterial curve (T,)."""
    smooth = ndimage.gaussian_filter1d(curve.astype(np.float64), 1.0)
    peak = int(np.argmax(smooth))
    low = smooth[: peak + 1].min()
    above = np.flatnonzero(smooth[: peak + 1] > low + 0.08 * (smooth[peak] - low))
    return max(1, int(above[0]) - 1) if above.size else 1


def baseline_frames(arterial: np.ndarray) -> slice:
    """The frames without contrast, from an arterial curve (T,).

    They are those before the contrast arrives. A series that begins in the middle of the bolus has
    none; there, they are its last, when most of it has gone.
    """
    before = slice(find_onset(arterial))
    if arterial.mean() <= arterial[before].mean():
        return slice(-max(1, len(arterial) // 8), None)
    return before


def lower_baseline(arterial: np.ndarray) -> slice:
    """``baseline_frames``, but the last frames also where they lie under an only first one.

    The first frame of a series that begins in the bolus can lie far over the baseline and yet under
    the mean of the curve. The phantom's maps keep the plainer rule, on which its bytes depend.
    """
    baseline = baseline_frames(arterial)
    last = slice(-max(1, len(arterial) // 8), None)
    began_late = baseline.stop == 1 and arterial[last].mean() < arterial[0]
    return last if began_late else baseline


def collect_curves(series: Series, *masks: np.ndarray) -> list[np.ndarray]:
    """The curves of each mask's voxels, (N, T) float32 each, in one walk through the frames."""
    curves = [np.empty((np.count_nonzero(mask), len(series)), np.float32) for mask in masks]
    for k, frame in enumerate(series):
        for rows, mask in zip(curves, masks, strict=True):
            rows[:, k] = frame[mask]
    return curves


def smooth_in_plane(
    curves: np.ndarray, brain: np.ndarray, *, sigma_px: float, tissue: np.ndarray | None = None
) -> None:
    """Blur each frame by a Gaussian inside the mask, in place.

    Args:
        curves: (N, T) float32, a row for each voxel of the brain.
        brain: (Z, Y, X) bool.
        sigma_px: in pixels; voxels outside the mask have no weight.
        tissue: (Z, Y, X) bool, the voxels of the brain that have a weight; None for all.
    """
    sigma = (0, sigma_px, sigma_px)
    weighed = brain if tissue is None else tissue & brain
    blurred = ndimage.gaussian_filter(weighed.astype(np.float32), sigma, truncate=3.0)
    weight = np.maximum(blurred, 1e-3)
    for k in range(curves.shape[1]):
        frame = into_volume(curves[:, k], brain)
        frame[~weighed] = 0
        curves[:, k] = (ndimage.gaussian_filter(frame, sigma, truncate=3.0) / weight)[brain]


def over_baseline(curves: np.ndarray, baseline: slice) -> np.ndarray:
    """Curves (N, T), smoothed lightly in time, over the mean of their baseline frames."""
    smooth = ndimage.gaussian_filter1d(curves, 0.6, axis=1, mode="nearest")
    smooth -= smooth[:, baseline].mean(axis=1, keepdims=True)
    return smooth


def measured_curves(
    series: Series,
    brain: np.ndarray,
    *,
    pixel_mm: float,
    smoothing_mm: float = SMOOTHING_SIGMA_MM,
) -> tuple[np.ndarray, np.ndarray]:
    """Smoothed tissue curves and the arterial input function, both over their baseline.

    Args:
        series: frames (Z, Y, X), anything that is proportional to concentration up to a constant.
        brain: (Z, Y, X) bool.
        pixel_mm: in-plane voxel size.
        smoothing_mm: sigma of the in-plane Gaussian.

    Returns:
        (N, T) float32, a row for each voxel of the brain, and (T,), in the units of ``series``.
    """
    (curves,) = collect_curves(series, brain)
    arterial = find_aif(curves, brain, pixel_mm=pixel_mm).curve
    baseline = baseline_frames(arterial)
    smooth_in_plane(curves, brain, sigma_px=smoothing_mm / pixel_mm)
    return over_baseline(curves, baseline), arterial - arterial[baseline].mean()


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
    ctp: np.ndarray,
    brain: np.ndarray,
    *,
    pixel_mm: float,
    frame_s: float,
    smoothing_mm: float = SMOOTHING_SIGMA_MM,
    threshold: float = SVD_THRESHOLD,
) -> PerfusionMaps:
    """CBF, CBV, MTT and Tmax volumes of a CTP series.

    Args:
        ctp: (T, Z, Y, X) HU.
        brain: (Z, Y, X) bool; the maps are 0 outside.
        pixel_mm: in-plane voxel size, for the spatial smoothing.
        frame_s: time between frames, s.
        smoothing_mm: sigma of the in-plane Gaussian.
        threshold: of the singular values, see ``perfusion_maps``.

    Returns:
        Volumes (Z, Y, X) float32 in the units of ``perfusion_maps``.
    """
    curves, aif = measured_curves(ctp, brain, pixel_mm=pixel_mm, smoothing_mm=smoothing_mm)
    result = perfusion_maps(curves, aif, frame_s, threshold)
    return PerfusionMaps(*(into_volume(values, brain) for values in result))
