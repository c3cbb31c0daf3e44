"""A folder of DICOM files as a CT perfusion series: hospital scanners export one file per slice.

The names and the order of the files mean nothing. Slices are sorted by their position, frames by
the time at which they were taken. A folder that cannot be a perfusion series is refused, with the
reason.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from tqdm import tqdm

from nnunetv2_strokesynth.io.dicom.choice import (
    ct_series,
    named_series,
    only_perfusion_series,
)
from nnunetv2_strokesynth.io.dicom.stack import (
    check_counts,
    stack_geometry,
)
from nnunetv2_strokesynth.io.dicom.tags import (
    SliceHeader,
    gdcm_reader,
    is_dicom,
    read_slice_header,
    walk_files,
)
from nnunetv2_strokesynth.io.dicom.times import (
    check_same_time,
    sort_frames,
)
from nnunetv2_strokesynth.io.nifti import Geometry


class DicomSeries:
    """The frames of a DICOM perfusion series; only one of them is in memory at a time.

    Args:
        files: T lists of Z files, slices from feet to head.
        geometry: where the voxels lie.
        shape_zyx: shape of a frame.
        times_s: (T,) from 0, increasing, steps may differ.
        description: modality, scanner and kernel; nothing about the patient.
        warnings: sentences for the user.
    """

    def __init__(
        self,
        files: list[list[Path]],
        *,
        geometry: Geometry,
        shape_zyx: tuple[int, int, int],
        times_s: np.ndarray,
        description: str,
        warnings: list[str],
    ):
        self.files = files
        self.geometry = geometry
        self.shape_zyx = shape_zyx
        self.times_s = times_s
        self.description = description
        self.warnings = warnings

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Read the frames anew, float32 (Z, Y, X) in HU.

        Raises:
            ValueError: a file is gone or has changed since its header was read.
        """
        reader = gdcm_reader()
        for files in self.files:
            frame = np.empty(self.shape_zyx, np.float32)
            for slice_, path in zip(frame, files, strict=True):
                slice_[:] = _read_pixels(reader, path, self.shape_zyx)
            yield frame


def holds_dicom(folder: Path) -> bool:
    """Whether there is a DICOM file below a folder; the search ends at the first one."""
    return any(is_dicom(path) for path in walk_files(folder))


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
        chosen = only_perfusion_series(Path(folder), candidates)
    else:
        chosen = named_series(Path(folder), candidates, series_uid)
    if chosen.problem is not None:
        raise chosen.problem
    stack = chosen.stack
    assert stack is not None  # else there is a problem
    if not chosen.complete:
        check_same_time(stack)
    check_counts(stack)
    geometry, shifts = stack_geometry(stack)
    frames = sort_frames(stack, frame_s)
    first = chosen.headers[0]
    return DicomSeries(
        [[image.path for image in frame] for frame in frames.images],
        geometry=geometry,
        shape_zyx=(len(stack.images), *first.shape_yx),
        times_s=frames.times_s,
        description=", ".join(
            filter(None, [first.modality, first.scanner, first.kernel and f"kernel {first.kernel}"])
        ),
        warnings=[*warnings, *chosen.warnings, *shifts, *frames.warnings],
    )


def _read_headers(folder: Path) -> tuple[list[SliceHeader], list[str]]:
    """Headers of all DICOM images below a folder, without copies of one image; and warnings."""
    reader = gdcm_reader()
    found: dict[tuple[str | Path, str], SliceHeader] = {}
    n_ignored, n_copies = 0, 0
    for path in tqdm(list(walk_files(folder)), desc="reading headers", unit="file"):
        header = read_slice_header(reader, path) if is_dicom(path) else None
        if header is None:
            n_ignored += 1
            continue
        # Some anonymisers give all images one UID: a copy has the same place and times too.
        key = (header.sop_uid or path, repr(header._replace(path=Path())))
        n_copies += key in found
        found.setdefault(key, header)
    warnings = []
    if n_ignored:
        warnings.append(f"{folder}: ignored {n_ignored} file(s) that are not DICOM images")
    if n_copies:
        warnings.append(f"{folder}: ignored {n_copies} file(s) that are copies of others")
    if not found:
        raise ValueError(
            f"{folder}: no DICOM image in {n_ignored} file(s), expected a CT perfusion series; "
            "give the folder that holds it"
        )
    return list(found.values()), warnings


def _read_pixels(
    reader: sitk.ImageFileReader, path: Path, shape_zyx: tuple[int, int, int]
) -> np.ndarray:
    """One slice (Y, X); SimpleITK has applied RescaleSlope and RescaleIntercept."""
    reader.SetFileName(str(path))
    try:
        voxels = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise ValueError(f"{path}: GDCM cannot read its voxels; copy or export it again") from error
    if voxels.shape != (1, *shape_zyx[1:]):
        raise ValueError(
            f"{path}: voxels of shape {voxels.shape}, expected {(1, *shape_zyx[1:])}; the file "
            "changed while it was read"
        )
    return voxels[0]
