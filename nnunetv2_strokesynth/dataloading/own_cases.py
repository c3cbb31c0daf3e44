"""Preprocessed cases of our own: as nnU-Net makes them, but with another normalisation.

nnU-Net's planner cannot be told how to normalise. So a trainer may change the normalisation in its
own plans (``normalization.py``), which are stored with the model and which ``nnUNetv2_predict``
follows. The cases that go with these plans are made once, from the raw data set and by nnU-Net's
preprocessor, in a folder of their own beside the one that ``nnUNetv2_preprocess`` wrote.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import blosc2
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunetv2_strokesynth.dataloading.preprocessed_folders import RECORDS, without_own_suffix
from nnunetv2_strokesynth.dataloading.raw_cases import raw_cases
from nnunetv2_strokesynth.io.atomic import (
    ANOTHER_WRITES_S,
    TEMPORARY_PREFIX,
    flush_to_disk,
    holds_json,
    remove_leftovers,
    write_json,
)
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.process_pool import map_cases


class _Job(NamedTuple):
    """One case to be made; without a label its labels are 0, and -1 where no image has a value."""

    case_id: str
    images: tuple[str, ...]
    label: str | None
    folder: Path
    plans_manager: PlansManager
    configuration_manager: ConfigurationManager
    dataset_json: dict

    @property
    def files(self) -> list[Path]:
        """The files of which nnU-Net makes up a case."""
        names = (f"{self.case_id}.b2nd", f"{self.case_id}_seg.b2nd", f"{self.case_id}.pkl")
        return [self.folder / name for name in names]

    @property
    def record(self) -> Path:
        """The file that says what the case was made from. It is written last: the case is whole."""
        return self.folder / RECORDS / f"{self.case_id}.json"

    @property
    def made_from(self) -> dict:
        """What the case depends on. If it differs from the record, the case is made again."""
        sources = [os.stat(path) for path in (*self.images, self.label) if path is not None]
        configuration = self.configuration_manager.configuration
        return {
            "sources": [[stat.st_size, stat.st_mtime_ns] for stat in sources],
            "intensities": self.plans_manager.foreground_intensity_properties_per_channel,
            "transpose": list(self.plans_manager.transpose_forward),
            **{
                key: configuration[key]
                for key in ("normalization_schemes", "use_mask_for_norm", "spacing")
            },
        }

    def is_current(self) -> bool:
        """Whether the case was made from the files and plans that exist now."""
        complete = all(path.is_file() for path in self.files)
        return complete and holds_json(self.record, self.made_from)


def _make(job: _Job) -> None:
    """Preprocesses a case with nnU-Net in a temporary folder, then moves it to its place."""
    preprocessor = job.configuration_manager.preprocessor_class(verbose=False)
    made_from = job.made_from  # read first, so that a file exchanged meanwhile is noticed
    prefix = f"{TEMPORARY_PREFIX}{job.case_id}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=job.folder) as unfinished:
        made = [Path(unfinished) / path.name for path in job.files]
        try:
            preprocessor.run_case_save(
                str(Path(unfinished) / job.case_id),
                list(job.images),
                job.label,
                job.plans_manager,
                job.configuration_manager,
                job.dataset_json,
            )
            for path in made:
                if path.suffix == ".b2nd":
                    blosc2.open(str(path), mode="r")[:]  # a full disk may show only here
        except RuntimeError as error:  # SimpleITK's and blosc2's
            if shutil.disk_usage(job.folder).free < 2**20:
                raise OSError(errno.ENOSPC, "the disk is full", str(job.folder)) from error
            raise ValueError(f"{job.case_id}: cannot be preprocessed: {error}") from error
        job.record.unlink(missing_ok=True)
        for source, destination in zip(made, job.files, strict=True):
            flush_to_disk(source)
            os.replace(source, destination)
    write_json(job.record, made_from)


def prepare_cases(
    raw_folder: Path | None,
    folder: Path,
    plans_manager: PlansManager,
    configuration_manager: ConfigurationManager,
    dataset_json: dict,
    *,
    workers: int,
) -> int:
    """Makes the preprocessed cases of a configuration that are missing or out of date.

    Several trainings may do this at the same time: they make the same files, and each file of a
    case appears whole.

    Args:
        raw_folder: ``nnUNet_raw/DatasetNNN_*``. If it is None or a folder without images, the cases
            made earlier are used as they are. A case without all images and a label is not made.
        folder: ``nnUNet_preprocessed/DatasetNNN_*/<data_identifier>``.
        workers: processes.

    Returns:
        The number of cases made.

    Raises:
        FileNotFoundError: there is no raw data set, and a case is missing.
        ValueError: a case cannot be preprocessed; the message names it. Or the raw data set holds
            no case.
        OSError: the disk is full.
    """
    raw = raw_cases(raw_folder, dataset_json)
    if raw is None:
        _check_complete(folder, dataset_json["file_ending"])
        return 0
    shared = (folder, plans_manager, configuration_manager, dataset_json)
    jobs = [_Job(case_id, *files, *shared) for case_id, files in raw.complete.items()]
    return _make_missing(jobs, folder, workers=workers, description="own normalisation")


def prepare_unoutlined(
    images: Mapping[str, Sequence[str]],
    folder: Path,
    plans_manager: PlansManager,
    configuration_manager: ConfigurationManager,
    dataset_json: dict,
    *,
    workers: int,
) -> int:
    """Makes the preprocessed cases of scans that have no label; see ``prepare_cases``.

    Args:
        images: case id -> its files in the order of the channels.
        folder: where the cases are kept.
        workers: processes.

    Returns:
        The number of cases made.
    """
    shared = (folder, plans_manager, configuration_manager, dataset_json)
    jobs = [_Job(case_id, tuple(files), None, *shared) for case_id, files in images.items()]
    return _make_missing(jobs, folder, workers=workers, description="scans without an outline")


def _make_missing(jobs: Sequence[_Job], folder: Path, *, workers: int, description: str) -> int:
    """Makes the cases that are not there as they should be; returns how many."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder, ANOTHER_WRITES_S, and_folders=True)
    remove_leftovers(folder / RECORDS, ANOTHER_WRITES_S)
    missing = [job for job in jobs if not job.is_current()]
    if missing:
        map_cases(_make, missing, workers=workers, description=description)
    return len(missing)


def _check_complete(folder: Path, file_ending: str) -> None:
    labels = (folder.parent / "gt_segmentations").glob(f"*{file_ending}")
    wanted = sorted(path.name.removesuffix(file_ending) for path in labels)
    nnunets = folder.with_name(without_own_suffix(folder.name))
    if nnunets.is_dir():  # planning again removes a withdrawn case there, but not its label
        wanted = [name for name in wanted if (nnunets / f"{name}.pkl").is_file()]
    missing = [name for name in wanted if not (folder / RECORDS / f"{name}.json").is_file()]
    if missing or not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} lacks {len(missing)} of {len(wanted)} cases ({name_some(missing)}). A "
            "training makes them once from nnUNet_raw, which is not set or does not hold the "
            "images. Set nnUNet_raw, or copy the folder from a machine on which a training has "
            "made it."
        )
