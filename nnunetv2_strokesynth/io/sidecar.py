"""Frame times in the JSON file beside a NIfTI series, as BIDS has them: ``x.json`` of ``x.nii.gz``.

Source: BIDS 1.10, fields ``FrameTimesStart`` and ``FrameDuration`` (PET), ``VolumeTiming`` and
``RepetitionTime`` (functional MRI, perfusion), ``SliceTiming``, all in seconds.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import strip_suffix

TOLERANCE = 0.05
"""Choice: two statements about the time between frames agree up to this part of it."""
_LARGEST_BYTES = 50_000_000


class SidecarTimes(NamedTuple):
    """When the frames were taken, by a sidecar.

    Attributes:
        path: the sidecar.
        field: the field that says so.
        times_s: (T,) float64, from 0, increasing.
    """

    path: Path
    field: str
    times_s: np.ndarray

    @property
    def step_s(self) -> float:
        """Median time between frames, s."""
        return float(np.median(np.diff(self.times_s)))


def sidecar_of(path: Path) -> Path | None:
    """The JSON file beside a NIfTI file, ``x.json`` of ``x.nii`` or ``x.nii.gz``; None without."""
    sidecar = path.with_name(f"{strip_suffix(path.name)}.json")
    return sidecar if sidecar.is_file() else None


def read_sidecar_times(path: Path, n_frames: int) -> SidecarTimes | None:
    """The times of a series' frames by its sidecar.

    The start of each frame (``FrameTimesStart``, ``VolumeTiming``) says most; without it, the time
    between frames (``RepetitionTime``), or frames without pauses (``FrameDuration``) give it.

    Args:
        path: the NIfTI file.
        n_frames: at least 2.

    Returns:
        None without a sidecar, or where it has none of these fields.

    Raises:
        ValueError: the sidecar is not JSON, a field cannot be used, or two fields contradict each
            other.
        OSError: it cannot be read.
    """
    sidecar = sidecar_of(path)
    if sidecar is None:
        return None
    content = _read(sidecar)
    readers = (
        ("FrameTimesStart", _starts),
        ("VolumeTiming", _starts),
        ("RepetitionTime", _repetition),
        ("FrameDuration", _durations),
    )
    found = [
        SidecarTimes(sidecar, field, reader(sidecar, field, content[field], n_frames))
        for field, reader in readers
        if content.get(field) is not None
    ]
    if not found:
        return None
    _check_agreement(found)
    return found[0]


def read_slice_offsets(path: Path, n_slices: int) -> np.ndarray | None:
    """How much later than its frame each slice is imaged, by ``SliceTiming`` of the sidecar.

    Args:
        path: the NIfTI file.
        n_slices: along its third axis.

    Returns:
        (Z,) float64 in s, in the order in which slices are stored; None where nothing is said.

    Raises:
        ValueError: the sidecar is not JSON, or the field cannot be used.
        OSError: it cannot be read.
    """
    sidecar = sidecar_of(path)
    content = {} if sidecar is None else _read(sidecar)
    value = content.get("SliceTiming")
    if sidecar is None or value is None:
        return None
    offsets = _numbers(sidecar, "SliceTiming", value)
    direction = content.get("SliceEncodingDirection", "k")
    if len(offsets) != n_slices or direction not in ("k", "k-"):
        raise ValueError(
            f"{sidecar}: SliceTiming has {len(offsets)} times along {direction}, the series has "
            f"{n_slices} slices along k; repair or remove it"
        )
    return offsets[::-1].copy() if direction == "k-" else offsets


def _read(sidecar: Path) -> dict[str, object]:
    try:
        if sidecar.stat().st_size > _LARGEST_BYTES:
            raise ValueError(f"more than {_LARGEST_BYTES} bytes")
        content = json.loads(sidecar.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{sidecar}: not a JSON file ({error}); repair or remove it") from error
    if not isinstance(content, dict):
        raise ValueError(f"{sidecar}: expected a JSON object with fields; repair or remove it")
    return content


def _starts(sidecar: Path, field: str, value: object, n_frames: int) -> np.ndarray:
    starts = _numbers(sidecar, field, value)
    if len(starts) != n_frames:
        raise ValueError(
            f"{sidecar}: {field} has {len(starts)} times, the series has {n_frames} frames"
        )
    if not (np.diff(starts) > 0).all():
        raise ValueError(
            f"{sidecar}: {field} must increase from frame to frame, found {_shown(starts)}"
        )
    return starts - starts[0]


def _durations(sidecar: Path, field: str, value: object, n_frames: int) -> np.ndarray:
    """Start times of frames that follow each other without a pause."""
    single = isinstance(value, int | float)
    durations = _numbers(sidecar, field, [value] * n_frames if single else value)
    if len(durations) != n_frames:
        raise ValueError(
            f"{sidecar}: {field} has {len(durations)} values, the series has {n_frames} frames"
        )
    if not (durations > 0).all():
        raise ValueError(f"{sidecar}: {field} must be positive, found {_shown(durations)}")
    return np.concatenate([[0.0], np.cumsum(durations)[:-1]])


def _repetition(sidecar: Path, field: str, value: object, n_frames: int) -> np.ndarray:
    (step_s,) = _numbers(sidecar, field, [value])
    if step_s <= 0:
        raise ValueError(f"{sidecar}: {field} must be positive, found {step_s:g}")
    return step_s * np.arange(n_frames)


def _numbers(sidecar: Path, field: str, value: object) -> np.ndarray:
    """(N,) float64 of a list of finite numbers."""
    entries = value if isinstance(value, list) else None
    if entries is None or not all(_is_number(entry) for entry in entries):
        shown = str(value)
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        raise ValueError(f"{sidecar}: {field} must hold numbers in s, found {shown}")
    return np.array([float(entry) for entry in entries])


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of hundreds of digits
        return False


def _check_agreement(found: list[SidecarTimes]) -> None:
    """A frame may be shorter than the time to the next, so durations say nothing beside others."""
    first, *others = [times for times in found if times.field != "FrameDuration"] or found
    for other in others:
        if not agree(first.times_s, other.step_s):
            raise ValueError(
                f"{first.path}: frames lie {first.step_s:g} s apart by {first.field} and "
                f"{other.step_s:g} s by {other.field}; repair it, or pass --frame-s"
            )


def agree(times_s: np.ndarray, step_s: float) -> bool:
    """Whether a time between frames is, up to 5 %, the median or the mean of the times' steps."""
    steps = np.diff(times_s)
    return any(abs(step_s - own) <= TOLERANCE * own for own in (np.median(steps), np.mean(steps)))


def _shown(values: np.ndarray) -> str:
    return name_some((f"{value:g}" for value in values), at_most=6)
