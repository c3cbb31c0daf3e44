"""A downloaded data set examined before anything is converted, for ``strokesynth doctor``."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nnunetv2_strokesynth.channels import CTP, DWI
from nnunetv2_strokesynth.dataset_conversion.examination import Examination, examine
from nnunetv2_strokesynth.dataset_conversion.findings import (
    CaseFinding,
    Diagnosis,
    Examined,
    Level,
)
from nnunetv2_strokesynth.dataset_conversion.kind import DatasetKind
from nnunetv2_strokesynth.dataset_conversion.known_defects import name_known
from nnunetv2_strokesynth.dataset_conversion.recognise import find_scans, kinds_of
from nnunetv2_strokesynth.dataset_conversion.registry import KINDS, load_kind
from nnunetv2_strokesynth.dataset_conversion.scans import TRAIN, Scan
from nnunetv2_strokesynth.dataset_conversion.splits import check_folds
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.process_pool import WorkerKilledError, map_cases


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
    found, problems = find_scans(kind, args.src)
    chosen, findings = _choose(kind, found, args)
    settings = kind.settings_of(args)
    tasks = [Examination(scan, settings, kind.convert, is_quick) for scan in chosen]
    try:
        examined = map_cases(
            examine, tasks, workers=args.workers, description="examining", unit="scan"
        )
    except WorkerKilledError as error:
        raise OSError(f"{error} (most likely the memory was full)") from error
    examined, of_nobody = _with_problems(examined, problems)
    scans = [
        scan._replace(findings=name_known(kind_name, scan.findings, scan.source))
        for scan in examined
    ]
    findings = name_known(kind_name, [*of_nobody, *findings, *_dwi_note(chosen)])
    return Diagnosis(args.src, kind_name, is_quick, options, scans, findings)


def _choose(
    kind: DatasetKind, found: list[Scan], args: argparse.Namespace
) -> tuple[list[Scan], list[CaseFinding]]:
    """The scans that would be converted, and what the converter says about them as a whole."""
    findings: list[CaseFinding] = []
    scans, patients = found, {}

    def attempt(step: Callable[[], None]) -> None:
        with _warnings() as said:
            try:
                step()
            except (ValueError, OSError) as error:
                findings.append(CaseFinding(Level.REFUSED, "", str(error)))
        findings.extend(CaseFinding(Level.DOUBTFUL, "", text) for text in said)

    def select() -> None:
        nonlocal scans
        scans = kind.select_scans(found, args)

    def assign() -> None:
        nonlocal patients
        patients = kind.patients_of(found, args)
        training = [patients[scan.case_id] for scan in scans if scan.split == TRAIN]
        n_patients = len(set(training))
        if n_patients < len(training):
            text = (
                f"{len(training)} training scans of {n_patients} patients: scans of one patient "
                "stay on one side of every fold"
            )
            findings.append(CaseFinding(Level.NOTE, "", text))
        if training:
            check_folds(n_patients, args.folds)

    attempt(select)
    attempt(assign)
    return scans, findings


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


def _with_problems(
    scans: list[Examined], problems: list[str]
) -> tuple[list[Examined], list[CaseFinding]]:
    """The finder's problems, which stop the converter, at the scans that they name."""
    of_nobody = []
    for problem in problems:
        finding = CaseFinding(Level.REFUSED, "", problem)
        for scan in scans:
            if problem.startswith(f"{scan.case_id} ") or any(
                str(path) in problem for path in scan.files.values()
            ):
                text = problem.removeprefix(f"{scan.case_id} ({scan.source}): ")
                scan.findings.insert(0, finding._replace(text=text))
                break
        else:
            of_nobody.append(finding)
    return scans, of_nobody


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
