"""A series whose slices are imaged at times of their own, brought to common times.

In shuttle mode the table moves to and fro, so that the slices of a frame lie up to half a cycle
apart. Each slice's curve is interpolated by cubic Hermite splines through its own images, with the
slopes of the parabola through three neighbours. Common times lie in the middle between the earliest
and the latest slice, so that the interpolation treats two slabs alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.interpolate import CubicHermiteSpline

from nnunetv2_strokesynth.io.series import Series, unusable_voxels

SAME_TIME_S = 0.1
"""Choice: slices that lie no farther apart count as imaged at once; Tmax is good to 0.5 s."""
_NEGLIGIBLE = 1e-6

SliceReader = Callable[[int, int], np.ndarray]
"""From the number of a slice and of one of its images, in order of time, to (Y, X) HU."""


class Part(NamedTuple):
    """How much of an image of a slice goes into a frame at a common time."""

    image: int
    weight: float


def common_times(times_s: Sequence[np.ndarray]) -> np.ndarray:
    """Times at which every slice has a value, (T,) in s.

    They are those of the slices that have the usual number of images, in the middle between the
    earliest and the latest. No slice is carried on by more than a step beyond its own images.

    Args:
        times_s: of each slice (T_z,), increasing; T_z may differ.

    Raises:
        ValueError: some slices are imaged when others are not, as with an injection for each slab.
    """
    like_usual = usual_slices(times_s)
    middle = (like_usual.min(axis=0) + like_usual.max(axis=0)) / 2
    step_s = float(np.median(np.diff(middle)))
    first, last = max(times[0] for times in times_s), min(times[-1] for times in times_s)
    shared = middle[(middle >= first - step_s) & (middle <= last + step_s)]
    if last - first < 0.5 * (middle[-1] - middle[0]) or len(shared) < 2:
        raise ValueError(
            f"some slices are imaged from {max(0.0, first):.0f} s on and others until {last:.0f} s "
            "only: slabs with an injection each have no common times; give one slab at a time"
        )
    return shared


def usual_slices(times_s: Sequence[np.ndarray]) -> np.ndarray:
    """(N, T) times of the slices that have the usual number of images.

    Where several numbers are as frequent, the one in the middle is usual: a slice that lies in two
    slabs has twice as many, and the last sweep may not reach all slices.
    """
    counts = [len(times) for times in times_s]
    middle = np.median(counts)
    usual = max(counts, key=lambda count: (counts.count(count), -abs(count - middle)))
    return np.array([times for times in times_s if len(times) == usual])


class AlignedSlices:
    """Frames at common times, interpolated between the images of each slice.

    Args:
        open_slices: gives a new reader for each walk through the frames. Images of a slice are
            asked for in order of time, the last four of them more than once.
        times_s: of each slice (T_z,), at least 2, increasing.
        wanted_s: (T,) common times; before its first and after its last image a slice stays as it
            is.
        source: the series that the images are of, if there is one.
    """

    def __init__(
        self,
        open_slices: Callable[[], SliceReader],
        times_s: Sequence[np.ndarray],
        wanted_s: np.ndarray,
        source: Series | None = None,
    ):
        self._open, self._source = open_slices, source
        self._parts = [_parts(np.asarray(times, np.float64), wanted_s) for times in times_s]
        self._length = len(wanted_s)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[np.ndarray]:
        read = self._open()
        for frame in range(self._length):
            yield np.stack([_mixed(read, z, of[frame]) for z, of in enumerate(self._parts)])

    @property
    def unusable(self) -> np.ndarray | None:
        """Where an image that was read held no number, bool (Z, Y, X)."""
        return None if self._source is None else unusable_voxels(self._source)

    @property
    def reach(self) -> int:
        """How many frames back a reader has to know, if all slices are read frame by frame."""
        per_frame = [
            [part.image for of in self._parts for part in of[frame]] for frame in range(len(self))
        ]
        return max(max(images) - min(images) for images in per_frame) + 1


def _parts(times_s: np.ndarray, wanted_s: np.ndarray) -> list[list[Part]]:
    """For each common time the images of one slice, up to four, and their weights."""
    one_each = np.eye(len(times_s))
    spline = CubicHermiteSpline(times_s, one_each, np.gradient(one_each, times_s, axis=0))
    weights = spline(np.clip(wanted_s, times_s[0], times_s[-1]))
    return [
        [Part(int(i), float(row[i])) for i in np.flatnonzero(np.abs(row) > _NEGLIGIBLE)]
        for row in weights
    ]


def _mixed(read: SliceReader, z: int, parts: list[Part]) -> np.ndarray:
    if len(parts) == 1:
        return read(z, parts[0].image)
    total = sum(np.float32(part.weight) * read(z, part.image) for part in parts)
    return np.asarray(total, np.float32)


class _FrameWindow:
    """The slices of a series that is read frame by frame; the last few frames are kept."""

    def __init__(self, series: Series, n_kept: int):
        self._frames, self._n_kept = iter(series), n_kept
        self._kept: dict[int, np.ndarray] = {}
        self._next = 0

    def __call__(self, z: int, t: int) -> np.ndarray:
        while self._next <= t:
            self._kept[self._next] = next(self._frames)
            self._kept.pop(self._next - self._n_kept, None)
            self._next += 1
        return self._kept[t][z]


def simultaneous(series: Series, times_s: np.ndarray, slice_offset_s: np.ndarray | None) -> Series:
    """A series with all slices of a frame at one time.

    Args:
        series: frames (Z, Y, X).
        times_s: (T,) of the frames.
        slice_offset_s: (Z,), how much later than its frame each slice is imaged; None for at once.

    Returns:
        The series itself if its slices are imaged at once, up to 0.1 s.
    """
    if slice_offset_s is None or np.ptp(slice_offset_s) <= SAME_TIME_S:
        return series
    of_slices = [times_s + offset for offset in slice_offset_s]
    wanted = times_s + (slice_offset_s.min() + slice_offset_s.max()) / 2
    aligned = AlignedSlices(lambda: _FrameWindow(series, aligned.reach), of_slices, wanted, series)
    return aligned
