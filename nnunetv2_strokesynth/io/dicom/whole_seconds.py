"""Times that are whole seconds: scanners that write no fractions, and frames that lie closer."""

from __future__ import annotations

import numpy as np

from nnunetv2_strokesynth.io.dicom.clocks import (
    COUNTS_FILES,
    SECOND_US,
    all_differ,
    clocks,
    numbers_of,
    runs,
)
from nnunetv2_strokesynth.io.dicom.frames import Frames, ordered
from nnunetv2_strokesynth.io.dicom.moments import DOUBTFUL_CLOCK
from nnunetv2_strokesynth.io.dicom.stack import Stack
from nnunetv2_strokesynth.io.dicom.tags import ORDER_TAGS


def evened(stack: Stack, times_s: np.ndarray, clock: str) -> tuple[np.ndarray, list[str]]:
    """Times in whole seconds as even ones, if they can be the whole seconds of even ones."""
    index = np.arange(len(times_s))
    step, start = np.polyfit(index, times_s, 1)
    even = start + step * index
    if np.abs(even - times_s).max() < 1e-6 or np.ptp(times_s - even) > 1.0:
        return times_s, []
    return even, [
        f"{stack.name}: {clock} has whole seconds only; frames were taken as even, "
        f"{step:.2f} s apart"
    ]


def repeating_seconds(stack: Stack, frame_s: float | None) -> Frames | None:
    """Frames whose times are whole seconds that repeat; None if that is not so.

    Their order is that of a number, and their step follows from the first and the last time, if
    even frames can have such times.

    Raises:
        ValueError: their times contradict the order or even steps.
    """
    for clock, values in clocks(stack):
        if clock == DOUBTFUL_CLOCK or not runs(values):
            continue
        if any((row % SECOND_US).any() for row in values):
            return None
        # Each time twice may be two reconstructions, which InstanceNumber tells apart, too.
        uniform = len({n for row in values for n in np.unique(row, return_counts=True)[1]}) == 1
        tags = [tag for tag in ORDER_TAGS if not (uniform and tag == COUNTS_FILES)]
        numbers = next(
            (found for tag in tags if (found := numbers_of(stack, tag)) and all_differ(found)), None
        )
        if numbers is None or len(set(stack.counts)) > 1:
            return None
        return _spread_out(stack, values, numbers, clock, frame_s)
    return None


def _spread_out(
    stack: Stack,
    values: list[np.ndarray],
    numbers: list[list[int]],
    clock: str,
    frame_s: float | None,
) -> Frames:
    orders = [np.argsort(row, kind="stable") for row in numbers]
    seconds = np.array([row[order] for row, order in zip(values, orders, strict=True)]) / 1e6
    usual = np.median(seconds, axis=0)
    index = np.arange(len(usual))
    step = frame_s if frame_s is not None else float(np.polyfit(index, usual, 1)[0])
    if (np.diff(usual) < 0).any() or np.ptp(usual - step * index) > 1.0 + 1e-6:
        raise ValueError(
            f"{stack.name}: its {clock} has whole seconds, which repeat, and frames of even steps "
            f"({step:.2f} s) do not have them; export it with fractions of seconds"
        )
    source = "given" if frame_s is not None else "from the first to the last"
    warning = (
        f"{stack.name}: {clock} has whole seconds, which repeat; frames were taken as even, "
        f"{step:.2f} s apart ({source})"
    )
    times = step * index
    return Frames(ordered(stack, orders), [times] * len(orders), times, [warning])
