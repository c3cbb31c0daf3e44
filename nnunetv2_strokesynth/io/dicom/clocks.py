"""The times and numbers of images that can tell the frames of a series apart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nnunetv2_strokesynth.io.dicom.moments import CLOCKS, DOUBTFUL_CLOCK
from nnunetv2_strokesynth.io.dicom.stack import Stack
from nnunetv2_strokesynth.io.dicom.tags import ORDER_TAGS

SECOND_US = 1_000_000
COUNTS_FILES = "InstanceNumber"
"""It differs between two copies of one frame as well."""
_DAY_US = 24 * 3600 * SECOND_US


def tells_frames_apart(stack: Stack) -> bool:
    """Whether a time, or a number that counts frames, differs between the images of a position."""
    if any(all_differ(values) for _, values in clocks(stack)):
        return True
    rows = [numbers_of(stack, tag) for tag in ORDER_TAGS if tag != COUNTS_FILES]
    return any(numbers is not None and all_differ(numbers) for numbers in rows)


def duration_s(stack: Stack) -> float | None:
    """From the first to the last image of the position that has most; None without times."""
    for _, values in clocks(stack):
        if runs(values):
            return float(max(np.ptp(row) for row in values)) / SECOND_US
    return None


def first_moment_us(stack: Stack) -> int | None:
    """When the first image of a stack was taken, by the best clock; None without a time."""
    images = [image for place in stack.images for image in place]
    for clock in CLOCKS:
        found = [image.times[clock] for image in images if clock in image.times]
        if len(found) == len(images):
            return min((moment.day or 0) * _DAY_US + moment.microseconds for moment in found)
    return None


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
    for clock, values in clocks(stack):
        if not runs(values):
            continue
        for place, images, row in zip(stack.places_mm, stack.images, values, strict=True):
            order = np.argsort(row, kind="stable")
            same = np.flatnonzero(np.diff(row[order]) == 0)
            if len(same):
                first, second = (images[order[same[0] + step]].name for step in (0, 1))
                whole = all(not (one % SECOND_US).any() for one in values)
                or_coarse = (
                    "; or its times, which are whole seconds, are too coarse: export fractions"
                )
                raise ValueError(
                    f"{stack.name}: {first} and {second} are two images of slice position "
                    f"{place:.2f} mm with the same {clock}, expected one; leave one reconstruction "
                    f"in the folder{or_coarse if whole else ''}"
                )
        return


def clocks(stack: Stack) -> Iterator[tuple[str, list[np.ndarray]]]:
    """The clocks that all images have, the best one first.

    A second reconstruction of a frame has the frame's time of acquisition and another ContentTime.
    So ContentTime does not count where a time of acquisition runs.
    """
    acquisition_runs = False
    for clock in CLOCKS:
        values = _clock_us(stack, clock)
        if values is None or (clock == DOUBTFUL_CLOCK and acquisition_runs):
            continue
        acquisition_runs = acquisition_runs or runs(values)
        yield clock, values


def runs(values: list[np.ndarray]) -> bool:
    return all(len(np.unique(row)) > 1 for row in values) and any(map(len, values))


def numbers_of(stack: Stack, tag: str) -> list[list[int]] | None:
    if not all(tag in image.orders for images in stack.images for image in images):
        return None
    return [[image.orders[tag] for image in images] for images in stack.images]


def all_differ(rows: list[np.ndarray] | list[list[int]]) -> bool:
    return all(len(np.unique(row)) == len(row) for row in rows)
