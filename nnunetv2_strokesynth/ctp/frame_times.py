"""When the frames of a NIfTI series were taken: by the user, its sidecar or its header."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.ctp.time_steps import FRAME_S_RANGE, frame_s_of, header_frame_s
from nnunetv2_strokesynth.io.nifti import read_header
from nnunetv2_strokesynth.io.sidecar import (
    SidecarTimes,
    agree,
    read_sidecar_times,
    read_slice_offsets,
)
from nnunetv2_strokesynth.io.slice_times import SAME_TIME_S


class FrameTimes(NamedTuple):
    """The times of a series' frames.

    Attributes:
        times_s: (T,) from 0, increasing; not always even.
        notes: sentences for the user, if there was anything to decide.
        slice_offset_s: (Z,), how much later than its frame each slice is imaged, as stored; None
            if all are imaged at once.
    """

    times_s: np.ndarray
    notes: list[str]
    slice_offset_s: np.ndarray | None = None


def frame_times_of(path: Path, n_frames: int, given_s: float | None = None) -> FrameTimes:
    """The times of a 4-D NIfTI file's frames.

    The time that the user gives wins. Then the sidecar does, which must not contradict the header.
    The header counts where it has a unit of time, and is not exactly 1 s, which many programs
    write where they do not know (ISLES 2018's files, SimpleITK, FSL). Times of the slices come from
    the sidecar alone, and not where the user gives the time between frames.

    Args:
        path: a file that passes ``nifti.read_header``.
        n_frames: of it, at least 2.
        given_s: the time between frames that the user gives.

    Raises:
        ValueError: no source has a usable time, the sidecar cannot be used, or sidecar and header
            differ by more than 5 %.
        OSError: the sidecar cannot be read.
    """
    if given_s is not None:
        step_s = frame_s_of(path, given_s)
        return FrameTimes(step_s * np.arange(n_frames), _overruled(path, n_frames, step_s))
    try:
        sidecar = read_sidecar_times(path, n_frames)
        offsets = read_slice_offsets(path, read_header(path).shape_zyx[0])
    except ValueError as error:
        raise ValueError(f"{error}; or pass --frame-s with the time between frames in s") from error
    if sidecar is None:
        found = FrameTimes(frame_s_of(path) * np.arange(n_frames), [])
    else:
        found = _by_sidecar(path, sidecar)
    return found if offsets is None else _with_offsets(path, found, offsets)


def _by_sidecar(path: Path, sidecar: SidecarTimes) -> FrameTimes:
    low, high = FRAME_S_RANGE
    if not low <= sidecar.step_s <= high:
        hint = "is it in ms? " if low <= sidecar.step_s / 1000 <= high else ""
        raise ValueError(
            f"{sidecar.path}: time between frames is {sidecar.step_s:g} s ({sidecar.field}), "
            f"expected {low:g} to {high:g} s; {hint}repair it, or pass --frame-s with the right "
            "time in s"
        )
    return FrameTimes(sidecar.times_s, _compared(path, sidecar))


def _with_offsets(path: Path, found: FrameTimes, offsets_s: np.ndarray) -> FrameTimes:
    """The times with those of the slices, which must lie within the time between frames."""
    spread, step_s = float(np.ptp(offsets_s)), float(np.median(np.diff(found.times_s)))
    if spread <= SAME_TIME_S:
        return found
    if spread > step_s:
        raise ValueError(
            f"{path}: SliceTiming of its sidecar spreads the slices of a frame over {spread:g} s, "
            f"and frames lie {step_s:g} s apart; is it in ms? Repair or remove it"
        )
    note = (
        f"slices of a frame are imaged up to {spread:.2f} s apart (SliceTiming): each is "
        "interpolated to a common time before the maps are computed"
    )
    return found._replace(notes=[*found.notes, note], slice_offset_s=offsets_s)


def _compared(path: Path, sidecar: SidecarTimes) -> list[str]:
    """A note on where the times come from; ``ValueError`` if the header contradicts them."""
    said = (
        f"times of the frames are those of {sidecar.path.name} ({sidecar.field}), "
        f"{sidecar.step_s:g} s apart"
    )
    header = header_frame_s(path)
    if header is None or agree(sidecar.times_s, header.frame_s):
        return [said]
    if header.frame_s == 1:
        return [f"{said}; the header's 1 s is what many programs write where they do not know"]
    if not header.has_unit:
        return [f"{said}; the header's {header.stored:g} has no unit and is not used"]
    raise ValueError(
        f"{path}: time between frames is {header.frame_s:g} s by the header (pixdim[{header.axis}])"
        f" and {sidecar.step_s:g} s by {sidecar.path.name} ({sidecar.field}); pass --frame-s with "
        "the right time in s"
    )


def _overruled(path: Path, n_frames: int, step_s: float) -> list[str]:
    """What the sidecar says, if it is something else than the user."""
    try:
        sidecar = read_sidecar_times(path, n_frames)
    except (ValueError, OSError) as error:
        return [f"--frame-s {step_s:g} is used, and the sidecar is not ({error})"]
    if sidecar is None:
        return []
    steps = np.diff(sidecar.times_s)
    if agree(sidecar.times_s, step_s) and np.ptp(steps) <= 0.1 * np.median(steps):
        return []
    return [
        f"--frame-s {step_s:g} is used, and {sidecar.path.name} is not, by whose {sidecar.field} "
        f"frames lie {steps.min():g} to {steps.max():g} s apart"
    ]
