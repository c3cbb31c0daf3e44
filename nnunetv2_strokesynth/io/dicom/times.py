"""Which image of a slice position belongs to which frame, and when each frame was taken."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.io.dicom.stack import Stack
from nnunetv2_strokesynth.io.dicom.tags import (
    CLOCKS,
    ORDER_TAGS,
    SliceHeader,
)

_SECOND_US = 1_000_000
_DAY_US = 24 * 3600 * _SECOND_US
# AcquisitionDateTime and AcquisitionTime say when; ContentTime is when the image was made.
_DOUBTFUL_CLOCK = "ContentTime"


class Frames(NamedTuple):
    """Images by time and position.

    Attributes:
        images: T lists of Z images, slices from feet to head.
        times_s: (T,) from 0, increasing.
        warnings: what the user should know.
    """

    images: list[list[SliceHeader]]
    times_s: np.ndarray
    warnings: list[str]


def sort_frames(stack: Stack, frame_s: float | None) -> Frames:
    """Sort the images of each position by time; the median over the slices is a frame's time.

    Args:
        stack: the same number T of images at each position.
        frame_s: seconds between frames, for images that have no time.

    Raises:
        ValueError: two images of one position have the same time; or no tag gives the order of the
            frames, or the time between them.
    """
    for clock, values in _clocks(stack):
        if _all_differ(values):
            return _by_time(stack, np.array(values).T, clock, frame_s)
    check_same_time(stack)
    for tag in ORDER_TAGS:
        numbers = _numbers(stack, tag)
        if numbers is not None and _all_differ(numbers):
            return _by_number(stack, np.array(numbers).T, tag, frame_s)
    raise ValueError(
        f"{stack.name}: no tag tells the {stack.counts[0]} images of a position apart (tried "
        f"{', '.join((*CLOCKS, *ORDER_TAGS))}); export the series with its acquisition times"
    )


def tells_frames_apart(stack: Stack) -> bool:
    """Whether a time, or a number that counts frames, differs between the images of a position."""
    if any(_all_differ(values) for _, values in _clocks(stack)):
        return True
    # InstanceNumber counts files: it differs between two copies of one frame as well.
    rows = [_numbers(stack, tag) for tag in ORDER_TAGS if tag != "InstanceNumber"]
    return any(numbers is not None and _all_differ(numbers) for numbers in rows)


def _clock_us(stack: Stack, clock: str) -> list[np.ndarray] | None:
    """Microseconds of each image at each position by one of ``CLOCKS``; None if an image has none.

    Where there is no date, or all images have the same one, a time that is more than 12 hours
    before another counts as past midnight.
    """
    images = [image for place in stack.images for image in place]
    if not all(clock in image.times for image in images):
        return None
    moments = [image.times[clock] for image in images]
    days = [moment.day for moment in moments if moment.day is not None]
    times = np.array([moment.microseconds for moment in moments], dtype=np.int64)
    if len(days) < len(moments) or len(set(days)) == 1:
        times[times < times.max() - _DAY_US // 2] += _DAY_US
    else:
        times += (np.array(days, dtype=np.int64) - min(days)) * _DAY_US
    return np.split(times, np.cumsum(stack.counts)[:-1])


def check_same_time(stack: Stack) -> None:
    """Refuse two images of one place and time, as in a series that was reconstructed twice.

    Raises:
        ValueError: two images have the same time by the best clock that runs at every position,
            and no other tag says which frame they belong to.
    """
    if tells_frames_apart(stack):
        return
    for clock, values in _clocks(stack):
        if not _runs(values):
            continue
        for place, images, row in zip(stack.places_mm, stack.images, values, strict=True):
            order = np.argsort(row, kind="stable")
            same = np.flatnonzero(np.diff(row[order]) == 0)
            if len(same):
                first, second = (images[order[same[0] + step]].path.name for step in (0, 1))
                raise ValueError(
                    f"{stack.name}: {first} and {second} are two images of slice position "
                    f"{place:.2f} mm with the same {clock}, expected one; leave one reconstruction "
                    "in the folder"
                )
        return


def _clocks(stack: Stack) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The clocks that all images have, the best one first.

    A second reconstruction of a frame has the frame's time of acquisition and another ContentTime.
    So ContentTime does not count where a time of acquisition runs.
    """
    acquisition_runs = False
    for clock in CLOCKS:
        values = _clock_us(stack, clock)
        if values is None or (clock == _DOUBTFUL_CLOCK and acquisition_runs):
            continue
        acquisition_runs = acquisition_runs or _runs(values)
        yield clock, values


def _runs(values: list[np.ndarray]) -> bool:
    return all(len(np.unique(row)) > 1 for row in values)


def _by_time(stack: Stack, times: np.ndarray, clock: str, frame_s: float | None) -> Frames:
    """Frames by a clock, (T, Z) microseconds."""
    images, times = _reorder(stack, times)
    seconds = (times - times.min()) / _SECOND_US
    frame_times = np.median(seconds, axis=1)
    step = float(np.median(np.diff(frame_times)))
    spread = float(np.ptp(seconds, axis=1).max())
    warnings = []
    if spread > step:
        warnings.append(
            f"{stack.name}: the slices of a frame were taken up to {spread:.2f} s apart, frames "
            f"{step:.2f} s apart (a moving table?); one time serves for all slices of a frame"
        )
    if clock == _DOUBTFUL_CLOCK:
        warnings.append(
            f"{stack.name}: no acquisition time tells the frames apart, so ContentTime does; on "
            f"some scanners it is when an image was computed: check the {step:.2f} s between frames"
        )
    if frame_s is not None:
        warnings.append(
            f"{stack.name}: {frame_s:g} s between frames was given and is not used, because the "
            f"images have times ({clock}, {step:.2f} s between frames)"
        )
    return Frames(images, frame_times - frame_times[0], warnings)


def _by_number(stack: Stack, numbers: np.ndarray, tag: str, frame_s: float | None) -> Frames:
    """Frames in the order of a tag, (T, Z) numbers."""
    images, _ = _reorder(stack, numbers)
    stored = {image.resolution_ms for frame in images for image in frame}
    stored_ms = stored.pop() if len(stored) == 1 else None
    step = frame_s if frame_s is not None else (stored_ms or math.nan) / 1000
    if not step > 0:
        raise ValueError(
            f"{stack.name}: its images have no times that differ between frames, and no "
            "TemporalResolution; give the seconds between frames with --frame-s"
        )
    source = "given" if frame_s is not None else "TemporalResolution"
    warning = f"{stack.name}: no times; frames in the order of {tag}, {step:g} s apart ({source})"
    return Frames(images, np.arange(len(images)) * step, [warning])


def _reorder(stack: Stack, keys: np.ndarray) -> tuple[list[list[SliceHeader]], np.ndarray]:
    """Sort the images of each position by ``keys`` (T, Z)."""
    order = np.argsort(keys, axis=0, kind="stable")
    images = [[stack.images[z][t] for z, t in enumerate(row)] for row in order]
    return images, np.take_along_axis(keys, order, axis=0)


def _numbers(stack: Stack, tag: str) -> list[list[int]] | None:
    if not all(tag in image.orders for images in stack.images for image in images):
        return None
    return [[image.orders[tag] for image in images] for images in stack.images]


def _all_differ(rows: list[np.ndarray] | list[list[int]]) -> bool:
    return all(len(np.unique(row)) == len(row) for row in rows)
