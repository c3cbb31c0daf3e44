"""The files that describe a converted data set: folds, conversion report and ``dataset.json``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from nnunetv2_strokesynth.dataloading.splits_file import SPLITS_FILE
from nnunetv2_strokesynth.dataset_conversion.conversion_report import write_report
from nnunetv2_strokesynth.dataset_conversion.faults import Fault
from nnunetv2_strokesynth.dataset_conversion.raw_folder import (
    DESCRIPTION_FILE,
    json_or_none,
)
from nnunetv2_strokesynth.dataset_conversion.scans import (
    TRAIN,
    UNOUTLINED,
    Scan,
)
from nnunetv2_strokesynth.dataset_conversion.settings import Settings
from nnunetv2_strokesynth.dataset_conversion.splits import (
    nnunet_splits,
    paper_split,
    patient_folds,
)
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.orientation import CANONICAL, ORIENTATION_KEY, UNKNOWN

REPORT_FILE = "conversion_report.csv"
SKIPPED_KEY = "skipped"
UNOUTLINED_KEY = "unoutlined"

logger = logging.getLogger(__name__)


def write_dataset_files(
    folder: Path,
    scans: list[Scan],
    settings: Settings,
    *,
    records: dict[str, dict],
    patients: dict[str, str],
    description: dict[str, str],
    with_paper_split: bool,
    faults: Sequence[Fault] = (),
) -> dict[str, list[str]]:
    """Write ``splits_final.json``, ``conversion_report.csv`` and, last, ``dataset.json``.

    ``splits_final.json`` holds the folds. The paper's split follows as one more fold where it is
    wanted; nnU-Net does not read its key ``test``.

    Args:
        folder: the data set's folder in ``nnUNet_raw``.
        scans: the scans.
        settings: how the data set is written.
        records: case id -> record of ``job.convert_case``.
        patients: case id -> patient.
        description: what ``dataset.json`` says about the data.
        with_paper_split: whether a split like that of Wang et al. 2020 is written.
        faults: of the scans that were left out.

    Returns:
        The paper's split, see ``splits.paper_split``; empty where it is not written.
    """
    train = [scan.case_id for scan in scans if scan.split == TRAIN]
    folds: dict[str, int] = {}
    paper: dict[str, list[str]] = {}
    if train:
        volumes = {case_id: records[case_id]["row"]["lesion_volume_ml"] for case_id in train}
        folds = patient_folds(volumes, patients, settings.folds, seed=settings.seed)
        if with_paper_split:
            paper = paper_split(volumes, patients, settings.seed)
        splits = nnunet_splits(folds, settings.folds) + ([paper] if paper else [])
        _write_splits(folder / SPLITS_FILE, splits)
    (folder / "imagesTr").mkdir(exist_ok=True)
    (folder / "labelsTr").mkdir(exist_ok=True)
    report = folder / REPORT_FILE
    write_report(
        report,
        scans,
        records=records,
        patients=patients,
        folds=folds,
        paper=paper,
        faults=faults,
    )
    further: dict[str, object] = {ORIENTATION_KEY: _common_order(scans, records)}
    unoutlined = [scan.case_id for scan in scans if scan.split == UNOUTLINED]
    if unoutlined:
        further[UNOUTLINED_KEY] = unoutlined
    if faults:
        further[SKIPPED_KEY] = [fault.row for fault in faults]
    _write_description(folder, settings, description, n_train=len(train), further=further)
    return paper


def _write_description(
    folder: Path,
    settings: Settings,
    description: dict[str, str],
    *,
    n_train: int,
    further: dict[str, object],
) -> None:
    """Write ``dataset.json``, by which nnU-Net takes the data set for complete."""
    content = {
        "name": folder.name.split("_", 1)[1],
        **description,
        "channel_names": settings.channel_names,
        "labels": {"background": 0, "lesion": 1},
        "numTraining": n_train,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIO",
        "preset": settings.preset,
        "brain_mask": settings.brain_mask,
        **further,
    }
    write_json(folder / DESCRIPTION_FILE, content)


def _common_order(scans: list[Scan], records: dict[str, dict]) -> str:
    """``LPS``, or ``unknown`` if any header does not say how its head lies."""
    silent = [s.case_id for s in scans if records[s.case_id]["row"]["orientation"] == UNKNOWN]
    if silent and len(silent) < len(scans):
        logger.warning(
            "warning: the headers of %d of %d scans do not say how the head lies: %s. These stay "
            "as they are stored, the others are brought to %s; check that they look alike, or "
            "leave them out",
            len(silent),
            len(scans),
            name_some(silent),
            CANONICAL,
        )
    return UNKNOWN if silent else CANONICAL


def _write_splits(path: Path, splits: list[dict[str, list[str]]]) -> None:
    if path.is_file() and json_or_none(path) != splits:
        logger.warning(
            "warning: %s has changed, because the scans, the patients or this package have "
            "changed. If nnU-Net has planned this data set, delete its copy in nnUNet_preprocessed "
            "and train again",
            path,
        )
    write_json(path, splits)
