"""The shape of a bolus in curves of enhancement, and how far it stands out of the noise.

Everything is per second, not per frame, so that the same bolus is judged alike at any frame time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.ctp.voxel_curves import into_volume, smooth_in_plane

_IN_TIME_S = 1.2
_IN_PLANE_MM = 1.5
"""Choice: about half of a middle cerebral artery, which is 3 mm wide."""
_NOISE_FIELD_MM = 8.0
"""Choice: wider than any artery, whose own bolus would otherwise count as its noise."""
_STEEPEST_PER_S, _NARROWEST_S = 0.35, 4.5
"""Of the height; the full width at half maximum. The 156 arteries measured on ISLES 2018, sampled
every 1 to 3.5 s, rise by 0.32 of their height per second at most and are 5.1 s wide at least."""
_LEAST_END_S = 3.0
"""Choice: how long before the end of the series a bolus peaks; 9 s in those measured."""
_NOISE_LAG_S = 3.0
_MAD_TO_SD = 1.4826
_LEAST_NOISE = 1e-6


class Shapes(NamedTuple):
    """The bolus of N curves, an array (N,) each.

    Attributes:
        height: over the 10th percentile, in the unit of the curves.
        half_rise_s: when half of it is first reached, from the first frame on.
        peak_s: when it is reached.
        width_s: full width at half of it.
        like_bolus: bool, whether the curve is smooth, as wide as a bolus, and peaks before the end.
    """

    height: np.ndarray
    half_rise_s: np.ndarray
    peak_s: np.ndarray
    width_s: np.ndarray
    like_bolus: np.ndarray


class Enhancement(NamedTuple):
    """What the voxels of a mask show; ``significance`` (N,) is height over noise."""

    shapes: Shapes
    significance: np.ndarray


def rise_of(curves: np.ndarray, frame_s: float) -> np.ndarray:
    """Curves (N, T), smoothed in time, over their 10th percentile."""
    smooth = ndimage.gaussian_filter1d(curves, _IN_TIME_S / frame_s, axis=1)
    return smooth - np.percentile(smooth, 10, axis=1)[:, None]


def shapes_of(curves: np.ndarray, frame_s: float) -> Shapes:
    """The bolus of each of the curves (N, T)."""
    return _shapes(rise_of(curves, frame_s), frame_s)


def _shapes(rise: np.ndarray, frame_s: float) -> Shapes:
    height, peak = rise.max(axis=1), rise.argmax(axis=1)
    steepest = np.abs(np.diff(rise, axis=1)).max(axis=1) / frame_s
    before, after = _half_crossings(rise, height, peak)
    first = (rise >= 0.5 * height[:, None]).argmax(axis=1)
    width_s = (after - before) * frame_s
    end_s = (rise.shape[1] - 1 - peak) * frame_s
    like_bolus = (steepest < _STEEPEST_PER_S * height) & (width_s > _NARROWEST_S)
    half_rise = _between(rise, np.maximum(first - 1, 0), np.maximum(first, 1), height)
    return Shapes(
        height,
        half_rise * frame_s,
        peak * frame_s,
        width_s,
        like_bolus & (end_s >= _LEAST_END_S),
    )


def _half_crossings(
    rise: np.ndarray, height: np.ndarray, peak: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Frames (fractional) at which each curve falls below half of its height around its peak."""
    last = rise.shape[1] - 1
    frames, below = np.arange(last + 1), rise < 0.5 * height[:, None]
    before = np.where(below & (frames < peak[:, None]), frames, 0).max(axis=1)
    after = np.where(below & (frames > peak[:, None]), frames, last).min(axis=1)
    return (
        _between(rise, before, np.minimum(before + 1, last), height),
        _between(rise, after, np.maximum(after - 1, 0), height, falling=True),
    )


def _between(
    rise: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    height: np.ndarray,
    *,
    falling: bool = False,
) -> np.ndarray:
    """Where each curve is at half of its height, between two frames next to each other."""
    rows = np.arange(len(rise))
    step = np.maximum(rise[rows, high] - rise[rows, low], 1e-6)
    part = np.clip((0.5 * height - rise[rows, low]) / step, 0, 1)
    return low - part if falling else low + part


def describe_voxels(
    curves: np.ndarray,
    mask: np.ndarray,
    *,
    pixel_mm: float,
    frame_s: float,
    counted: np.ndarray | None = None,
) -> Enhancement:
    """Shapes of a mask's curves, smoothed in plane, and how far they stand out of the noise.

    The noise is that of the smoothed curves: the median absolute second difference, which a bolus
    hardly raises, and its geometric mean over 8 mm around the voxel. So it holds for any grain, and
    where streaks are stronger, it is larger. The differences are those of 3 s, because frames that
    were smoothed or interpolated share the noise of their neighbours.

    Args:
        curves: (N, T), a row for each voxel of the mask.
        mask: (Z, Y, X) bool.
        pixel_mm: in-plane voxel size.
        frame_s: time between frames.
        counted: (N,) bool, the rows that the smoothing counts; None for all.
    """
    parts, start = [], 0
    for plane in mask:
        rows = slice(start, start := start + int(np.count_nonzero(plane)))
        if rows.stop == rows.start:
            continue
        box = ndimage.find_objects(plane.astype(np.uint8))[0]
        inside = plane[box][None]
        weighed = None
        if counted is not None:
            weighed = into_volume(counted[rows], inside) > 0
        smooth = curves[rows].astype(np.float32)
        smooth_in_plane(smooth, inside, sigma_px=_IN_PLANE_MM / pixel_mm, tissue=weighed)
        rise = rise_of(smooth, frame_s)
        noise = _noise(rise, inside, pixel_mm=pixel_mm, frame_s=frame_s)
        shapes = _shapes(rise, frame_s)
        parts.append(Enhancement(shapes, shapes.height / noise))
    by_field = zip(*(part.shapes for part in parts), strict=True)
    shapes = Shapes(*(np.concatenate(values) for values in by_field))
    return Enhancement(shapes, np.concatenate([part.significance for part in parts]))


def _noise(curves: np.ndarray, mask: np.ndarray, *, pixel_mm: float, frame_s: float) -> np.ndarray:
    """Standard deviation of the noise in each curve (N, T) of a plane, smoothed in time, (N,)."""
    lag = min(max(1, int(_NOISE_LAG_S / frame_s + 1e-6)), (curves.shape[1] - 1) // 2)
    bends = np.abs(curves[:, : -2 * lag] - 2 * curves[:, lag:-lag] + curves[:, 2 * lag :])
    # Correlation of values that lie one and two lags apart, of white noise that was smoothed.
    once, twice = (np.exp(-((k * lag * frame_s / (2 * _IN_TIME_S)) ** 2)) for k in (1, 2))
    noise = _MAD_TO_SD * np.median(bends, axis=1) / np.sqrt(6 - 8 * once + 2 * twice)
    field = np.log(np.maximum(noise, _LEAST_NOISE)).astype(np.float32)[:, None]
    smooth_in_plane(field, mask, sigma_px=_NOISE_FIELD_MM / pixel_mm)
    return np.exp(field[:, 0])
