"""A folder of DICOM files as a CT perfusion series: one file per slice, or multi-frame files.

The names and the order of the files mean nothing. Slices are sorted by their position, frames by
the time at which they were taken. A folder that cannot be a perfusion series is refused, with the
reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.io.dicom.choice import (
    Choice,
    ct_series,
    named_series,
    only_perfusion_series,
)
from nnunetv2_strokesynth.io.dicom.frames import Frames
from nnunetv2_strokesynth.io.dicom.pixels import read_pixels
from nnunetv2_strokesynth.io.dicom.stack import (
    Placed,
    check_is_series,
    stack_geometry,
    usual_positions,
)
from nnunetv2_strokesynth.io.dicom.tags import (
    SliceHeader,
    Unreadable,
    is_dicom,
    read_images,
    walk_files,
)
from nnunetv2_strokesynth.io.dicom.times import sort_frames
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.progress import progress
from nnunetv2_strokesynth.io.slice_times import AlignedSlices, SliceReader

_KEPT_IMAGES = 4


class DicomSeries:
    """The frames of a DICOM perfusion series; a few of them are in memory at a time.

    Args:
        frames: the images of each slice, from feet to head, and their times.
        placed: where the voxels lie.
        description: modality, scanner and kernel; nothing about the patient. Empty where neither
            scanner nor kernel is known.
        warnings: sentences for the user.
        doubts: those of them that say that images were changed, or may be wrong.

    Attributes:
        images: for each slice as stored its images in order of time.
        geometry: where the voxels lie.
        shape_zyx: shape of a frame.
        times_s: (T,) from 0, increasing, steps may differ.
    """

    def __init__(
        self,
        frames: Frames,
        *,
        placed: Placed,
        description: str,
        warnings: list[str],
        doubts: list[str],
    ):
        self.images = frames.images
        self.geometry = placed.geometry
        self.shape_zyx = (placed.n_slices, *frames.images[0][0].shape_yx)
        self.times_s = frames.times_s - frames.times_s[0]
        self.description = description
        self.warnings = [*warnings, *doubts]
        self.doubts = doubts
        self._change = placed.change
        self._slices = AlignedSlices(self._open, frames.image_times_s, frames.times_s)

    def __len__(self) -> int:
        return len(self.times_s)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Read the frames anew, float32 (Z, Y, X) in HU.

        Raises:
            ValueError: a file is gone or has changed since its header was read.
        """
        for frame in self._slices:
            yield self._change(frame) if self._change else frame

    @property
    def files(self) -> list[list[Path]]:
        """The files of each image, in order of time; a list for each image of a slice."""
        most = max(len(images) for images in self.images)
        return [[row[t].path for row in self.images if t < len(row)] for t in range(most)]

    def _open(self) -> SliceReader:
        kept: list[dict[int, np.ndarray]] = [{} for _ in self.images]

        def read(z: int, t: int) -> np.ndarray:
            if t not in kept[z]:
                image = self.images[z][t]
                kept[z][t] = read_pixels(image.path, image.frame, image.rescale, image.shape_yx)
                for old in [one for one in kept[z] if one <= t - _KEPT_IMAGES]:
                    del kept[z][old]
            return kept[z][t]

        return read


def holds_dicom(folder: Path) -> bool:
    """Whether there is a DICOM file below a folder; the search ends at the first one."""
    return any(is_dicom(path) for path in walk_files(folder))


def first_study_uid(folder: Path) -> str:
    """StudyInstanceUID of the first DICOM image below a folder; empty without one."""
    for path in walk_files(folder):
        if is_dicom(path):
            try:
                images = read_images(path)
            except Unreadable:
                continue
            if images:
                return images[0].study_uid
    return ""


def read_ctp_series(
    folder: Path, series_uid: str | None = None, *, frame_s: float | None = None
) -> DicomSeries:
    """Find the perfusion series in a folder and read its headers, not its voxels.

    Args:
        folder: searched recursively; files that are not DICOM are left out.
        series_uid: SeriesInstanceUID of the series to read, if there are several.
        frame_s: seconds between frames, for images that have no time.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: no file is a CT image, no series or more than one is a perfusion series, or
            the series is incomplete or ambiguous.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder}: no such folder, expected one with DICOM files")
    if frame_s is not None and not (math.isfinite(frame_s) and frame_s > 0):
        raise ValueError(f"--frame-s {frame_s}: expected the seconds between frames, above 0")
    headers, warnings = _read_headers(Path(folder))
    candidates = ct_series(Path(folder), headers)
    if series_uid is None:
        chosen, said = only_perfusion_series(Path(folder), candidates)
    else:
        chosen, said = Choice(named_series(Path(folder), candidates, series_uid), [])
    if chosen.problem is not None:
        raise chosen.problem
    stack = chosen.stack
    assert stack is not None  # else there is a problem
    check_is_series(stack)
    stack, rare = usual_positions(stack)
    placed = stack_geometry(stack)
    frames = sort_frames(stack, frame_s)
    first = chosen.headers[0]
    return DicomSeries(
        frames,
        placed=placed,
        description=_described(first),
        warnings=[*warnings, *said, *chosen.warnings],
        doubts=[*rare, *placed.warnings, *frames.warnings],
    )


def _described(image: SliceHeader) -> str:
    """Modality, scanner and kernel, of which the modality alone says nothing: it is a CT."""
    known = list(filter(None, [image.scanner, image.kernel and f"kernel {image.kernel}"]))
    return ", ".join([image.modality, *known]) if known else ""


def _read_headers(folder: Path) -> tuple[list[SliceHeader], list[str]]:
    """Headers of all DICOM images below a folder, without copies of one image; and warnings."""
    found: dict[tuple[str | Path, str], SliceHeader] = {}
    n_ignored, n_copies = 0, 0
    unreadable: list[Unreadable] = []
    for path in progress(list(walk_files(folder)), desc="reading headers", unit="file"):
        try:
            images = read_images(path) if is_dicom(path) else []
        except Unreadable as error:
            unreadable.append(error)
            continue
        n_ignored += not images
        for image in images:
            # Some anonymisers give all images one UID: a copy has the same place and times too.
            key = (image.sop_uid or path, repr(image._replace(path=Path())))
            n_copies += key in found
            found.setdefault(key, image)
    warnings = []
    if unreadable:
        named = name_some((str(error) for error in unreadable), at_most=3)
        warnings.append(f"{folder}: left out {len(unreadable)} unreadable file(s): {named}")
    if n_ignored:
        warnings.append(f"{folder}: ignored {n_ignored} file(s) that are not DICOM images")
    if n_copies:
        warnings.append(f"{folder}: ignored {n_copies} file(s) that are copies of others")
    if not found:
        if unreadable:
            raise ValueError(str(unreadable[0]))
        raise ValueError(
            f"{folder}: no DICOM image in {n_ignored} file(s), expected a CT perfusion series; "
            "give the folder that holds it"
        )
    return list(found.values()), warnings
