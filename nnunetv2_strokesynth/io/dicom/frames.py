"""The frames of a series: images by position and time, complete ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.io.dicom.stack import Stack
from nnunetv2_strokesynth.io.dicom.tags import SliceHeader
from nnunetv2_strokesynth.io.messages import name_some

_MOST_DROPPED = 0.2
"""Choice: of the frames; a copy that lacks more is to be made again."""


class Frames(NamedTuple):
    """Images by position and time.

    Attributes:
        images: for each position, from feet to head, its images in order of time.
        image_times_s: for each position (T_z,), when; the same for all positions where the slices
            of a frame are imaged at once.
        times_s: (T,) of the frames, increasing.
        warnings: what the user should know.
    """

    images: list[list[SliceHeader]]
    image_times_s: list[np.ndarray]
    times_s: np.ndarray
    warnings: list[str]


def ordered(stack: Stack, orders: list[np.ndarray]) -> list[list[SliceHeader]]:
    """The images of each position in an order."""
    return [
        [images[index] for index in order]
        for images, order in zip(stack.images, orders, strict=True)
    ]


def complete_frames(
    stack: Stack,
    images: list[list[SliceHeader]],
    frames: list[np.ndarray],
    frame_times: np.ndarray,
) -> tuple[tuple[list[list[SliceHeader]], np.ndarray], list[str]]:
    """The images of the frames that have all slices, and their numbers.

    Args:
        frames: for each position the frame of each of its images.

    Raises:
        ValueError: more than a fifth of the frames lack a slice.
    """
    n_frames, n_slices = len(frame_times), len(images)
    has = np.zeros((n_frames, n_slices), bool)
    for z, of_slice in enumerate(frames):
        has[of_slice, z] = True
    kept = np.flatnonzero(has.all(axis=1))
    dropped = np.flatnonzero(~has.all(axis=1))
    if len(dropped) > _MOST_DROPPED * n_frames or len(kept) < 2:
        expected = max(len(row) for row in images)
        wrong = [
            f"{place:.2f} mm has {len(row)}"
            for place, row in zip(stack.places_mm, images, strict=True)
            if len(row) != expected
        ]
        raise ValueError(
            f"{stack.name}: slice position {name_some(wrong, at_most=3)}, expected {expected} "
            f"images at each of the {n_slices} positions; is the copy incomplete? "
            "Export the series again"
        )
    rank = {int(frame): index for index, frame in enumerate(kept)}
    chosen = [
        [image for image, frame in zip(row, of_slice, strict=True) if int(frame) in rank]
        for row, of_slice in zip(images, frames, strict=True)
    ]
    if not len(dropped):
        return (chosen, kept), []
    lacking = [
        f"{frame_times[t] - frame_times[0]:.1f} s ({place:.2f} mm)"
        for t in dropped
        for place in stack.places_mm[~has[t]][:1]
    ]
    return (chosen, kept), [
        f"{stack.name}: {len(dropped)} of {n_frames} frames lack a slice and were dropped: "
        f"{name_some(lacking, at_most=3)}; is the copy incomplete?"
    ]
