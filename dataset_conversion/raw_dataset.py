"""Writes ``nnUNet_raw/DatasetNNN_NAME``, the folder that nnU-Net's commands start from.

``imagesTr labelsTr targetsTr imagesTs [labelsTs targetsTs]``, ``dataset.json``,
``splits_final.json``, ``conversion_report.csv``, and ``conversion/`` with a record per finished
case, by which a run that was cut off goes on. ``targetsTr`` holds the DWI as measured, where there
is one and it is no input channel; nnU-Net ignores that folder.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nnunetv2.paths import nnUNet_preprocessed, nnUNet_raw, nnUNet_results
from tqdm import tqdm

from nnunetv2_strokesynth.channels import (
    PRESETS,
    numbered,
)
from nnunetv2_strokesynth.dataset_conversion.job import (
    RECORDS,
    CaseJob,
    convert_case,
    finished_record,
    further_settings,
)
from nnunetv2_strokesynth.dataset_conversion.report import write_report
from nnunetv2_strokesynth.dataset_conversion.scans import (
    TRAIN,
    Scan,
    raise_problems,
)
from nnunetv2_strokesynth.dataset_conversion.splits import (
    nnunet_splits,
    paper_split,
    patient_folds,
)
from nnunetv2_strokesynth.io.atomic import (
    TEMPORARY_PREFIX,
    remove_leftovers,
    write_json,
)
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.process_pool import WorkerKilledError, try_cases

logger = logging.getLogger(__name__)

DESCRIPTION_FILE = "dataset.json"
SPLITS_FILE = "splits_final.json"
REPORT_FILE = "conversion_report.csv"
_SETTINGS_FILE = f"{RECORDS}/settings.json"


@dataclass(frozen=True)
class Settings:
    """How a data set is written: what a second run into the same folder must agree on.

    Attributes:
        preset: a key of ``PRESETS``.
        brain_mask: whether everything outside the brain becomes 0.
        folds: of patients.
        seed: of the folds.
        channels: the preset's channels that are written, in its order; None for a kind of data
            set that always has all of them.
        downsample: so many pixels along x and along y become one.
        compute_maps: whether perfusion maps are computed where a scan has none.
        frame_s: time between frames for that; None: as the header says.
    """

    preset: str
    brain_mask: bool
    folds: int
    seed: int
    channels: tuple[str, ...] | None = None
    downsample: int = 1
    compute_maps: bool = False
    frame_s: float | None = None

    @property
    def channel_names(self) -> dict[str, str]:
        """``channel_names`` of ``dataset.json``."""
        return numbered(self.channels or PRESETS[self.preset].names)

    @property
    def stored(self) -> dict[str, object]:
        """What is kept in the data set's folder, as JSON gives it back."""
        usual = ("preset", "brain_mask", "folds", "seed")
        further = further_settings(
            self.channels, self.downsample, self.compute_maps, frame_s=self.frame_s
        )
        return {name: getattr(self, name) for name in usual} | further


def dataset_folder(dataset_id: int, name: str) -> Path:
    """The data set's folder in ``nnUNet_raw``.

    Raises:
        ValueError: ``nnUNet_raw`` is not set, the id or name cannot be used, or another data set
        has the id.
    """
    raw = nnUNet_raw.get()
    if not raw:
        raise ValueError(
            "the environment variable nnUNet_raw is not set; "
            "export nnUNet_raw=/path/to/nnUNet_raw, where nnU-Net looks for data sets"
        )
    if not 1 <= dataset_id <= 999:
        raise ValueError(f"-d {dataset_id}: expected a number from 1 to 999")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"--name '{name}': expected letters, digits, _ and - only")
    folder = f"Dataset{dataset_id:03d}_{name}"
    for variable in (nnUNet_raw, nnUNet_preprocessed, nnUNet_results):
        root = Path(variable.get() or raw)
        for other in sorted(root.glob(f"Dataset{dataset_id:03d}*")):
            if other.is_dir() and other.name != folder:
                raise ValueError(
                    f"{other} has the id {dataset_id} already, and nnU-Net allows one name per id; "
                    "choose another -d, or give that name with --name"
                )
    return Path(raw) / folder


def prepare_folder(
    folder: Path, scans: list[Scan], settings: Settings, *, overwrite: bool = False
) -> None:
    """Make the folder ready for ``scans``: new, or left by an earlier run with the same settings.

    Raises:
        ValueError: the folder holds something else and ``overwrite`` is off, or was not written by
        us.
    """
    settings_path = folder / _SETTINGS_FILE
    if folder.exists() and _holds_files(folder):
        if not settings_path.is_file():
            raise ValueError(
                f"{folder} exists and was not written by this command; "
                "remove it, or choose another -d"
            )
        if overwrite:
            _remove_data_set(folder)
        else:
            _check_same(folder, scans, settings)
    for inner in (folder, *folder.glob("*/")):
        remove_leftovers(inner)  # in imagesTr nnU-Net would take one for a case
    write_json(settings_path, settings.stored)


