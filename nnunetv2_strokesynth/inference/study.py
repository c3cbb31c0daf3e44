"""One patient's scan as it comes from a hospital: a folder of NIfTI or DICOM files, or one file.

Files are known by the last word of their names that says what they are: ``ctp.nii.gz``,
``sub-stroke0001_ses-01_space-ncct_cbf.nii.gz`` and ``SMIR.Brain.XX.O.CT_Tmax.345.nii`` alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.channels import (
    CT,
    CTP,
    PERFUSION_MAPS,
)
from nnunetv2_strokesynth.ctp.brain_mask_file import read_brain_mask
from nnunetv2_strokesynth.ctp.frame_times import frame_times_of
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import (
    SUFFIXES,
    Geometry,
    nifti_files,
    read_header,
    strip_suffix,
)
from nnunetv2_strokesynth.io.output_folder import is_left_out, is_result_folder
from nnunetv2_strokesynth.io.placement import (
    Grid,
    Placement,
    Reference,
    place,
    read_straight_grid,
    reference_of,
)
from nnunetv2_strokesynth.io.series import (
    NiftiSeries,
    ReorderedSeries,
    Series,
)
from nnunetv2_strokesynth.io.slice_times import simultaneous
from nnunetv2_strokesynth.io.tilt import straightening_of

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
        source: the file or folder that was given.
        series: the CTP, frames (Z, Y, X) in HU.
        series_name: what to call it in messages.
        reference: the voxels of the series, as stored and as they are read.
        times_s: (T,) of the frames, from 0; None if the file does not say.
        files: those of CT, CBF, CBV, MTT and Tmax that exist, and how they come onto the series'
            voxels.
        notes: sentences for the user.
        map_series: the series that maps are computed from: all slices of a frame at one time.
        nifti: the file on whose voxels results are written; None for those of ``reference``.
        cta_files: files whose names say that they are a CT angiography; only some models read one.
        doubts: those of the notes that say that images were changed, or may be wrong.
        description: of a DICOM series, scanner and kernel; nothing about the patient.
        dicom: the files of a DICOM series' first frame; empty for NIfTI.
    """

    source: Path
    series: Series
    series_name: str
    reference: Reference
    times_s: np.ndarray | None
    files: dict[str, Placement]
    notes: list[str]
    map_series: Series
    nifti: Path | None = None
    cta_files: tuple[Path, ...] = ()
    description: str = ""
    dicom: tuple[Path, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def geometry(self) -> Geometry:
        """Where the voxels lie that are read; results go back to ``reference.stored``."""
        return self.reference.grid.geometry

    @property
    def orientation_known(self) -> bool:
        """Whether the geometry tells left from right."""
        return self.reference.stored.known


def find_study(
    source: Path,
    *,
    series_uid: str | None = None,
    frame_s: float | None = None,
    series_only: bool = False,
) -> Study:
    """Find one patient's images; headers are read, voxels are not.

    Folders that hold earlier results of ours are passed over.

    Args:
        source: a folder with NIfTI files or a DICOM series, searched through recursively, or a 4-D
            NIfTI file.
        series_uid: SeriesInstanceUID, if the folder has several DICOM series.
        frame_s: seconds between frames, if the file does not say or is wrong.
        series_only: whether CT and maps beside the series are left alone.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: there is no series, more than one file for a modality, files that do not fit
            together, or an option that has no effect here.
    """
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file or folder; {_EXPECTED}")
    if source.is_dir() and is_result_folder(source):
        raise ValueError(f"{source} holds results of strokesynth; give the folder of the scan")
    images = [source] if source.is_file() else _images_below(source)
    if source.is_dir() and not any(map(_may_be_series, images)) and _holds_dicom(source):
        study = _dicom_study(source, series_uid, frame_s)
        if images:
            named = name_some(path.name for path in images)
            study.notes.append(f"NIfTI files beside the DICOM series are not used: {named}")
        return study
    if series_uid is not None:
        raise ValueError(f"--series names a DICOM series, and {source} holds none; leave it out")
    if source.is_file():
        return _nifti_study({CTP: source}, frame_s)
    if not images:
        raise ValueError(f"{source}: neither NIfTI nor DICOM files in it; {_EXPECTED}")
    files = _by_modality(source, images)
    study = _nifti_study({CTP: files[CTP]} if series_only else files, frame_s)
    return study._replace(
        source=source, cta_files=tuple(path for path in images if _last_word(path.name) == "cta")
    )


def brain_of_file(path: Path | None, study: Study) -> tuple[np.ndarray | None, list[str]]:
    """A brain mask from elsewhere, bool (Z, Y, X) as the scan is read, and notes; None without.

    Raises:
        ValueError, OSError: it does not fit the series or cannot be read.
    """
    if path is None:
        return None, []
    placed = place(path, study.reference)
    return read_brain_mask(placed), list(placed.notes)


def patient_folders(source: Path) -> list[Path]:
    """The folders of a folder of patients; empty where it is one patient, or a file.

    It is a folder of patients if two or more of its subfolders hold a NIfTI series each, or DICOM
    files of different studies. Then every subfolder with images counts, so that one that cannot be
    read is named as a failure.
    """
    if not source.is_dir() or is_result_folder(source):
        return []
    inside = [path for path in sorted(source.iterdir()) if not path.name.startswith(".")]
    if any(path.is_file() and path.name.lower().endswith(SUFFIXES) for path in inside):
        return []
    folders = [path for path in inside if path.is_dir() and not is_result_folder(path)]
    images = {folder: _images_below(folder) for folder in folders}
    with_series = [folder for folder in folders if any(map(_may_be_series, images[folder]))]
    studies = {folder: _study_uid(folder) for folder in folders if not images[folder]}
    if len(with_series) + len(set(filter(None, studies.values()))) < 2:
        return []
    return [folder for folder in folders if images[folder] or studies[folder]]


def _may_be_series(path: Path) -> bool:
    if modality_of(path.name) == CTP:
        return True
    try:
        return modality_of(path.name) is None and _is_series(path)
    except (ValueError, OSError):
        return False


def _images_below(source: Path) -> list[Path]:
    """The NIfTI files of a folder, those in hidden folders and in earlier results left out."""
    return [path for path in nifti_files(source) if not is_left_out(path, source)]


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
        raise ValueError(
            f"{path}: one volume of shape {series.header.disk_shape} is no series, expected a "
            "series (X, Y, Z, T)"
        )
    straight = straightening_of(path)
    for modality, other in files.items():
        if read_header(other).n_frames > 1:
            raise ValueError(f"{other} is a series, expected one {modality} volume")
    reference = reference_of("series", read_straight_grid(path))
    placed = {modality: _placed(modality, other, reference) for modality, other in files.items()}
    try:
        found = frame_times_of(path, len(series), frame_s)
        times_s, notes = found.times_s, list(found.notes)
        aligned = simultaneous(series, times_s, found.slice_offset_s)
    except ValueError as error:  # only needed where maps are computed
        if frame_s is not None:
            raise
        times_s, notes, aligned = None, [str(error)], series
    if not reference.stored.known:
        notes.append(
            "the header of the series contradicts itself or does not say how the head lies, so its "
            "voxel sizes are used and its orientation is not: the scan is read as it is stored, "
            "and pictures do not tell left from right"
        )
    notes += [note for placement in placed.values() for note in placement.notes]
    turn, nifti = reference.reorientation.apply, path if straight is None else None
    doubts = () if straight is None else (straight.warning,)
    if straight is not None:
        notes.append(straight.warning)
        turn = _both(straight, turn)
    ordered, for_maps = ReorderedSeries(series, turn), ReorderedSeries(aligned, turn)
    known = (reference, times_s, placed, notes, for_maps, nifti)
    return Study(path, ordered, path.name, *known, doubts=doubts)


def _both(
    first: Callable[[np.ndarray], np.ndarray], then: Callable[[np.ndarray], np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    return lambda frame: then(first(frame))


def _holds_dicom(source: Path) -> bool:
    from nnunetv2_strokesynth.io.dicom.reader import holds_dicom  # imports pydicom

    return holds_dicom(source)


def _study_uid(folder: Path) -> str | None:
    from nnunetv2_strokesynth.io.dicom.reader import first_study_uid  # imports pydicom

    return first_study_uid(folder)


def _dicom_study(source: Path, series_uid: str | None, frame_s: float | None) -> Study:
    from nnunetv2_strokesynth.io.dicom.reader import read_ctp_series  # imports pydicom

    series = read_ctp_series(source, series_uid, frame_s=frame_s)
    reference = reference_of("series", Grid(series.shape_zyx, series.geometry, True))
    ordered = ReorderedSeries(series, reference.reorientation.apply)
    described = [f"scanner: {series.description}"] if series.description else []
    known = (reference, series.times_s, {}, [*described, *series.warnings], ordered)
    return Study(
        source,
        ordered,
        str(source),
        *known,
        dicom=tuple(series.files[0]),
        description=series.description,
        doubts=tuple(series.doubts),
    )


def _placed(modality: str, path: Path, reference: Reference) -> Placement:
    try:
        return place(path, reference)
    except ValueError as error:
        raise ValueError(
            f"{error}. Or leave the {modality} out of the folder, and it is computed from the "
            "series"
        ) from error
