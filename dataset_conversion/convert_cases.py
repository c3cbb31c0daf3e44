"""Convert all scans of a data set, several at a time, and only those that are not complete."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import cast

from nnunetv2_strokesynth.dataset_conversion.case_files import MUCH_LESION_OUTSIDE
from nnunetv2_strokesynth.dataset_conversion.faults import Fault
from nnunetv2_strokesynth.dataset_conversion.job import (
    CaseJob,
    convert_case,
    finished_record,
    remove_case,
)
from nnunetv2_strokesynth.dataset_conversion.raw_folder import DESCRIPTION_FILE
from nnunetv2_strokesynth.dataset_conversion.scans import Scan
from nnunetv2_strokesynth.dataset_conversion.settings import Settings
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.process_pool import (
    WorkerKilledError,
    try_cases,
)

logger = logging.getLogger(__name__)


def convert_cases(
    folder: Path,
    scans: list[Scan],
    settings: Settings,
    *,
    convert: Callable[[CaseJob], dict],
    workers: int = 1,
) -> tuple[dict[str, dict], list[Fault]]:
    """Convert the scans that are not complete yet, several at a time, with a progress bar.

    A scan that cannot be used does not stop the others, so that a second run has only that one to
    convert.

    Args:
        folder: the data set's folder in ``nnUNet_raw``.
        scans: the scans.
        settings: how the data set is written.
        convert: see ``CaseJob``.
        workers: number of processes.

    Returns:
        case id -> record, see ``job.convert_case``, in the order of ``scans``; and the scans that
        cannot be used, of which nothing is left in the folder.

    Raises:
        OSError: a file cannot be written, or a worker was killed.
    """
    jobs = [CaseJob(scan, folder, settings, convert) for scan in scans]
    found = {job.scan.case_id: finished_record(job) for job in jobs}
    todo = [job for job in jobs if found[job.scan.case_id] is None]
    faults: list[Fault] = []
    if todo:
        # dataset.json is written last; without it nnU-Net does not start from a half-converted set.
        (folder / DESCRIPTION_FILE).unlink(missing_ok=True)
        made, faults = _convert_all(todo, workers)
        found |= made
    records = {case_id: record for case_id, record in found.items() if record is not None}
    done = len(jobs) - len(todo)
    if done == len(jobs):
        logger.info("all %d cases are up to date", done)
    elif done:
        logger.info("%d of %d cases were up to date", done, len(jobs))
    for record in records.values():
        for warning in record["warnings"]:
            logger.warning("warning: %s", warning)
    if settings.brain_mask:
        _warn_of_lesions_outside(records)
    return records, faults


def remove_cases(
    folder: Path, scans: list[Scan], settings: Settings, *, convert: Callable[[CaseJob], dict]
) -> None:
    """Remove what earlier runs wrote of scans that cannot be used any more.

    ``dataset.json`` goes first if any was complete: it would promise too many cases.
    """
    jobs = [CaseJob(scan, folder, settings, convert) for scan in scans]
    if any(job.record_path.is_file() for job in jobs):
        (folder / DESCRIPTION_FILE).unlink(missing_ok=True)
    for job in jobs:
        remove_case(job)


def _warn_of_lesions_outside(records: dict[str, dict]) -> None:
    """One line at the end, where it is read, if masks miss more than a tenth of their lesions."""
    names = [
        case_id
        for case_id, record in records.items()
        if record["row"].get("lesion_outside_mask_ml", 0.0)
        > MUCH_LESION_OUTSIDE * record["row"].get("lesion_volume_ml", 0.0)
    ]
    if names:
        logger.warning(
            "WARNING: in %d of %d cases more than %.0f %% of the lesion lies outside the brain "
            "mask, where the network sees nothing: %s. Look at them before training",
            len(names),
            len(records),
            100 * MUCH_LESION_OUTSIDE,
            name_some(names),
        )


def _convert_all(jobs: list[CaseJob], workers: int) -> tuple[dict[str, dict], list[Fault]]:
    try:
        records, errors = try_cases(
            convert_case, jobs, workers=workers, description="converting", tolerated=(ValueError,)
        )
    except WorkerKilledError as error:
        raise OSError(
            "a worker process was killed, most likely because the memory was full; "
            "use --workers 1 (finished cases are kept)"
        ) from error
    faults = [cast(Fault, error.args[0]) for error in errors]
    return {record["case_id"]: record for record in records}, sorted(faults)
