"""Curves of a mask's voxels: (N, T), a row for each voxel in the order of ``array[mask]``."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.io.series import Series

SMOOTHING_SIGMA_MM = 2.6
"""Width of the Gaussian that blurs a CTP series in plane before the deconvolution."""
_TRUNCATE = 3.0  # sigmas


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
        sigma_px: width of the Gaussian in pixels; voxels outside the mask have no weight.
        tissue: (Z, Y, X) bool, the voxels of the brain that have a weight; None for all of them.
    """
    sigma = (0, sigma_px, sigma_px)
    box = _box_around(brain, margin_px=int(_TRUNCATE * sigma_px + 0.5) + 1)
    brain = brain[box]  # nothing lies beyond, and the order of its voxels is the same
    weighed = brain if tissue is None else tissue[box] & brain
    blurred = ndimage.gaussian_filter(weighed.astype(np.float32), sigma, truncate=_TRUNCATE)
    weight = np.maximum(blurred, 1e-3)
    for k in range(curves.shape[1]):
        frame = into_volume(curves[:, k], brain)
        frame[~weighed] = 0
        curves[:, k] = (ndimage.gaussian_filter(frame, sigma, truncate=_TRUNCATE) / weight)[brain]


def _box_around(brain: np.ndarray, *, margin_px: int) -> tuple[slice, slice, slice]:
    """The slices of (Z, Y, X) that hold the brain and a margin in plane; all of an empty mask."""
    limits = []
    for axis, margin in enumerate((0, margin_px, margin_px)):
        others = tuple(other for other in range(3) if other != axis)
        found = np.flatnonzero(brain.any(axis=others))
        if not found.size:
            return slice(None), slice(None), slice(None)
        limits.append(slice(max(0, int(found[0]) - margin), int(found[-1]) + 1 + margin))
    z, y, x = limits
    return z, y, x


def over_baseline(curves: np.ndarray, baseline: slice) -> np.ndarray:
    """Curves (N, T), smoothed lightly in time, over the mean of their baseline frames."""
    smooth = ndimage.gaussian_filter1d(curves, 0.6, axis=1, mode="nearest")
    smooth -= smooth[:, baseline].mean(axis=1, keepdims=True)
    return smooth


def time_to_peak_s(curves: np.ndarray, frame_s: float) -> np.ndarray:
    """Time of each curve's maximum after the first frame, (N,) float32 in s.

    Args:
        curves: (N, T), T at least 3. A parabola through the highest frame and its neighbours gives
            the time between frames; a maximum in the first or last frame is at that frame.
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
