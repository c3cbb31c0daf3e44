"""The perfusion window: from the bolus' arrival to the end of its washout, or of the first pass.

The washout is that of Wang et al. 2020, Eq. 3, the first pass that of Song & Huang 2018.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

ALL_FRAMES = "all frames"
# Choice: a dip while more than this share of the bolus is still there is noise, not the trough.
_WASHED_OUT = 0.5


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
            ``kernel5, no trough``: the first pass lasts to the end of the series.
    """

    t_start: int
    t_end: int
    rule: str


def find_perfusion_window(
    curve: np.ndarray, k: int = 5, *, first_pass: bool = False
) -> PerfusionWindow:
    """The frames from the bolus' arrival to the end of its washout, and the rule that found them.

    q' are the central differences of the curve. T_s is the smallest t in [0, T-k) with q'(t..t+k-1)
    all above 0, and T_e is the largest t in [k, T) with q'(t-k+1..t) all at or below 0.

    Args:
        curve: (T,), q(t).
        k: number of successive slopes that must agree.
        first_pass: smooth the curve before the first attempt and end with the first pass, as Song &
            Huang 2018 do: T_e is the first trough after the peak.

    Returns:
        T_s, T_e and the rule.

    Raises:
        ValueError: the curve is not one-dimensional, has fewer than 2 frames or holds NaN or
            infinity, or ``k`` is below 1.

    Source: Wang et al. 2020, Eq. 2-3; Song & Huang 2018, section 2.1. The papers do not say what to
    do with a curve that has no such frames, or has T_e before T_s. Our choice: smooth it by a
    Gaussian of 1 frame, then of 2 frames, and if both fail take all frames. Song & Huang's "end of
    the first pass" has no rule either: ours is the first local minimum after the peak at which less
    than half of the bolus is left, and the last frame where there is none.
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
    if first_pass:
        return _first_pass(curve, k)
    for smoothing in _ATTEMPTS_WANG:
        limits = _rise_and_washout(_smooth(curve, smoothing), k)
        if limits is not None:
            return PerfusionWindow(*limits, smoothing.rule)
    return PerfusionWindow(0, curve.size - 1, ALL_FRAMES)


def _smooth(curve: np.ndarray, smoothing: _Smoothing) -> np.ndarray:
    if smoothing.sigma == 0:
        return curve
    return gaussian_filter1d(curve, smoothing.sigma, truncate=smoothing.truncate)


def _first_pass(curve: np.ndarray, k: int) -> PerfusionWindow:
    """The window of Song & Huang; see ``find_perfusion_window``."""
    for smoothing in _ATTEMPTS_SONG:
        smoothed = _smooth(curve, smoothing)
        starts = _runs(smoothed, k, rising=True)
        peak = int(np.argmax(smoothed))
        if starts.size == 0 or not starts[0] < peak < curve.size - 1:
            continue
        trough = _first_trough(smoothed, int(starts[0]), peak)
        if trough is None:
            return PerfusionWindow(int(starts[0]), curve.size - 1, f"{smoothing.rule}, no trough")
        return PerfusionWindow(int(starts[0]), trough, smoothing.rule)
    return PerfusionWindow(0, curve.size - 1, ALL_FRAMES)


def _first_trough(curve: np.ndarray, onset: int, peak: int) -> int | None:
    """The first local minimum after the peak below half of its height over the onset, or None."""
    low = curve[onset] + _WASHED_OUT * (curve[peak] - curve[onset])
    inner = np.arange(peak + 1, curve.size - 1)
    is_trough = (curve[inner] <= curve[inner - 1]) & (curve[inner] < curve[inner + 1])
    found = inner[is_trough & (curve[inner] < low)]
    return int(found[0]) if found.size else None


def _runs(curve: np.ndarray, k: int, *, rising: bool) -> np.ndarray:
    """Frames at which k slopes above 0 begin (``rising``), or k slopes at or below 0 end."""
    if curve.size <= k:
        return np.empty(0, dtype=int)
    # Row i holds the slopes i .. i+k-1.
    slopes = np.lib.stride_tricks.sliding_window_view(np.gradient(curve), k)
    if rising:
        starts = np.flatnonzero((slopes > 0).all(axis=1))
        return starts[starts < curve.size - k]
    ends = np.flatnonzero((slopes <= 0).all(axis=1)) + k - 1
    return ends[ends >= k]


def _rise_and_washout(curve: np.ndarray, k: int) -> tuple[int, int] | None:
    """(T_s, T_e), or None where one does not exist or T_e does not lie after T_s."""
    starts, ends = (_runs(curve, k, rising=rising) for rising in (True, False))
    if starts.size == 0 or ends.size == 0 or ends[-1] <= starts[0]:
        return None
    return int(starts[0]), int(ends[-1])
