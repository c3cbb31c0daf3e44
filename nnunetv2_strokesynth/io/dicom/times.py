"""Which image of a slice position belongs to which frame, and when each was taken."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from nnunetv2_strokesynth.io.dicom.clocks import (
    SECOND_US,
    all_differ,
    check_same_time,
    clocks,
    numbers_of,
)
from nnunetv2_strokesynth.io.dicom.frames import Frames, complete_frames, ordered
from nnunetv2_strokesynth.io.dicom.moments import CLOCKS, DOUBTFUL_CLOCK
from nnunetv2_strokesynth.io.dicom.stack import Stack
from nnunetv2_strokesynth.io.dicom.tags import ORDER_TAGS
from nnunetv2_strokesynth.io.dicom.whole_seconds import evened, repeating_seconds
from nnunetv2_strokesynth.io.slice_times import SAME_TIME_S, common_times, usual_slices


def sort_frames(stack: Stack, frame_s: float | None) -> Frames:
    """Sort the images of each position by time.

    Where all slices of a frame are imaged at once, their median is the frame's time, and frames
    that lack a slice are left out. Otherwise each slice keeps its own times, and the frames have
    common ones.

    Args:
        stack: the images at each position.
        frame_s: seconds between frames, for images that have no time.

    Raises:
        ValueError: two images of one position have the same time; no tag gives the order of the
            frames, or the time between them; too many images are missing; or ``frame_s`` is given
            and the images have times.
    """
    for clock, values in clocks(stack):
        if all_differ(values):
            return _by_time(stack, values, clock, frame_s)
    repeating = repeating_seconds(stack, frame_s)
    if repeating is not None:
        return repeating
    check_same_time(stack)
    for tag in ORDER_TAGS:
        numbers = numbers_of(stack, tag)
        if numbers is not None and all_differ(numbers):
            return _by_number(stack, numbers, tag, frame_s)
    raise ValueError(
        f"{stack.name}: no tag tells the {max(stack.counts)} images of a position apart (tried "
        f"{', '.join((*CLOCKS, *ORDER_TAGS))}); export the series with its acquisition times"
    )


def _by_time(stack: Stack, values: list[np.ndarray], clock: str, frame_s: float | None) -> Frames:
    """Frames by a clock, microseconds of the images at each position."""
    orders = [np.argsort(row, kind="stable") for row in values]
    images = ordered(stack, orders)
    start = min(row.min() for row in values)
    times = [(row[order] - start) / SECOND_US for row, order in zip(values, orders, strict=True)]
    frame_times = np.median(usual_slices(times), axis=0)
    step = float(np.median(np.diff(frame_times)))
    if frame_s is not None:
        raise ValueError(
            f"{stack.name}: --frame-s {frame_s:g} has no effect, because the images have times "
            f"({clock}, {step:.2f} s between frames); leave it out"
        )
    warnings = []
    if clock == DOUBTFUL_CLOCK:
        warnings.append(
            f"{stack.name}: no acquisition time tells the frames apart, so ContentTime does; on "
            f"some scanners it is when an image was computed: check the {step:.2f} s between frames"
        )
    whole = all(not (row % SECOND_US).any() for row in values)
    tolerance = step / 2 if clock == DOUBTFUL_CLOCK else max(SAME_TIME_S, 1.0 * whole)
    nearest = [np.abs(row[:, None] - frame_times).argmin(axis=1) for row in times]
    together = all(
        np.abs(row - frame_times[frames]).max() <= min(tolerance, step / 2) + 1e-9
        and len(set(frames)) == len(frames)
        for row, frames in zip(times, nearest, strict=True)
    )
    if together or clock == DOUBTFUL_CLOCK:
        if not together:
            _check_equal_counts(stack)
            nearest = [np.arange(len(frame_times))] * len(times)
        if whole:
            frame_times, said = evened(stack, frame_times, clock)
            warnings += said
        complete, said = complete_frames(stack, images, nearest, frame_times)
        kept_images, kept = complete
        kept_times = frame_times[kept] - frame_times[kept[0]]
        return Frames(kept_images, [kept_times] * len(times), kept_times, [*warnings, *said])
    return Frames(images, times, _common(stack, times), [*warnings, *_apart(stack, times)])


def _common(stack: Stack, times: list[np.ndarray]) -> np.ndarray:
    try:
        if min(len(row) for row in times) < 2:
            raise ValueError("a slice has one image only")
        return common_times(times)
    except ValueError as error:
        raise ValueError(f"{stack.name}: {error}") from error


def _apart(stack: Stack, times: list[np.ndarray]) -> list[str]:
    """A sentence about slices that are imaged at times of their own."""
    step = float(np.median(np.concatenate([np.diff(row) for row in times])))
    usual = usual_slices(times)
    from_usual = [np.abs(row[:, None] - np.median(usual, axis=0)).min(axis=1) for row in times]
    spread = max(float(np.ptp(usual, axis=0).max()), *(float(apart.max()) for apart in from_usual))
    said = [
        f"{stack.name}: slices of a frame are imaged up to {spread:.2f} s apart (a moving "
        "table?): each is interpolated to a common time"
    ]
    counts = Counter(len(row) for row in times)
    if len(counts) > 1:
        found = ", ".join(f"{n} slices have {count} images" for count, n in sorted(counts.items()))
        said.append(f"{stack.name}: {found}: the times that all have are used")
    gaps = [(float(np.diff(row).max()), z) for z, row in enumerate(times)]
    gap, z = max(gaps)
    if gap > 2.5 * step and gap > 1.5 * float(np.median([g for g, _ in gaps])):
        said.append(
            f"{stack.name}: the slice at {stack.places_mm[z]:.2f} mm has no image for {gap:.1f} s; "
            "it was interpolated over that time"
        )
    return said


def _check_equal_counts(stack: Stack) -> None:
    if len(set(stack.counts)) > 1:
        raise ValueError(
            f"{stack.name}: its slice positions have {min(stack.counts)} to {max(stack.counts)} "
            "images, and no acquisition time says which belong together; export it with its times"
        )


def _by_number(stack: Stack, numbers: list[list[int]], tag: str, frame_s: float | None) -> Frames:
    """Frames in the order of a tag, for the images of each position."""
    stored = {image.resolution_ms for images in stack.images for image in images}
    stored_ms = stored.pop() if len(stored) == 1 else None
    step = frame_s if frame_s is not None else (stored_ms or math.nan) / 1000
    if not step > 0:
        raise ValueError(
            f"{stack.name}: its images have no times that differ between frames, and no "
            "TemporalResolution; give the seconds between frames with --frame-s"
        )
    orders = [np.argsort(row, kind="stable") for row in numbers]
    images = ordered(stack, orders)
    known = sorted({number for row in numbers for number in row})
    if len(set(stack.counts)) == 1:  # numbers may differ between slices
        frames = [np.arange(stack.counts[0])] * len(images)
        times = step * np.arange(stack.counts[0])
    else:
        frames = [np.searchsorted(known, np.sort(row)) for row in numbers]
        times = step * np.arange(len(known))
    (kept_images, kept), said = complete_frames(stack, images, frames, times)
    source = "given" if frame_s is not None else "TemporalResolution"
    warning = f"{stack.name}: no times; frames in the order of {tag}, {step:g} s apart ({source})"
    times = times[kept] - times[kept[0]]
    return Frames(kept_images, [times] * len(images), times, [warning, *said])
