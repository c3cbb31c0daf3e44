"""When the slices of a series' frames are imaged."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FRAME_S = 1.0
"""The releases' series have a frame each second."""


class Timetable(NamedTuple):
    """The times of a series.

    Attributes:
        times_s: (T,) of the frames, from 0, increasing; multiples of 0.25 s.
        slice_offset_s: (Z,), how much later than its frame each slice is imaged; empty if all
            slices are imaged at once.
    """

    times_s: tuple[float, ...]
    slice_offset_s: tuple[float, ...] = ()

    @property
    def is_even(self) -> bool:
        """Whether one time between frames says it all."""
        return not self.slice_offset_s and len(set(np.diff(self.times_s))) <= 1

    @property
    def header_frame_s(self) -> float:
        """What the header of the series says: 1 s, as many programs write, where it cannot tell."""
        return self.times_s[1] if self.is_even and len(self.times_s) > 1 else FRAME_S

    def sidecar(self) -> dict[str, list[float]]:
        """What the header cannot say, in the fields of BIDS (s); empty if it says everything."""
        if self.is_even:
            return {}
        slices = {"SliceTiming": [*self.slice_offset_s]} if self.slice_offset_s else {}
        return {"VolumeTiming": [*self.times_s], **slices}

    def offsets(self, n_slices: int) -> np.ndarray:
        """(Z,) float64 in s, zeros included."""
        return np.array(self.slice_offset_s or [0.0] * n_slices)

    def frame_at(self, time_s: float) -> int:
        """Index of the frame that is nearest to a time."""
        return int(np.abs(np.array(self.times_s) - time_s).argmin())


def even_timetable(n_frames: int, frame_s: float = FRAME_S) -> Timetable:
    """Frames at even steps, all slices at once."""
    return Timetable(tuple(frame_s * k for k in range(n_frames)))
