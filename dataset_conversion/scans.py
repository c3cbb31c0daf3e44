"""What a converter knows about a scan before it reads a voxel, and the checks of headers."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.channels import (
    CTP,
    DWI,
    LESION,
)
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import (
    VolumeHeader,
    read_geometry,
    read_header,
    voxel_position_mm,
)

logger = logging.getLogger(__name__)

TRAIN, TEST = "train", "test"
SPLIT_NAMES = {TRAIN: "training", TEST: "testing"}

_SPACING_TOLERANCE = 0.01


@dataclass(frozen=True)
class Scan:
    """One scan as found on disk.

    Attributes:
        case_id: name in the nnU-Net data set, ``case_001`` or ``test_001``.
        split: ``train`` or ``test``.
        source: folder of the scan, relative to the folder that was searched.
        files: modality, such as ``CBF`` -> file. There may be ``OT`` (the lesion) and ``DWI``
            besides the required ones.
        reference: the modality whose grid and voxel sizes are used.
        required: the modalities without which the scan cannot be used.
        keeps_geometry: whether the reference's orientation and origin can be trusted and are kept.
    """

    case_id: str
    split: str
    source: str
    files: dict[str, Path]
    reference: str
    required: tuple[str, ...]
    keeps_geometry: bool = False


def with_dwi(scans: list[Scan], hint: str) -> list[Scan]:
    """The scans that have a DWI; one warning line per split says which are left out.

    Args:
        scans: the scans.
        hint: where a DWI could come from, for the error message.

    Raises:
        ValueError: no training scan has one, or, without training scans, no testing scan.
    """
    kept = [scan for scan in scans if DWI in scan.files]
    for split, name in SPLIT_NAMES.items():
        members = [scan for scan in scans if scan.split == split]
        absent = [scan.case_id for scan in members if scan not in kept]
        if absent and len(absent) == len(members) and (split == TRAIN or not kept):
            raise ValueError(f"none of the {len(absent)} {name} scans has a DWI: {hint}")
        if absent:
            logger.warning(
                "warning: %d of %d %s scans have no DWI and are left out: %s",
                len(absent),
                len(members),
                name,
                name_some(absent, at_most=5),
            )
    return kept


def without_maps(scan: Scan, maps: tuple[str, ...]) -> Scan:
    """The scan with its perfusion maps no longer required; without any where one is missing.

    The maps of a scan must come from one software: three released maps and a computed one would not
    fit together.
    """
    required = tuple(name for name in scan.required if name not in maps)
    if all(name in scan.files for name in maps):
        return replace(scan, required=required)
    files = {name: path for name, path in scan.files.items() if name not in maps}
    return replace(scan, required=required, files=files)


def missing_modalities(scan: Scan) -> list[str]:
    """The modalities that a scan must have and lacks."""
    expected = (*scan.required, LESION) if scan.split == TRAIN else scan.required
    return [modality for modality in expected if modality not in scan.files]


def read_headers(scan: Scan) -> dict[str, VolumeHeader]:
    """The headers of all files of a scan; ``ValueError`` or ``OSError`` for the first bad one."""
    return {modality: read_header(path) for modality, path in scan.files.items()}


def header_problems(scan: Scan) -> list[str]:
    """Everything that is wrong with a scan's folder and headers; empty if nothing is."""
    problems = _missing(scan)
    headers = {}
    for modality, path in scan.files.items():
        try:
            headers[modality] = read_header(path)
        except (ValueError, OSError) as error:
            problems.append(f"{modality}: {error}")
    problems += _bad_shapes(headers, scan.reference)
    if scan.keeps_geometry and scan.reference in headers:
        try:
            read_geometry(scan.files[scan.reference])
        except ValueError as error:
            problems.append(f"{scan.reference}: {error}")
    return [f"{scan.case_id} ({scan.source}): {problem}" for problem in problems]


def spacing_warnings(scan: Scan, headers: dict[str, VolumeHeader]) -> list[str]:
    """A line for each file whose voxel sizes differ from the reference's by more than 1 %."""
    reference = headers[scan.reference].spacing_zyx_mm
    return [
        f"{scan.case_id}: {header.path.name} has voxels of {header.spacing_zyx_mm} mm (z, y, x), "
        f"the {scan.reference} of {reference} mm; the {scan.reference}'s are used"
        for header in headers.values()
        if any(
            abs(found - expected) > _SPACING_TOLERANCE * expected
            for found, expected in zip(header.spacing_zyx_mm, reference, strict=True)
        )
    ]


def position_warnings(scan: Scan) -> list[str]:
    """A line for each file that lies more than half a pixel away from the reference.

    It is empty where the scan's geometry is not kept: those headers say nothing about positions.
    """
    if not scan.keeps_geometry:
        return []
    header = read_header(scan.files[scan.reference])
    last = tuple(side - 1 for side in header.shape_zyx[::-1])
    expected = _corners_mm(scan.files[scan.reference], last)
    warnings = []
    for path in scan.files.values():
        try:
            apart = float(np.linalg.norm(_corners_mm(path, last) - expected, axis=1).max())
        except ValueError:
            apart = float("inf")
        if apart > min(header.spacing_zyx_mm) / 2:
            warnings.append(
                f"{scan.case_id}: by its header {path.name} lies up to {apart:.1f} mm from where "
                f"the {scan.reference} does; its voxels are used as if they lay where the "
                f"{scan.reference}'s lie"
            )
    return warnings


def raise_problems(problems: Iterable[str]) -> None:
    """Raise one ``ValueError`` that names the first few problems; do nothing if there is none."""
    problems = list(problems)
    if not problems:
        return
    shown = name_some(problems, at_most=5, separator="; ")
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise ValueError(f"{count} in the scans: {shown}")


def _corners_mm(path: Path, last_xyz: tuple[int, ...]) -> np.ndarray:
    """(8, 3), the corners of a file's grid."""
    geometry = read_geometry(path)
    corners = product(*((0, last) for last in last_xyz))
    return np.stack([voxel_position_mm(geometry, corner) for corner in corners])


def _missing(scan: Scan) -> list[str]:
    missing = missing_modalities(scan)
    if not missing:
        return []
    found = ", ".join(scan.files) or "none"
    return [f"no file for {', '.join(missing)} (found: {found})"]


def _bad_shapes(headers: dict[str, VolumeHeader], reference: str) -> list[str]:
    problems = []
    expected = headers[reference].shape_zyx if reference in headers else None
    for modality, header in headers.items():
        if modality == CTP and len(header.disk_shape) < 4:
            problems.append(f"{modality}: {header.path} is 3-D, expected a series (X, Y, Z, T)")
        elif modality == CTP and header.n_frames < 2:
            problems.append(f"{modality}: {header.path} has one frame, expected at least 2")
        elif modality != CTP and header.n_frames > 1:
            problems.append(f"{modality}: {header.path} is a series, expected a 3-D image")
        if expected is not None and header.shape_zyx != expected:
            problems.append(
                f"{modality}: {header.path} has shape {header.shape_zyx} (z, y, x), "
                f"the {reference} has {expected}"
            )
    return problems
