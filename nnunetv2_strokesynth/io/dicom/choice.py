"""Which of the CT series in a folder is the perfusion series."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.io.dicom.stack import (
    Stack,
    stack_slices,
)
from nnunetv2_strokesynth.io.dicom.tags import SliceHeader
from nnunetv2_strokesynth.io.dicom.times import tells_frames_apart
from nnunetv2_strokesynth.io.messages import name_some


class Candidate(NamedTuple):
    """A series, or several of one frame each; without a stack where ``problem`` says why."""

    name: str
    uids: tuple[str, ...]
    headers: list[SliceHeader]
    stack: Stack | None
    problem: ValueError | None

    @property
    def repeats(self) -> bool:
        """Whether there is a position with more than one image."""
        return self.stack is not None and max(self.stack.counts) > 1

    @property
    def complete(self) -> bool:
        """Whether each position has the same number of images, two at least."""
        return self.stack is not None and self.repeats and len(set(self.stack.counts)) == 1

    @property
    def warnings(self) -> list[str]:
        """What the user should know about the choice."""
        n_series = len(self.uids)
        return [f"{self.name}: {n_series} series joined, each a frame"] if n_series > 1 else []

    def __str__(self) -> str:
        size = f"{len(self.headers)} images"
        if self.stack is not None and self.complete:
            size = f"{len(self.stack.counts)} slices x {self.stack.counts[0]} frames"
        elif self.stack is not None:
            size += f" at {len(self.stack.counts)} positions"
        return f"{self.uids[0]} '{self.headers[0].label}' ({size})"


def ct_series(folder: Path, headers: list[SliceHeader]) -> list[Candidate]:
    """The images by series, other modalities left out.

    Raises:
        ValueError: there is no CT image.
    """
    series: dict[str, list[SliceHeader]] = {}
    for header in headers:
        if header.modality == "CT":
            series.setdefault(header.series_uid, []).append(header)
    if not series:
        kinds = Counter(header.modality or "unknown" for header in headers)
        found = ", ".join(f"{count} of modality {kind}" for kind, count in sorted(kinds.items()))
        raise ValueError(
            f"{folder}: {found} (0008|0060), expected images of modality CT; give the folder of "
            "the CT perfusion series"
        )
    return [_candidate(folder, (uid,), images) for uid, images in series.items()]


def _candidate(folder: Path, uids: tuple[str, ...], headers: list[SliceHeader]) -> Candidate:
    more = f" and {len(uids) - 1} more of one frame each" if len(uids) > 1 else ""
    name = f"{folder}: series {uids[0]}{more}"
    try:
        return Candidate(name, uids, headers, stack_slices(headers, name), None)
    except ValueError as error:
        return Candidate(name, uids, headers, None, error)


def only_perfusion_series(folder: Path, candidates: list[Candidate]) -> Candidate:
    """The one series that may be a perfusion series; the most likely one if none is complete.

    Raises:
        ValueError: there are several, or only plain CTs.
    """
    complete = [c for c in candidates if c.complete]
    perfusion = complete or _joined(folder, candidates)
    if len(perfusion) > 1:
        raise ValueError(
            f"{folder}: {len(perfusion)} perfusion series: {name_some(perfusion)}; choose one with "
            "--series UID"
        )
    broken = [c for c in candidates if c.repeats]
    likely = complete or [*perfusion, *broken] or candidates
    largest = max(likely, key=lambda c: sum(header.n_frames for header in c.headers))
    if len(candidates) > 1 and len(largest.uids) == 1 and not (largest.repeats or largest.problem):
        raise ValueError(
            f"{folder}: none of {len(candidates)} CT series has several images at each position, "
            f"as a perfusion series has: {name_some(candidates)}; give the folder of that series"
        )
    return largest


def named_series(folder: Path, candidates: list[Candidate], uid: str) -> Candidate:
    """The series that the user asked for, or the joined series of which it is one frame.

    Raises:
        ValueError: there is no CT series of that UID.
    """
    named = [c for c in candidates if uid in c.uids]
    if not named:
        raise ValueError(
            f"{folder}: no CT series {uid}, found {name_some(candidates)}; give one of these UIDs"
        )
    joined = [] if named[0].repeats else _joined(folder, candidates)
    return next((c for c in joined if uid in c.uids), named[0])


def _joined(folder: Path, candidates: list[Candidate]) -> list[Candidate]:
    """Perfusion series of which each frame was exported as a series of its own.

    A series that lacks positions of the others is joined as well, so that ``check_counts`` reports
    it.
    """
    joined = []
    for alike in _alike(candidates):
        stacks = [single.stack for single in alike if single.stack is not None]
        places = [frozenset(np.round(stack.places_mm, 2)) for stack in stacks]
        usual, n_series = Counter(places).most_common(1)[0]
        group = [single for single, found in zip(alike, places, strict=True) if found <= usual]
        if n_series > 1:
            uids = tuple(single.uids[0] for single in group)
            headers = [header for single in group for header in single.headers]
            joined.append(_candidate(folder, uids, headers))
    # Two reconstructions of a plain CT have the same times.
    return [c for c in joined if c.stack is not None and tells_frames_apart(c.stack)]


def _alike(candidates: list[Candidate]) -> list[list[Candidate]]:
    """Series of one image per position, grouped by study, kernel, matrix and orientation."""
    groups: dict[str, list[Candidate]] = {}
    for single in candidates:
        if single.stack is None or single.repeats:
            continue
        first = single.headers[0]
        pixel = np.round(np.array(first.pixel_yx_mm), 4)
        direction = np.round(single.stack.direction, 3)
        key = (first.study_uid, first.kernel, first.thickness_mm, first.shape_yx)
        groups.setdefault(repr((*key, pixel.tolist(), direction.tolist())), []).append(single)
    return list(groups.values())
