"""What a converter knows about a scan before it reads a voxel, and the checks of headers."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from nnunetv2_strokesynth.channels import (
    CTP,
    DWI,
    LESION,
    PERFUSION_MAPS,
)
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import (
    VolumeHeader,
    read_geometry,
    read_header,
)
from nnunetv2_strokesynth.io.placement import Reference, place, read_grid, reference_of

logger = logging.getLogger(__name__)

TRAIN, TEST, UNOUTLINED = "train", "test", "unoutlined"
SPLIT_NAMES = {TRAIN: "training", TEST: "testing", UNOUTLINED: "unoutlined"}


@dataclass(frozen=True)
class Scan:
    """One scan as found on disk.

    Attributes:
        case_id: name in the nnU-Net data set, ``case_001`` or ``test_001``.
        split: ``train`` or ``test``; ``unoutlined`` for a scan to train on that has a DWI and no
            outline.
        source: folder of the scan, relative to the folder that was searched.
        files: modality, such as ``CBF`` -> file. There may be ``OT`` (the lesion) and ``DWI``
            besides the required ones.
        reference: the modality on whose voxels the scan is read.
        required: the modalities without which the scan cannot be used.
        needs_position: whether a reference is refused whose header does not say how the head lies.
        notes: sentences for the user about which files were chosen.
    """

    case_id: str
    split: str
    source: str
    files: dict[str, Path]
    reference: str
    required: tuple[str, ...]
    needs_position: bool = False
    notes: tuple[str, ...] = ()


def with_image(scans: list[Scan], modality: str, hint: str) -> list[Scan]:
    """The scans that have a DWI or CTA; one warning line per split says which are left out.

    Args:
        scans: the scans.
        modality: ``DWI`` or ``CTA``.
        hint: where such an image could come from, for the error message.

    Raises:
        ValueError: no training scan has one, or, without training scans, no testing scan.
    """
    kept = [scan for scan in scans if modality in scan.files]
    for split, name in SPLIT_NAMES.items():
        members = [scan for scan in scans if scan.split == split]
        absent = [scan.case_id for scan in members if scan not in kept]
        if absent and len(absent) == len(members) and (split == TRAIN or not kept):
            raise ValueError(f"none of the {len(absent)} {name} scans has a {modality}: {hint}")
        if absent:
            logger.warning(
                "warning: %d of %d %s scans have no %s and are left out: %s",
                len(absent),
                len(members),
                name,
                modality,
                name_some(absent, at_most=5),
            )
    return kept


def without_image(scan: Scan, modality: str) -> Scan:
    """The scan without the file of one modality."""
    if modality not in scan.files:
        return scan
    kept = {name: path for name, path in scan.files.items() if name != modality}
    return replace(scan, files=kept)


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


def scan_reference(scan: Scan) -> Reference:
    """The scan's reference image; ``ValueError`` or ``OSError`` if its header cannot be used."""
    return reference_of(scan.reference, read_grid(scan.files[scan.reference]))


class Problem(NamedTuple):
    """What is wrong with a scan.

    Attributes:
        modality: of the file; empty where it is not one file.
        text: one sentence.
    """

    modality: str
    text: str

    def __str__(self) -> str:
        return f"{self.modality}: {self.text}" if self.modality else self.text


def find_problems(scan: Scan) -> list[Problem]:
    """Everything that is wrong with a scan's folder and headers; empty if nothing is."""
    problems = _missing(scan)
    headers = {}
    for modality, path in scan.files.items():
        try:
            headers[modality] = read_header(path)
        except (ValueError, OSError) as error:
            problems.append(Problem(modality, str(error)))
    problems += _bad_frames(headers)
    if scan.reference in headers:
        problems += _misplaced(scan, headers)
    return problems


def header_problems(scan: Scan) -> list[str]:
    """``find_problems`` as sentences that name the scan."""
    return [f"{scan.case_id} ({scan.source}): {problem}" for problem in find_problems(scan)]


def raise_problems(problems: Iterable[str], advice: str = "") -> None:
    """Raise one ``ValueError`` that names the first few problems; do nothing if there is none.

    Args:
        problems: what is wrong, one sentence each.
        advice: what to do, after the problems.
    """
    problems = list(problems)
    if not problems:
        return
    shown = name_some(problems, at_most=5, separator="; ")
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    raise ValueError(f"{count} in the scans: {shown}{f'. {advice}' if advice else ''}")


def complete_scans(scans: list[Scan]) -> list[Scan]:
    """The scans that lack no file; a warning names the others.

    Raises:
        ValueError: every scan lacks one.
    """
    kept = [scan for scan in scans if not missing_modalities(scan)]
    left_out = [f"{scan.case_id} ({scan.source})" for scan in scans if scan not in kept]
    if left_out and not kept:
        raise ValueError(f"none of the {len(scans)} scans is complete: {name_some(left_out)}")
    if left_out:
        logger.warning(
            "warning: %d of %d scans lack a file and are left out: %s",
            len(left_out),
            len(scans),
            name_some(left_out),
        )
    return kept


def advice_on_missing(scans: Iterable[Scan], *, offers: Iterable[str]) -> str:
    """Which options help where scans lack files; empty if no file is missing or none helps.

    Args:
        scans: the scans.
        offers: the options of the kind that are not given, of ``--compute-maps`` and
            ``--skip-incomplete``.
    """
    lacking = [(scan, missing) for scan in scans if (missing := missing_modalities(scan))]
    offers = set(offers)
    advice = []
    if "--compute-maps" in offers and any(
        CTP in scan.files and set(missing) <= {*PERFUSION_MAPS} for scan, missing in lacking
    ):
        advice.append("--compute-maps computes all maps of such a scan from its series")
    if "--skip-incomplete" in offers and lacking:
        advice.append("--skip-incomplete leaves out scans that lack a file")
    return "; ".join(advice)


def _misplaced(scan: Scan, headers: dict[str, VolumeHeader]) -> list[Problem]:
    """What is wrong with the positions of a scan's files."""
    try:
        reference = scan_reference(scan)
        if scan.needs_position:
            read_geometry(scan.files[scan.reference])
    except ValueError as error:
        return [Problem(scan.reference, str(error))]
    problems = []
    for modality in headers:
        try:
            place(scan.files[modality], reference)
        except ValueError as error:
            problems.append(Problem(modality, str(error)))
    return problems


def _missing(scan: Scan) -> list[Problem]:
    missing = missing_modalities(scan)
    if not missing:
        return []
    found = ", ".join(scan.files) or "none"
    text = f"no file for {', '.join(missing)} (found: {found})"
    if missing == [LESION] and DWI in scan.files:
        text += "; it has a DWI, and --unoutlined takes such scans, for `strokesynth outline`"
    return [Problem("", text)]


def _bad_frames(headers: dict[str, VolumeHeader]) -> list[Problem]:
    problems = []
    for modality, header in headers.items():
        if modality == CTP and len(header.disk_shape) < 4:
            text = f"{header.path} is 3-D, expected a series (X, Y, Z, T)"
        elif modality == CTP and header.n_frames < 2:
            text = f"{header.path} has one frame, expected at least 2"
        elif modality != CTP and header.n_frames > 1:
            text = f"{header.path} is a series, expected a 3-D image"
        else:
            continue
        problems.append(Problem(modality, text))
    return problems
