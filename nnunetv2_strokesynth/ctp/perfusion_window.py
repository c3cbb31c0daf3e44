"""The perfusion window: from the bolus' arrival to the end of its washout (Wang et al., Eq. 3)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

ALL_FRAMES = "all frames"


class _Smoothing(NamedTuple):
    """One attempt at the window, on a curve smoothed by a Gaussian; sigma 0 does not smooth.

    Attributes:
        rule: its name in the conversion report.
        sigma: in frames.
        truncate: where the Gaussian ends, in sigmas.
    """

    rule: str
    sigma: float
    truncate: float


_RAW = _Smoothing("raw", 0.0, 4.0)
_SIGMA1 = _Smoothing("sigma1", 1.0, 4.0)
_SIGMA2 = _Smoothing("sigma2", 2.0, 4.0)
# Song & Huang give the kernel's size, 5, and not its width: sigma 1, cut off at 2 frames a side.
_KERNEL5 = _Smoothing("kernel5", 1.0, 2.0)

_ATTEMPTS_WANG = (_RAW, _SIGMA1, _SIGMA2)
_ATTEMPTS_SONG = (_KERNEL5, _SIGMA2)


class PerfusionWindow(NamedTuple):
    """A perfusion window and how it was found.

    Attributes:
        t_start: first frame, T_s, counted from 0.
        t_end: last frame, T_e, inclusive; larger than ``t_start``.
        rule: ``raw`` (the curve as measured), ``kernel5`` (Song & Huang's smoothing), ``sigma1`` or
            ``sigma2`` (smoothed, because the steps before failed) or ``all frames`` (all failed).
    """

    t_start: int
    t_end: int
    rule: str


def find_perfusion_window(
    curve: np.ndarray, k: int = 5, *, smooth_first: bool = False
) -> PerfusionWindow:
    """The frames from the bolus' arrival to the end of its washout, and the rule that found them.

    q' are the central differences of the curve. T_s is the smallest t in [0, T-k) with q'(t..t+k-1)
    all above 0, and T_e is the largest t in [k, T) with q'(t-k+1..t) all at or below 0.

    Args:
        curve: (T,), q(t).
        k: number of successive slopes that must agree.
        smooth_first: smooth the curve before the first attempt, as Song & Huang 2018 do.

    Returns:
        T_s, T_e and the rule.

    Raises:
        ValueError: the curve is not one-dimensional, has fewer than 2 frames or holds NaN or
            infinity, or ``k`` is below 1.

    Source: Wang et al. 2020, Eq. 2-3; Song & Huang 2018, section 2.1. The papers do not say what to
    do with a curve that has no such frames, or has T_e before T_s. Our choice: smooth it by a
    Gaussian of 1 frame, then of 2 frames, and if both fail take all frames.
    """
    curve = np.asarray(curve, dtype=np.float64)
    if curve.ndim != 1 or curve.size < 2:
        raise ValueError(
            f"a perfusion window needs a curve of at least 2 frames, found shape {curve.shape}"
        )
    if not np.isfinite(curve).all():
        raise ValueError("the time-intensity curve holds NaN or infinity")
    if k < 1:
        raise ValueError(f"k must be at least 1, found {k}")
    for smoothing in _ATTEMPTS_SONG if smooth_first else _ATTEMPTS_WANG:
        limits = _rise_and_washout(_smooth(curve, smoothing), k)
        if limits is not None:
            return PerfusionWindow(*limits, smoothing.rule)
    return PerfusionWindow(0, curve.size - 1, ALL_FRAMES)


def _smooth(curve: np.ndarray, smoothing: _Smoothing) -> np.ndarray:
    if smoothing.sigma == 0:
        return curve
    return gaussian_filter1d(curve, smoothing.sigma, truncate=smoothing.truncate)


def _rise_and_washout(curve: np.ndarray, k: int) -> tuple[int, int] | None:
    """(T_s, T_e), or None where one does not exist or T_e does not lie after T_s."""
    if curve.size <= k:
        return None
    slope = np.gradient(curve)
    # Row i holds the slopes i .. i+k-1.
    runs = np.lib.stride_tricks.sliding_window_view(slope, k)
    starts = np.flatnonzero((runs > 0).all(axis=1))
    ends = np.flatnonzero((runs <= 0).all(axis=1)) + k - 1
    starts, ends = starts[starts < curve.size - k], ends[ends >= k]
    if starts.size == 0 or ends.size == 0 or ends[-1] <= starts[0]:
        return None
    return int(starts[0]), int(ends[-1])
