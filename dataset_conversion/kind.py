"""A kind of data set: what ``strokesynth convert`` must know about one public release.

Each ``DatasetNNN_NAME.py`` makes one ``DatasetKind``, and ``registry.py`` lists them all.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nnunetv2_strokesynth.dataset_conversion.faults import Fault
from nnunetv2_strokesynth.dataset_conversion.job import CaseJob
from nnunetv2_strokesynth.dataset_conversion.patients import one_patient_each
from nnunetv2_strokesynth.dataset_conversion.scans import Scan, complete_scans
from nnunetv2_strokesynth.dataset_conversion.settings import Settings


def all_scans(found: list[Scan], args: argparse.Namespace) -> list[Scan]:
    """Every scan that was found is converted; with ``--skip-incomplete`` if it lacks no file."""
    return complete_scans(found) if args.skip_incomplete else found


def own_patients(found: list[Scan], args: argparse.Namespace) -> dict[str, str]:
    """Each scan is of another patient: case id -> case id."""
    return one_patient_each(found)


@dataclass(frozen=True)
class DatasetKind:
    """One public release: how its scans are found, chosen, converted and described.

    Attributes:
        name: name of the data set, unless the user gives another one.
        dataset_id: nnU-Net's number of the data set, unless the user gives another one.
        example: a command that converts the release, for ``--help``.
        description: what ``dataset.json`` says about the data.
        find_scans: folder -> all scans below it, and the problems met.
        convert: job -> record; reads one scan and writes its case.
        add_options: adds the options that not all kinds have to a parser.
        settings_of: options -> how the data set is written.
        select_scans: (scans found, options) -> the scans to convert.
        patients_of: (scans found, options) -> patient of each case id.
        paper_split: whether a split like that of Wang et al. 2020 follows the folds.
        split_by_outline: whether a scan is a test scan for no other reason than that it has no
            outline.
        has_curve: whether a record holds the time-intensity curve, which ``--plots`` draws.
    """

    name: str
    dataset_id: int
    example: str
    description: dict[str, str]
    find_scans: Callable[[Path], tuple[list[Scan], list[Fault]]]
    convert: Callable[[CaseJob], dict]
    add_options: Callable[[argparse.ArgumentParser], None]
    settings_of: Callable[[argparse.Namespace], Settings]
    select_scans: Callable[[list[Scan], argparse.Namespace], list[Scan]] = all_scans
    patients_of: Callable[[list[Scan], argparse.Namespace], dict[str, str]] = own_patients
    paper_split: bool = False
    split_by_outline: bool = False
    has_curve: bool = False
