"""Which of the CT series in a folder is the perfusion series."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.io.dicom.clocks import duration_s, first_moment_us, tells_frames_apart
from nnunetv2_strokesynth.io.dicom.stack import Stack, stack_slices
from nnunetv2_strokesynth.io.dicom.tags import SliceHeader
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.series import LEAST_DURATION_S, LEAST_FRAMES

_MINUTE_US = 60_000_000
"""Choice: frames of one bolus lie seconds apart, up to 30 s at the end of long protocols."""
_COMBINED = re.compile(r"\b(mean|average|avg|mip|minip|sum)\b", re.IGNORECASE)


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
    def derived(self) -> bool:
        """Whether its images were computed from others, such as a mean, maps or a MIP."""
        combined = all(_COMBINED.search(" ".join(h.image_type)) for h in self.headers)
        return combined or all(header.derived for header in self.headers)

    @property
    def shortcoming(self) -> str:
        """Why it can be no perfusion series; empty if it can."""
        if self.stack is None:
            return str(self.problem).removeprefix(f"{self.name}: ")
        n_frames, lasts_s = max(self.stack.counts), duration_s(self.stack)
        if n_frames < LEAST_FRAMES:
            return f"{n_frames} image(s) at each position, expected {LEAST_FRAMES} or more"
        if lasts_s is not None and lasts_s < LEAST_DURATION_S:
            return f"it lasts {lasts_s:.0f} s, expected {LEAST_DURATION_S:.0f} s or more"
        return ""

    @property
    def warnings(self) -> list[str]:
        """What the user should know about the choice."""
        n_series = len(self.uids)
        return [f"{self.name}: {n_series} series joined, each a frame"] if n_series > 1 else []

    @property
    def label(self) -> str:
        """Its description and size."""
        size = f"{len(self.headers)} images"
        if self.stack is not None and self.repeats and len(set(self.stack.counts)) == 1:
            size = f"{len(self.stack.counts)} slices x {self.stack.counts[0]} frames"
        elif self.stack is not None:
            size += f" at {len(self.stack.counts)} positions"
        return f"'{self.headers[0].label}' ({size})"

    def __str__(self) -> str:
        return f"{self.uids[0]} {self.label}"


class Choice(NamedTuple):
    """The perfusion series, and what was left out for it."""

    chosen: Candidate
    warnings: list[str]


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


def only_perfusion_series(folder: Path, candidates: list[Candidate]) -> Choice:
    """The one series that can be a perfusion series; the most likely one if none can.

    Series computed from others do not count where there is another one, and a single slice, as for
    bolus tracking, does not where there are several.

    Raises:
        ValueError: there are several, or only plain CTs.
    """
    joined = _joined(folder, candidates)
    able = [c for c in (*candidates, *joined) if not c.shortcoming]
    able = [c for c in able if not c.derived] or able
    several = [c for c in able if c.stack is not None and len(c.stack.counts) > 1]
    able = several or able
    if len(able) > 1:
        raise ValueError(
            f"{folder}: {len(able)} perfusion series: {name_some(able)}; choose one with "
            "--series UID"
        )
    if able:
        return Choice(able[0], _left_out(folder, candidates, able[0]))
    likely = [*joined, *(c for c in candidates if c.repeats)] or candidates
    largest = max(likely, key=lambda c: len(c.headers))
    if len(candidates) > 1 and len(largest.uids) == 1 and not (largest.repeats or largest.problem):
        raise ValueError(
            f"{folder}: none of {len(candidates)} CT series has several images at each position, "
            f"as a perfusion series has: {name_some(candidates)}; give the folder of that series"
        )
    return Choice(largest, _left_out(folder, candidates, largest))


def _left_out(folder: Path, candidates: list[Candidate], chosen: Candidate) -> list[str]:
    """A sentence that names the series that are not used, and why."""
    named = []
    for candidate in candidates:
        if set(candidate.uids) <= set(chosen.uids):
            continue
        why = candidate.shortcoming or (
            "computed from others" if candidate.derived else "a single slice"
        )
        if len(chosen.uids) > 1 and not candidate.repeats and candidate.stack is not None:
            why = "computed from others" if candidate.derived else "no frame of this series"
        named.append(f"{candidate.label}: {why}")
    return [f"{folder}: left out {len(named)} series: {name_some(named)}"] if named else []


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

    Series that were computed from others, such as the mean of all frames, and those that lie more
    than a minute from the others are no frames. A series that lacks positions of the others is
    joined as well: it is a frame that lacks a slice.
    """
    joined = []
    for alike in _alike(candidates):
        measured = [single for single in alike if not single.derived] or alike
        for near in _near_in_time(measured):
            stacks = [single.stack for single in near if single.stack is not None]
            places = [frozenset(np.round(stack.places_mm, 2)) for stack in stacks]
            usual, n_series = Counter(places).most_common(1)[0]
            group = [single for single, found in zip(near, places, strict=True) if found <= usual]
            if n_series > 1:
                uids = tuple(single.uids[0] for single in group)
                headers = [header for single in group for header in single.headers]
                joined.append(_candidate(folder, uids, headers))
    # Two reconstructions of a plain CT have the same times.
    return [c for c in joined if c.stack is not None and tells_frames_apart(c.stack)]


def _near_in_time(singles: list[Candidate]) -> list[list[Candidate]]:
    """Groups of series that lie at most a minute apart, one after the other."""
    moments = [first_moment_us(single.stack) if single.stack else None for single in singles]
    if None in moments:
        return [singles]
    times = np.array(moments, dtype=np.int64)
    order = np.argsort(times, kind="stable")
    cuts = np.flatnonzero(np.diff(times[order]) > _MINUTE_US) + 1
    return [[singles[index] for index in part] for part in np.split(order, cuts)]


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
