"""Frames of a CTP series at equal steps of the perfusion window: the channels CTA_0, CTA_1, ..."""

from __future__ import annotations

import numpy as np

from nnunetv2_strokesynth.io.series import Series


def sample_frames(
    ctp: np.ndarray | Series, t_start: int, t_end: int, *, n_frames: int
) -> np.ndarray:
    """Frames at equal steps from ``t_start`` to ``t_end``, both included.

    Args:
        ctp: (T, Z, Y, X), HU; or a series, which is walked through once, up to ``t_end``.
        t_start: first frame, 0 <= t_start < t_end.
        t_end: last frame, below T.
        n_frames: number of frames.

    Returns:
        (n_frames, Z, Y, X), float32, HU.

    Raises:
        ValueError: the window does not lie in the series, or ``n_frames`` is below 1.

    Source: Wang et al. 2020, section 3.1 (six frames); Song & Huang 2018 (eleven). The papers do
    not say how; our choice is linear interpolation between neighbouring frames at
    ``linspace(t_start, t_end, n_frames)``.
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
