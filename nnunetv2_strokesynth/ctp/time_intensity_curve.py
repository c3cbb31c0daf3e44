"""Time-intensity curve and maximum intensity projection of a CTP series (Wang et al., Eq. 1-2)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.io.series import Series


class SeriesSummary(NamedTuple):
    """What one walk through a series gives.

    Attributes:
        mip: (Z, Y, X), HU, the maximum intensity projection over all frames (not over the
            perfusion window). Source: Wang et al. 2020, Eq. 1.
        curve: (T,), q(t), the sum of all intensities of each frame. Source: Wang et al. 2020,
            Eq. 2. It is float64: a sum of a million HU in float32 would round away the bolus.
        changes: whether any frame differs from the first.
        first: (Z, Y, X), HU, the first frame.
        brain_hu: (T,), HU, the mean of each frame in the brain; None where no brain was given.
        n_repeated: how many frames equal the frame before them, voxel by voxel.
    """

    mip: np.ndarray
    curve: np.ndarray
    changes: bool
    first: np.ndarray
    brain_hu: np.ndarray | None
    n_repeated: int = 0


def summarise(series: Series, name: str = "", *, brain: np.ndarray | None = None) -> SeriesSummary:
    """MIP and time-intensity curve of a series, in one walk through its frames.

    Args:
        series: frames (Z, Y, X), HU; an array (T, Z, Y, X) will do.
        name: name of its file, for error messages.
        brain: (Z, Y, X) bool, not empty.

    Raises:
        ValueError: there is no frame, or a frame holds NaN or infinite voxels.
    """
    mip: np.ndarray | None = None
    first: np.ndarray | None = None
    before: np.ndarray | None = None
    sums, means, changes, n_repeated = [], [], False, 0
    for index, frame in enumerate(series):
        sums.append(frame.sum(dtype=np.float64))
        if not np.isfinite(sums[-1]):
            bad = int(frame.size - np.isfinite(frame).sum())
            raise ValueError(
                f"frame {index} of the series {name} holds {bad} voxels that are NaN or infinite, "
                "expected none"
            )
        if brain is not None:
            means.append(frame[brain].mean(dtype=np.float64))
        if mip is None or first is None:
            mip, first = frame.copy(), frame
            before = frame
            continue
        np.maximum(mip, frame, out=mip)
        changes = changes or not np.array_equal(frame, first)
        n_repeated += before is not None and np.array_equal(frame, before)
        before = frame
    if mip is None or first is None:
        raise ValueError("the series has no frame")
    brain_hu = None if brain is None else np.array(means)
    return SeriesSummary(mip, np.array(sums), changes, first, brain_hu, n_repeated)