def convert_cases(
    folder: Path,
    scans: list[Scan],
    settings: Settings,
    *,
    convert: Callable[[CaseJob], dict],
    workers: int = 1,
) -> dict[str, dict]:
    """Convert the scans that are not complete yet, several at a time, with a progress bar.

    A scan that cannot be used does not stop the others; a second run then has only that one to do.

    Returns:
        case id -> record, see ``convert_case``, in the order of ``scans``.

    Raises:
        ValueError: some scans cannot be used; the message shows the first few.
        OSError: a file cannot be read or written, or a worker was killed.
    """
    jobs = [
        CaseJob(
            scan,
            folder,
            settings.preset,
            settings.brain_mask,
            convert,
            channels=settings.channels,
            downsample=settings.downsample,
            compute_maps=settings.compute_maps,
            frame_s=settings.frame_s,
        )
        for scan in scans
    ]
    records = {job.scan.case_id: finished_record(job) for job in jobs}
    todo = [job for job in jobs if records[job.scan.case_id] is None]
    if todo:
        # Written last: with it gone, nnU-Net does not start from what is half converted.
        (folder / DESCRIPTION_FILE).unlink(missing_ok=True)
        records |= _convert_all(todo, workers)
    done = len(jobs) - len(todo)
    if done == len(jobs):
        logger.info("all %d cases are up to date", done)
    elif done:
        logger.info("%d of %d cases were up to date", done, len(jobs))
    for record in records.values():
        for warning in record["warnings"]:
            logger.warning("warning: %s", warning)
    return records


def write_dataset_files(
    folder: Path,
    scans: list[Scan],
    settings: Settings,
    *,
    records: dict[str, dict],
    patients: dict[str, str],
    description: dict[str, str],
    with_paper_split: bool,
) -> dict[str, list[str]]:
    """Write ``splits_final.json``, ``conversion_report.csv`` and, last, ``dataset.json``.

    ``splits_final.json`` holds the folds and after them, as one more fold where it is wanted, the
    paper's split; its ``test`` cases are a key that nnU-Net does not read.

    Returns:
        The paper's split, see ``paper_split``; empty where it is not written.
    """
    train = [scan.case_id for scan in scans if scan.split == TRAIN]
    folds: dict[str, int] = {}
    paper: dict[str, list[str]] = {}
    if train:
        volumes = {case_id: records[case_id]["row"]["lesion_volume_ml"] for case_id in train}
        folds = patient_folds(volumes, patients, settings.folds, settings.seed)
        if with_paper_split:
            paper = paper_split(volumes, patients, settings.seed)
        splits = nnunet_splits(folds, settings.folds) + ([paper] if paper else [])
        _write_splits(folder / SPLITS_FILE, splits)
    (folder / "imagesTr").mkdir(exist_ok=True)
    (folder / "labelsTr").mkdir(exist_ok=True)
    write_report(
        folder / REPORT_FILE,
        scans,
        records=records,
        patients=patients,
        folds=folds,
        paper=paper,
    )
    content = {
        "name": folder.name.split("_", 1)[1],
        **description,
        "channel_names": settings.channel_names,
        "labels": {"background": 0, "lesion": 1},
        "numTraining": len(train),
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIO",
        "preset": settings.preset,
        "brain_mask": settings.brain_mask,
    }
    write_json(folder / DESCRIPTION_FILE, content)
    return paper


def write_plots(folder: Path, records: dict[str, dict]) -> None:
    """Write ``curves/<case>.png`` for every case."""
    # Here, because matplotlib takes longer to import than everything else, and few ask for plots.
    from nnunetv2_strokesynth.reporting.curve_plots import plot_curve

    for case_id, record in tqdm(records.items(), desc="curves", unit="plot"):
        row = record["row"]
        window = (row["t_start"], row["t_end"], row["window_rule"])
        path = folder / "curves" / f"{case_id}.png"
        plot_curve(path, case_id, np.array(record["curve"]), window=window)


def _holds_files(folder: Path) -> bool:
    """Whether a folder holds more than empty folders and what a killed process left."""
    found = (path for path in folder.rglob("*") if not path.is_dir())
    return any(not path.name.startswith(TEMPORARY_PREFIX) for path in found)


def _remove_data_set(folder: Path) -> None:
    """Remove what this command wrote, its mark last: a run that is killed here can be repeated."""
    (folder / DESCRIPTION_FILE).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink() and path.name != RECORDS:
            shutil.rmtree(path)
    shutil.rmtree(folder)


def _check_same(folder: Path, scans: list[Scan], settings: Settings) -> None:
    stored, wanted = _read_json(folder / _SETTINGS_FILE), settings.stored
    stored = stored if isinstance(stored, dict) else {}
    if stored != wanted:
        keys = [key for key in {**wanted, **stored} if stored.get(key) != wanted.get(key)]
        differences = ", ".join(f"{key} {stored.get(key)}, now {wanted.get(key)}" for key in keys)
        raise ValueError(
            f"{folder} was converted with other settings ({differences}); "
            "add --overwrite to convert it anew, or choose another -d"
        )
    known = {path.stem for path in (folder / RECORDS).glob("[!.]*_[0-9]*.json")}
    gone = sorted(known - {scan.case_id for scan in scans})
    if gone:
        raise ValueError(
            f"{folder} holds {len(gone)} cases that are not among the scans, "
            f"{name_some(gone)}; add --overwrite to convert it anew, or choose another -d"
        )


def _convert_all(jobs: list[CaseJob], workers: int) -> dict[str, dict]:
    try:
        records, errors = try_cases(
            convert_case, jobs, workers=workers, description="converting", tolerated=(ValueError,)
        )
    except WorkerKilledError as error:
        raise OSError(
            "a worker process was killed, most likely because the memory was full; "
            "use --workers 1 (finished cases are kept)"
        ) from error
    raise_problems(sorted(str(error) for error in errors))
    return {record["case_id"]: record for record in records}


def _write_splits(path: Path, splits: list[dict[str, list[str]]]) -> None:
    if path.is_file() and _read_json(path) != splits:
        logger.warning(
            "warning: %s has changed, because scans, patients or this package have. If nnU-Net "
            "has planned this data set, delete its copy in nnUNet_preprocessed and train again",
            path,
        )
    write_json(path, splits)


def _read_json(path: Path) -> object:
    """The content of a JSON file, None where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
