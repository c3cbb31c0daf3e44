"""From one release on disk to one data set: search, checks, cases, and what describes them."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Set
from pathlib import Path
from typing import NamedTuple

from nnunetv2_strokesynth.dataset_conversion.convert_cases import convert_cases, remove_cases
from nnunetv2_strokesynth.dataset_conversion.dataset_files import write_dataset_files
from nnunetv2_strokesynth.dataset_conversion.faults import (
    SKIP_ADVICE,
    Fault,
    fault_of,
    without_faulty,
)
from nnunetv2_strokesynth.dataset_conversion.kind import DatasetKind
from nnunetv2_strokesynth.dataset_conversion.origin import describe
from nnunetv2_strokesynth.dataset_conversion.planned_before import outdated_plans
from nnunetv2_strokesynth.dataset_conversion.raw_folder import (
    dataset_folder,
    prepare_folder,
)
from nnunetv2_strokesynth.dataset_conversion.scans import (
    TRAIN,
    UNOUTLINED,
    Scan,
    advice_on_missing,
    header_problems,
    raise_problems,
)
from nnunetv2_strokesynth.dataset_conversion.settings import Settings
from nnunetv2_strokesynth.dataset_conversion.splits import check_folds
from nnunetv2_strokesynth.dataset_conversion.unoutlined import find_marked
from nnunetv2_strokesynth.io.folder_lock import only_writer
from nnunetv2_strokesynth.io.progress import progress

logger = logging.getLogger(__name__)


class Conversion(NamedTuple):
    """A converted data set.

    Attributes:
        folder: ``nnUNet_raw/DatasetNNN_NAME``.
        settings: how it was written.
        scans: the scans that were converted.
        records: case id -> record, see ``job.convert_case``.
        patients: case id -> patient.
        paper: the split like that of Wang et al. 2020, see ``splits.paper_split``; empty where it
            was not written.
        skipped: why scans were left out, with ``--skip-broken``.
    """

    folder: Path
    settings: Settings
    scans: list[Scan]
    records: dict[str, dict]
    patients: dict[str, str]
    paper: dict[str, list[str]]
    skipped: list[Fault]

    @property
    def training(self) -> list[str]:
        """Case ids of the training scans."""
        return [scan.case_id for scan in self.scans if scan.split == TRAIN]

    @property
    def unoutlined(self) -> list[str]:
        """Case ids of the scans with a DWI and without an outline."""
        return [scan.case_id for scan in self.scans if scan.split == UNOUTLINED]

    @property
    def n_patients(self) -> int:
        """How many patients the training scans are of."""
        return len({self.patients[case_id] for case_id in self.training})

    @property
    def n_dwi(self) -> int:
        """How many training scans have a DWI."""
        rows = [self.records[case_id]["row"] for case_id in self.training]
        return sum(row.get("dwi_present", False) for row in rows)


def convert_data_set(kind: DatasetKind, args: argparse.Namespace) -> Conversion:
    """Check all scans, convert them, and write the files that describe the data set.

    Args:
        kind: which release.
        args: the options of ``strokesynth convert``.

    Raises:
        ValueError: an option, a scan or the folder cannot be used.
        OSError: a file cannot be read or written.
    """
    if args.workers < 1:
        raise ValueError(f"--workers {args.workers}: expected at least 1")
    folder = dataset_folder(args.dataset_id, args.name)
    found, problems = find_marked(kind, args)
    scans = kind.select_scans(found, args)
    faults = list(problems)
    for scan in progress(scans, desc="checking", unit="scan"):
        faults += [fault_of(scan, problem) for problem in header_problems(scan)]
    if not args.skip_broken:
        raise_problems(faults, _advice(scans, args))
    patients = kind.patients_of(found, args)
    conversion = Conversion(folder, kind.settings_of(args), scans, {}, patients, {}, faults)
    return _write(conversion, kind, args)


def _advice(scans: list[Scan], args: argparse.Namespace) -> str:
    """Which options help where scans cannot be used."""
    on_missing = advice_on_missing(scans, offers=unused_options(args))
    return f"{on_missing}; {SKIP_ADVICE}" if on_missing else SKIP_ADVICE


def unused_options(args: argparse.Namespace) -> list[str]:
    """The options for scans that lack files, those that the kind has and that are not given."""
    options = ("--compute-maps", "--skip-incomplete")
    values = {option: vars(args).get(option[2:].replace("-", "_")) for option in options}
    return [option for option, value in values.items() if value is False]


def _write(conversion: Conversion, kind: DatasetKind, args: argparse.Namespace) -> Conversion:
    """Write the cases and, after them, the files about the data set; nobody else does meanwhile."""
    folder = conversion.folder
    case_ids = {*(s.case_id for s in conversion.scans), *(f.case_id for f in conversion.skipped)}
    with only_writer(folder):
        return _write_alone(conversion, kind, args, case_ids)


def _write_alone(
    conversion: Conversion, kind: DatasetKind, args: argparse.Namespace, case_ids: Set[str]
) -> Conversion:
    folder, settings = conversion.folder, conversion.settings
    conversion, broken = _usable(conversion, conversion.skipped, args)
    prepare_folder(folder, case_ids, settings, overwrite=args.overwrite)
    remove_cases(folder, broken, settings, convert=kind.convert)
    records, faults = convert_cases(
        folder, conversion.scans, settings, convert=kind.convert, workers=args.workers
    )
    if not args.skip_broken:
        raise_problems(faults, SKIP_ADVICE)
    conversion, _ = _usable(conversion, [*conversion.skipped, *faults], args)
    paper = write_dataset_files(
        folder,
        conversion.scans,
        settings,
        records=records,
        patients=conversion.patients,
        description=describe(kind.description, conversion.scans),
        with_paper_split=kind.paper_split,
        faults=conversion.skipped,
    )
    for sentence in outdated_plans(folder, conversion.training):
        logger.warning("warning: %s", sentence)
    return conversion._replace(records=records, paper=paper)


def _usable(
    conversion: Conversion, faults: list[Fault], args: argparse.Namespace
) -> tuple[Conversion, list[Scan]]:
    """The conversion without the scans that have a fault, and these.

    Raises:
        ValueError: no scan is left, or too few patients for the folds.
    """
    kept, broken = without_faulty(conversion.scans, faults)
    conversion = conversion._replace(scans=kept, skipped=faults)
    if conversion.n_patients:
        check_folds(conversion.n_patients, args.folds)
    return conversion, broken
