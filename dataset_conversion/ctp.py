"""What Wang et al. 2020 take from the CTP series: MIP, perfusion window, the frames in it.

Arrays are (T, Z, Y, X): time first, as SimpleITK and nnU-Net order the axes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

ALL_FRAMES = "all frames"


class _Rung(NamedTuple):
    """One attempt at the window: a Gaussian in frames on the curve; sigma 0 leaves it as it is."""

    rule: str
    sigma: float
    truncate: float


_RAW = _Rung("raw", 0.0, 4.0)
_SIGMA1 = _Rung("sigma1", 1.0, 4.0)
_SIGMA2 = _Rung("sigma2", 2.0, 4.0)
# Song & Huang give the kernel's size, 5, and not its width: sigma 1, cut off at 2 frames a side.
_KERNEL5 = _Rung("kernel5", 1.0, 2.0)

_LADDER_WANG = (_RAW, _SIGMA1, _SIGMA2)
_LADDER_SONG = (_KERNEL5, _SIGMA2)


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


def mip_time(ctp: np.ndarray) -> np.ndarray:
    """Maximum intensity projection over time.

    Args:
        ctp: (T, Z, Y, X), HU.

    Returns:
        (Z, Y, X), HU, the dtype of ``ctp``.

    Source: Wang et al. 2020, Eq. 1. Over all frames, not over the perfusion window.
    """
    return ctp.max(axis=0)


def time_intensity_curve(ctp: np.ndarray) -> np.ndarray:
    """Sum of all intensities of each frame, q(t).

    Args:
        ctp: (T, Z, Y, X), HU.

    Returns:
        (T,), float64: a sum of a million HU in float32 would round away the bolus.

    Source: Wang et al. 2020, Eq. 2.
    """
    return ctp.sum(axis=(1, 2, 3), dtype=np.float64)


def find_perfusion_window(
    curve: np.ndarray, k: int = 5, *, smooth_first: bool = False
) -> PerfusionWindow:
    """The frames from the bolus' arrival to the end of its washout, and the rule that found them.

    With q' the central differences of the curve, T_s is the smallest t in [0, T-k) with
    q'(t..t+k-1) all above 0, and T_e the largest t in [k, T) with q'(t-k+1..t) all at or below 0.

    Args:
        curve: (T,), q(t).
        k: how many successive slopes must agree.
        smooth_first: smooth the curve before the first attempt, as Song & Huang 2018 do.

    Returns:
        T_s, T_e and the rule.

    Raises:
        ValueError: the curve is not one-dimensional, has fewer than 2 frames or holds NaN or
            infinity, or ``k`` is below 1.

    Source: Wang et al. 2020, Eq. 2-3; Song & Huang 2018, section 2.1. The papers do not say what to
    do with a curve that has no such frames, or has T_e before T_s. Our choice: smooth it by a
    Gaussian of 1 frame, then of 2 frames, and at last take all frames.
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
    for rung in _LADDER_SONG if smooth_first else _LADDER_WANG:
        limits = _rise_and_washout(_smooth(curve, rung), k)
        if limits is not None:
            return PerfusionWindow(*limits, rung.rule)
    return PerfusionWindow(0, curve.size - 1, ALL_FRAMES)


def perfusion_window(curve: np.ndarray, k: int = 5) -> tuple[int, int]:
    """T_s and T_e, inclusive, of a time-intensity curve (T,); see ``find_perfusion_window``."""
    window = find_perfusion_window(curve, k)
    return window.t_start, window.t_end


def sample_frames(ctp: np.ndarray, t_start: int, t_end: int, n_frames: int) -> np.ndarray:
    """Frames at equal steps from ``t_start`` to ``t_end``, both included.

    Args:
        ctp: (T, Z, Y, X), HU.
        t_start: first frame, 0 <= t_start < t_end.
        t_end: last frame, below T.
        n_frames: how many.

    Returns:
        (n_frames, Z, Y, X), float32, HU.

    Raises:
        ValueError: the window does not lie in the series, or ``n_frames`` is below 1.

    Source: Wang et al. 2020, section 3.1 (six frames); Song & Huang 2018 (eleven). Our choice:
    linear interpolation between neighbouring frames at ``linspace(t_start, t_end, n_frames)``.
    """
    if not 0 <= t_start < t_end < len(ctp):
        raise ValueError(
            f"the window {t_start}..{t_end} does not lie in a series of {len(ctp)} frames"
        )
    if n_frames < 1:
        raise ValueError(f"n_frames must be at least 1, found {n_frames}")
    positions = np.linspace(t_start, t_end, n_frames)
    frames = np.empty((n_frames, *ctp.shape[1:]), dtype=np.float32)
    for frame, position in zip(frames, positions, strict=True):
        before = int(position)
        weight = np.float32(position - before)
        frame[:] = ctp[before]
        if weight > 0:
            frame += weight * (ctp[before + 1] - frame)
    return frames


def _smooth(curve: np.ndarray, rung: _Rung) -> np.ndarray:
    if rung.sigma == 0:
        return curve
    return gaussian_filter1d(curve, rung.sigma, truncate=rung.truncate)


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
