"""A downloaded data set examined before anything is converted, for ``strokesynth doctor``."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from nnunetv2_strokesynth.channels import CTP, DWI
from nnunetv2_strokesynth.dataset_conversion.examination import Examination, examine
from nnunetv2_strokesynth.dataset_conversion.faults import Fault
from nnunetv2_strokesynth.dataset_conversion.findings import (
    CaseFinding,
    Diagnosis,
    Examined,
    Level,
)
from nnunetv2_strokesynth.dataset_conversion.known_defects import name_known
from nnunetv2_strokesynth.dataset_conversion.recognise import kinds_of
from nnunetv2_strokesynth.dataset_conversion.registry import KINDS, load_kind
from nnunetv2_strokesynth.dataset_conversion.scans import TEST, TRAIN, Scan
from nnunetv2_strokesynth.dataset_conversion.splits import check_folds
from nnunetv2_strokesynth.dataset_conversion.unoutlined import find_marked
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.process_pool import WorkerKilledError, map_cases

Result = TypeVar("Result")


def recognised_kind(src: Path) -> str:
    """The kind that a folder holds, a key of ``KINDS``.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it looks like no kind, or like several.
    """
    if not src.is_dir():
        raise FileNotFoundError(f"{src}: no such folder")
    names = kinds_of(src)
    if len(names) == 1:
        return names[0]
    if names:
        raise ValueError(f"{src} holds {' and '.join(names)}: choose one with --kind")
    inside = name_some(sorted(path.name for path in src.iterdir())) or "nothing"
    raise ValueError(
        f"{src} looks like none of {', '.join(KINDS)} (found {inside}). Name the folder that holds "
        "TRAINING, or raw_data and derivatives; --kind says why a kind does not fit"
    )


def diagnose(
    kind_name: str, args: argparse.Namespace, *, options: list[str], is_quick: bool
) -> Diagnosis:
    """Examine all scans of a data set.

    Args:
        kind_name: a key of ``KINDS``.
        args: the options of ``strokesynth convert`` with which it would be converted.
        options: those of them that were given.
        is_quick: whether voxels are left unread.

    Raises:
        ValueError, OSError: no scan is found, or a worker was killed.
    """
    kind = load_kind(kind_name)
    found, faults = find_marked(kind, args)
    chosen, findings = _heard(lambda: kind.select_scans(found, args), found)
    patients, said = _heard(lambda: kind.patients_of(found, args), {})
    settings = kind.settings_of(args)
    tasks = [Examination(scan, settings, kind.convert, is_quick) for scan in chosen]
    try:
        examined = map_cases(
            examine, tasks, workers=args.workers, description="examining", unit="scan"
        )
    except WorkerKilledError as error:
        raise OSError(f"{error} (most likely the memory was full)") from error
    examined = _with_faults(examined, faults)
    scans = [
        scan._replace(findings=name_known(kind_name, scan.findings, scan.source))
        for scan in examined
    ]
    findings += [*said, *_dwi_note(chosen), *_of_patients(scans, patients, args)]
    findings = name_known(kind_name, findings)
    return Diagnosis(
        args.src,
        kind_name,
        scans,
        findings,
        options=options,
        is_quick=is_quick,
        skips_broken=args.skip_broken,
    )


def _heard(step: Callable[[], Result], otherwise: Result) -> tuple[Result, list[CaseFinding]]:
    """What a step of the converter gives, and what it says about the data set as a whole.

    Args:
        step: called once.
        otherwise: the result where the step refuses.
    """
    result, findings = otherwise, []
    with _warnings() as said:
        try:
            result = step()
        except (ValueError, OSError) as error:
            findings.append(CaseFinding(Level.REFUSED, "", str(error)))
    return result, [*findings, *(CaseFinding(Level.DOUBTFUL, "", text) for text in said)]


def _of_patients(
    scans: list[Examined], patients: dict[str, str], args: argparse.Namespace
) -> list[CaseFinding]:
    """What the converter would say about the patients of the scans that it keeps."""
    kept = [scan for scan in scans if scan.level != Level.REFUSED or not args.skip_broken]
    training = [scan.case_id for scan in kept if scan.split == TRAIN]
    names = {patients[case_id] for case_id in training if case_id in patients}
    findings = []
    if scans and not kept:
        text = f"none of the {len(scans)} scans can be used"
        findings.append(CaseFinding(Level.REFUSED, "", text))
    if len(names) < len(training):
        text = (
            f"{len(training)} training scans of {len(names)} patients: scans of one patient stay "
            "on one side of every fold"
        )
        findings.append(CaseFinding(Level.NOTE, "", text))
    if names:
        _, refused = _heard(lambda: check_folds(len(names), args.folds), None)
        findings += refused
    return findings


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collects what the converter warns of, instead of showing it."""
    said: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING:
                said.append(record.getMessage().removeprefix("warning: "))

    logger = logging.getLogger(__package__)
    handler, propagates = Collector(), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield said
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates


def _with_faults(scans: list[Examined], faults: list[Fault]) -> list[Examined]:
    """The scans with the finder's faults; one that is there twice becomes a scan without files."""
    by_case = {scan.case_id: scan for scan in scans}
    for fault in faults:
        if fault.case_id not in by_case:
            split = TRAIN if fault.case_id.startswith("case") else TEST
            by_case[fault.case_id] = Examined(fault.case_id, fault.source, split, {}, [])
        by_case[fault.case_id].findings.insert(0, CaseFinding(Level.REFUSED, "", fault.why))
    return list(by_case.values())


def _dwi_note(scans: list[Scan]) -> list[CaseFinding]:
    """How many training scans of CT perfusion have a DWI, if not all."""
    training = [scan for scan in scans if scan.split == TRAIN and CTP in scan.required]
    absent = [scan for scan in training if DWI not in scan.files]
    if not absent:
        return []
    trainer = "StrokeSynthTrainer_NoDWI" if len(absent) == len(training) else "StrokeSynthTrainer"
    text = (
        f"{len(absent)} of {len(training)} training scans have no DWI: train {trainer}, which "
        f"{'needs none' if len(absent) == len(training) else 'learns from those that have one'}"
    )
    return [CaseFinding(Level.NOTE, DWI, text)]
