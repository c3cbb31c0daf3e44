"""One scan examined for ``strokesynth doctor``: its conversion is rehearsed.

What the converter would refuse or warn of is found by the converter itself, which reads, checks and
computes, and writes nothing. So the two cannot disagree. The converter stops at the first fault; to
name all of them, the files of a scan that it refuses are read once more, one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from nnunetv2_strokesynth.channels import CTP, LESION, MRI_MAPS, PERFUSION_MAPS
from nnunetv2_strokesynth.ctp.frame_times import frame_times_of
from nnunetv2_strokesynth.dataset_conversion.findings import CaseFinding, Examined, Level
from nnunetv2_strokesynth.dataset_conversion.job import CaseJob
from nnunetv2_strokesynth.dataset_conversion.placed_scan import PlacedScan
from nnunetv2_strokesynth.dataset_conversion.scans import (
    TRAIN,
    Problem,
    Scan,
    find_problems,
    scan_reference,
)
from nnunetv2_strokesynth.dataset_conversion.settings import Settings
from nnunetv2_strokesynth.io.nifti import read_header
from nnunetv2_strokesynth.io.orientation import CANONICAL, UNKNOWN
from nnunetv2_strokesynth.io.sidecar import read_sidecar_times


@dataclass(frozen=True)
class Examination:
    """What a worker needs to examine one scan.

    Attributes:
        scan: the scan.
        settings: with which it would be converted.
        convert: see ``CaseJob``.
        is_quick: whether only headers are read.
    """

    scan: Scan
    settings: Settings
    convert: Callable[[CaseJob], dict]
    is_quick: bool


def examine(task: Examination) -> Examined:
    """Find everything that is wrong with a scan, or worth knowing.

    Without ``is_quick`` this takes the memory of one conversion with few channels. A scan that is
    refused is then read file by file, and its series frame by frame.
    """
    scan = task.scan
    problems = find_problems(scan)
    findings: list[CaseFinding] = []
    if not problems and not task.is_quick:
        problems, findings = _rehearse(task)
    if problems and not task.is_quick:
        problems = _all_problems(scan, problems)
    refused = [CaseFinding(Level.REFUSED, *problem) for problem in problems]
    if problems or task.is_quick:  # the rehearsal says them otherwise
        findings = [CaseFinding(Level.DOUBTFUL, "", note) for note in scan.notes]
    findings = [*refused, *findings, *_notes(scan)]
    findings.sort(key=lambda finding: finding.level)
    return Examined(scan.case_id, scan.source, scan.split, scan.files, findings)


def _rehearse(task: Examination) -> tuple[list[Problem], list[CaseFinding]]:
    """Convert without writing: the refusal, or what the converter would warn of."""
    scan = task.scan
    job = CaseJob(scan, Path(), task.settings, task.convert, is_rehearsal=True)
    try:
        record = task.convert(job)
    except (ValueError, OSError) as error:
        return [Problem("", str(error))], []
    prefix = f"{scan.case_id}: "
    findings = [
        CaseFinding(Level.DOUBTFUL, "", warning.removeprefix(prefix))
        for warning in record["warnings"]
    ]
    if scan.split == TRAIN and record["row"].get("lesion_volume_ml") == 0:
        text = "the lesion is empty: the scan trains as one without a lesion"
        findings.append(CaseFinding(Level.NOTE, LESION, text))
    return [], findings


def _all_problems(scan: Scan, problems: list[Problem]) -> list[Problem]:
    """The problems and those of the files that had none, each read by itself."""
    bad = {problem.modality for problem in problems}
    on_reference = scan.reference in scan.files and scan.reference not in bad
    alone = []
    for modality in scan.files:
        if modality in bad:
            continue
        try:
            _read_alone(scan, modality, on_reference=on_reference)
        except (ValueError, OSError) as error:
            alone.append(Problem(modality, str(error)))
    # The converter's own sentence is left out where it is that of a single file.
    said = [problem.text for problem in alone]
    kept = [p for p in problems if p.modality or not any(text in p.text for text in said)]
    return [*kept, *alone]


def _read_alone(scan: Scan, modality: str, *, on_reference: bool) -> None:
    """Read all voxels of a file, as the converter does.

    Raises:
        ValueError, OSError: what the converter would say.
    """
    reference = scan.reference if on_reference else modality
    files = {name: scan.files[name] for name in {reference, modality}}
    placed = PlacedScan(replace(scan, files=files, reference=reference))
    if modality == CTP:
        for _ in placed.series():
            pass
    elif modality == LESION:
        placed.lesion()
    elif modality in {*PERFUSION_MAPS, *MRI_MAPS}:
        placed.maps([modality])
    else:
        placed.image(modality)


def _notes(scan: Scan) -> list[CaseFinding]:
    """What is worth knowing, from headers alone."""
    try:
        order = scan_reference(scan).stored.order
    except (ValueError, OSError, KeyError):  # said already
        return []
    notes = []
    if order == UNKNOWN:
        text = "the header does not say how the head lies: it stays as it is stored"
        notes.append(CaseFinding(Level.NOTE, scan.reference, text))
    elif order != CANONICAL:
        text = f"stored in {order} order: it is brought to {CANONICAL}"
        notes.append(CaseFinding(Level.NOTE, scan.reference, text))
    return [*notes, *_time_notes(scan)]


def _time_notes(scan: Scan) -> list[CaseFinding]:
    """Whether the times of the frames contradict each other; only computing maps needs them."""
    if CTP not in scan.files:
        return []
    path = scan.files[CTP]
    try:
        n_frames = read_header(path).n_frames
        frame_times_of(path, n_frames)
    except (ValueError, OSError) as error:
        text = f"the times of its frames, which --compute-maps needs: {error}"
        level = Level.NOTE if _says_nothing(path) else Level.DOUBTFUL
        return [CaseFinding(level, CTP, text)]
    return []


def _says_nothing(series: Path) -> bool:
    """Whether neither sidecar nor header has a time, as in ISLES 2018."""
    try:
        return read_sidecar_times(series, read_header(series).n_frames) is None
    except (ValueError, OSError):
        return False
