"""One patient's scan as it comes from a hospital: a folder of NIfTI or DICOM files, or one file.

Files are known by the last word of their names that says what they are: ``ctp.nii.gz``,
``sub-stroke0001_ses-01_space-ncct_cbf.nii.gz`` and ``SMIR.Brain.XX.O.CT_Tmax.345.nii`` alike.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.channels import (
    CT,
    CTP,
    PERFUSION_MAPS,
)
from nnunetv2_strokesynth.ctp.frame_times import frame_times_of
from nnunetv2_strokesynth.io.dicom.reader import (
    holds_dicom,
    read_ctp_series,
)
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import (
    Geometry,
    nifti_files,
    read_header,
    strip_suffix,
)
from nnunetv2_strokesynth.io.placement import (
    Grid,
    Placement,
    Reference,
    place,
    read_grid,
    reference_of,
)
from nnunetv2_strokesynth.io.series import (
    NiftiSeries,
    ReorderedSeries,
    Series,
)

_WORDS = {"ct": CT, "ncct": CT, "ctp": CTP, "4dpwi": CTP, "pwi": CTP, "perfusion": CTP}
_WORDS |= {name.lower(): name for name in PERFUSION_MAPS}
# Words of files that may lie beside the inputs and are ignored.
_OTHERS = ("cta", "dwi", "adc", "ot", "lesion", "msk", "mask", "mip", "label", "seg")
_BIDS_ENTITY = re.compile(r"(sub|ses|space|acq|run|desc|rec)-", re.IGNORECASE)
_EXPECTED = (
    "expected a CT perfusion series, as ctp.nii.gz or as DICOM, and where they exist ct, cbf, cbv, "
    "mtt and tmax.nii.gz beside it"
)


class Study(NamedTuple):
    """The images of one patient, in ``LPS`` order, or as stored where the header does not say.

    Attributes:
        series: the CTP, frames (Z, Y, X) in HU.
        series_name: what to call it in messages.
        reference: the voxels of the series, as stored and as they are read.
        times_s: (T,) of the frames, from 0; None if the file does not say.
        files: those of CT, CBF, CBV, MTT and Tmax that exist, and how they come onto the series'
            voxels.
        notes: sentences for the user.
        cta_files: files whose names say that they are a CT angiography; only some models read one.
    """

    series: Series
    series_name: str
    reference: Reference
    times_s: np.ndarray | None
    files: dict[str, Placement]
    notes: list[str]
    cta_files: tuple[Path, ...] = ()

    @property
    def geometry(self) -> Geometry:
        """Where the voxels lie that are read; results go back to ``reference.stored``."""
        return self.reference.grid.geometry

    @property
    def orientation_known(self) -> bool:
        """Whether the geometry tells left from right."""
        return self.reference.stored.known


def find_study(
    source: Path, *, series_uid: str | None = None, frame_s: float | None = None
) -> Study:
    """Find one patient's images; headers are read, voxels are not.

    Args:
        source: a folder with NIfTI files or a DICOM series, searched through recursively, or a 4-D
            NIfTI file.
        series_uid: SeriesInstanceUID, if the folder has several DICOM series.
        frame_s: seconds between frames, if the file does not say or is wrong.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: there is no series, more than one file for a modality, or files that do not
            fit together.
    """
    if source.is_file():
        return _nifti_study({CTP: source}, frame_s)
    if not source.is_dir():
        raise FileNotFoundError(f"{source}: no such file or folder; {_EXPECTED}")
    images = nifti_files(source)
    if not images and holds_dicom(source):
        return _dicom_study(source, series_uid, frame_s)
    if not images:
        raise ValueError(f"{source}: neither NIfTI nor DICOM files in it; {_EXPECTED}")
    study = _nifti_study(_by_modality(source, images), frame_s)
    return study._replace(
        cta_files=tuple(path for path in images if _last_word(path.name) == "cta")
    )


def modality_of(name: str) -> str | None:
    """What a file's name says it is: ``CT``, ``4DPWI``, ``CBF``, ...; None for anything else."""
    return _WORDS.get(_last_word(name))


def _last_word(name: str) -> str:
    """The last word of a file's name that says what it is; empty if none does."""
    parts = re.split(r"[._ ]+", strip_suffix(name).lower())
    words = [w for part in parts if not _BIDS_ENTITY.match(part) for w in part.split("-")]
    known = [word for word in words if word in _WORDS or word in _OTHERS]
    return known[-1] if known else ""


def _by_modality(source: Path, images: list[Path]) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in images:
        modality = modality_of(path.name)
        if modality in files:
            raise ValueError(
                f"{source}: two files for {modality}: {files[modality]} and {path}; leave one"
            )
        if modality:
            files[modality] = path
    if CTP not in files:
        series = [path for path in images if path not in files.values() and _is_series(path)]
        if len(series) != 1:
            names = name_some(path.name for path in images)
            raise ValueError(
                f"{source}: no file is known as the series (found {names}); {_EXPECTED}"
            )
        files[CTP] = series[0]
    return files


def _is_series(path: Path) -> bool:
    return read_header(path).n_frames > 1


def _nifti_study(files: dict[str, Path], frame_s: float | None) -> Study:
    files = dict(files)
    path = files.pop(CTP)
    series = NiftiSeries(path)
    if len(series) < 2:
        raise ValueError(f"{path}: shape {series.header.disk_shape} is no series (X, Y, Z, T)")
    for modality, other in files.items():
        if read_header(other).n_frames > 1:
            raise ValueError(f"{other} is a series, expected one {modality} volume")
    reference = reference_of("series", read_grid(path))
    placed = {modality: _placed(modality, other, reference) for modality, other in files.items()}
    try:
        found = frame_times_of(path, len(series), frame_s)
        times_s, notes = found.times_s, list(found.notes)
    except ValueError as error:  # only needed where maps are computed
        if frame_s is not None:
            raise
        times_s, notes = None, [str(error)]
    if not reference.stored.known:
        notes.append(
            "the header of the series contradicts itself or does not say how the head lies, so its "
            "voxel sizes are used and its orientation is not: the scan is read as it is stored, "
            "and pictures do not tell left from right"
        )
    notes += [note for placement in placed.values() for note in placement.notes]
    ordered = ReorderedSeries(series, reference.reorientation.apply)
    return Study(ordered, path.name, reference, times_s, placed, notes)


def _dicom_study(source: Path, series_uid: str | None, frame_s: float | None) -> Study:
    series = read_ctp_series(source, series_uid, frame_s=frame_s)
    reference = reference_of("series", Grid(series.shape_zyx, series.geometry, True))
    ordered = ReorderedSeries(series, reference.reorientation.apply)
    notes = [series.description, *series.warnings]
    return Study(ordered, str(source), reference, series.times_s, {}, notes)


def _placed(modality: str, path: Path, reference: Reference) -> Placement:
    try:
        return place(path, reference)
    except ValueError as error:
        raise ValueError(
            f"{error}. Or leave the {modality} out of the folder, and it is computed from the "
            "series"
        ) from error
