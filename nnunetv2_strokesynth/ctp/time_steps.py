"""Times of a series' frames, and the series at even steps, as the deconvolution needs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np

from nnunetv2_strokesynth.io.nifti import raw_header
from nnunetv2_strokesynth.io.series import LEAST_DURATION_S, LEAST_FRAMES, Series

FRAME_S_RANGE = (0.3, 10.0)
# The bits of a NIfTI header's xyzt_units that tell the unit of time, and the units' codes.
TIME_UNITS, _SECONDS = 0x38, {8: 1.0, 16: 1e-3, 24: 1e-6}
_JITTER = 0.05
"""Times that depart from even steps by at most this part of a step count as even."""


def frame_s_of(path: Path, given_s: float | None = None) -> float:
    """Time between the frames of a 4-D NIfTI file, s.

    Args:
        path: a file that passes ``nifti.read_header``.
        given_s: the time that the user gives; the header is then not read.

    Raises:
        ValueError: the time is absent, is not within 0.3 to 10 s, or its unit is not one of time.
    """
    low, high = FRAME_S_RANGE
    if given_s is not None:
        if not low <= given_s <= high:
            raise ValueError(f"--frame-s {given_s:g}: expected {low:g} to {high:g} s")
        return given_s
    found = header_frame_s(path)
    if found is None:
        header = raw_header(path)
        axis = _time_axis(header)
        unit = int(header["xyzt_units"]) & TIME_UNITS
        raise ValueError(
            f"{path}: time between frames is {header['pixdim'][axis]:g} (pixdim[{axis}], unit code "
            f"{unit} of xyzt_units), expected {low:g} to {high:g} s; pass --frame-s with the right "
            "time in s"
        )
    return found.frame_s


class HeaderStep(NamedTuple):
    """What a NIfTI header says about the time between frames.

    Attributes:
        frame_s: the time, s.
        stored: as stored, in the header's unit.
        axis: index of ``pixdim``.
        has_unit: whether the header has a unit of time; seconds are assumed otherwise.
    """

    frame_s: float
    stored: float
    axis: int
    has_unit: bool


def header_frame_s(path: Path) -> HeaderStep | None:
    """The time between frames by the header; None where it is not one of 0.3 to 10 s."""
    low, high = FRAME_S_RANGE
    header = raw_header(path)
    axis = _time_axis(header)
    stored, unit = float(header["pixdim"][axis]), int(header["xyzt_units"]) & TIME_UNITS
    # Without a unit, seconds are assumed; the range tells whether that is wrong.
    frame_s = stored * {0: 1.0, **_SECONDS}.get(unit, float("nan"))
    if not low <= frame_s <= high:
        return None
    return HeaderStep(frame_s, stored, axis, unit != 0)


def _time_axis(header: nibabel.Nifti1Header) -> int:
    """Index of ``pixdim`` for the axis of time, which singleton axes may precede."""
    shape = header.get_data_shape()
    return 1 + next((k for k in range(3, len(shape)) if shape[k] != 1), 3)


def check_times(times_s: Sequence[float], n_frames: int) -> np.ndarray:
    """The times as float64, (T,), counted from the first frame.

    Raises:
        ValueError: their number is not that of the frames, they do not increase, or the recording
            is too short.
    """
    times = np.asarray(times_s, np.float64)
    if n_frames < LEAST_FRAMES:
        raise ValueError(
            f"the series has {n_frames} frames, expected at least {LEAST_FRAMES}: is it a CT "
            "perfusion series?"
        )
    if times.shape != (n_frames,):
        raise ValueError(f"{n_frames} frames, but times of shape {times.shape}")
    if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        raise ValueError(f"the times of the frames must increase, found {times.tolist()} s")
    duration = times[-1] - times[0]
    if duration < LEAST_DURATION_S:
        raise ValueError(
            f"the series lasts {duration:.1f} s, expected at least {LEAST_DURATION_S:.0f} s: "
            "a bolus does not pass through the brain in less; is the time step right?"
        )
    return times - times[0]


class EvenlySampled:
    """A series at even steps, interpolated linearly; two frames are in memory at a time.

    Args:
        series: frames (Z, Y, X).
        times_s: (T,) times of its frames, from 0 on, increasing.
        step_s: time between the interpolated frames, of which the last lies within the recording.
    """

    def __init__(self, series: Series, times_s: np.ndarray, step_s: float):
        self._series, self._times_s = series, times_s
        self._wanted_s = step_s * np.arange(int(times_s[-1] / step_s + 1e-6) + 1)

    def __len__(self) -> int:
        return len(self._wanted_s)

    def __iter__(self) -> Iterator[np.ndarray]:
        frames = iter(self._series)
        before, after = next(frames), next(frames)
        index = 1  # of the frame ``after``
        for wanted in self._wanted_s:
            while self._times_s[index] < wanted and index < len(self._times_s) - 1:
                before, after = after, next(frames)
                index += 1
            start, end = self._times_s[index - 1 : index + 1]
            part = np.float32(min((wanted - start) / (end - start), 1.0))
            yield before * (1 - part) + after * part


def evenly_sampled(series: Series, times_s: np.ndarray) -> tuple[Series, float]:
    """A series at even steps, and the step in s.

    Args:
        series: frames (Z, Y, X).
        times_s: (T,) from ``check_times``.

    Returns:
        The series itself and its mean step if its times are even; otherwise the series interpolated
        at the median step, and that step.
    """
    step_s = float(np.median(np.diff(times_s)))
    mean_step_s = times_s[-1] / (len(times_s) - 1)
    even = np.abs(times_s - mean_step_s * np.arange(len(times_s))).max() <= _JITTER * mean_step_s
    if even:
        return series, float(mean_step_s)
    return EvenlySampled(series, times_s, step_s), step_s
