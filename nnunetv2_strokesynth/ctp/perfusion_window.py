"""What Wang et al. 2020 take from the CTP series: MIP, perfusion window, the frames in it.

Arrays are (T, Z, Y, X): time first, as SimpleITK and nnU-Net order the axes. Where a series is
asked for, any ``series.Series`` serves, and is never in memory as a whole.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter1d

from nnunetv2_strokesynth.io.series import Series

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


class SeriesSummary(NamedTuple):
    """What one walk through a series gives.

    Attributes:
        mip: (Z, Y, X), HU, the maximum intensity projection over time.
        curve: (T,), float64, the sum of all intensities of each frame.
        changes: whether any frame differs from the first.
    """

    mip: np.ndarray
    curve: np.ndarray
    changes: bool


def summarise(series: Series, name: str = "") -> SeriesSummary:
    """MIP and time-intensity curve of a series, frame by frame; see the functions of their names.

    Args:
        series: frames (Z, Y, X), HU.
        name: of its file, for errors.

    Raises:
        ValueError: a frame holds NaN or infinite voxels.
    """
    mip: np.ndarray | None = None
    first: np.ndarray | None = None
    sums, changes = [], False
    for index, frame in enumerate(series):
        sums.append(frame.sum(dtype=np.float64))
        if not np.isfinite(sums[-1]):
            bad = int(frame.size - np.isfinite(frame).sum())
            raise ValueError(
                f"frame {index} of the series {name} holds {bad} voxels that are NaN or infinite, "
                "expected none"
            )
        if mip is None or first is None:
            mip, first = frame.copy(), frame
            continue
        np.maximum(mip, frame, out=mip)
        changes = changes or not np.array_equal(frame, first)
    if mip is None:
        raise ValueError("the series has no frame")
    return SeriesSummary(mip, np.array(sums), changes)


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


def sample_frames(ctp: np.ndarray | Series, t_start: int, t_end: int, n_frames: int) -> np.ndarray:
    """Frames at equal steps from ``t_start`` to ``t_end``, both included.

    Args:
        ctp: (T, Z, Y, X), HU; or a series, which is walked through once, up to ``t_end``.
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
    frames: np.ndarray | None = None
    for index, frame in zip(range(t_end + 1), ctp, strict=False):
        if frames is None:
            frames = np.zeros((n_frames, *frame.shape), dtype=np.float32)
        weights = np.maximum(0, 1 - np.abs(positions - index)).astype(np.float32)
        for k in np.flatnonzero(weights):
            frames[k] += frame if weights[k] == 1 else weights[k] * frame
    assert frames is not None  # the window lies in the series
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
