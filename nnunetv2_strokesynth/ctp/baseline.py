"""When the contrast arrives, and which frames come without it, from an arterial curve."""

from __future__ import annotations

import numpy as np
from scipy import ndimage


def find_onset(curve: np.ndarray) -> int:
    """Number of frames before the contrast arrives, at least 1, in an arterial curve (T,)."""
    smooth = ndimage.gaussian_filter1d(curve.astype(np.float64), 1.0)
    peak = int(np.argmax(smooth))
    low = smooth[: peak + 1].min()
    above = np.flatnonzero(smooth[: peak + 1] > low + 0.08 * (smooth[peak] - low))
    return max(1, int(above[0]) - 1) if above.size else 1


def baseline_frames(arterial: np.ndarray) -> slice:
    """The frames without contrast, from an arterial curve (T,).

    They are those before the contrast arrives. A series that begins in the middle of the bolus has
    none; there the last frames serve, when most of the contrast has gone.
    """
    before = slice(find_onset(arterial))
    if arterial.mean() <= arterial[before].mean():
        return slice(-max(1, len(arterial) // 8), None)
    return before


def lower_baseline(arterial: np.ndarray) -> slice:
    """``baseline_frames``, or the last frames where they lie under a single first frame.

    The first frame of a series that begins in the bolus can lie far over the baseline and yet under
    the mean of the curve. The phantom's maps keep the plainer rule, on which its bytes depend.
    """
    baseline = baseline_frames(arterial)
    last = slice(-max(1, len(arterial) // 8), None)
    began_late = baseline.stop == 1 and arterial[last].mean() < arterial[0]
    return last if began_late else baseline
