"""Preprocessed cases whose channels keep their physical units.

nnU-Net z-scores every channel that is not named ``CT``, scan by scan. A Tmax of 6 s and one of 12 s
then look alike if the rest of the scan differs, and each CTP frame loses its level against the
others. Plans can say otherwise, but nnU-Net's planner cannot be told. So a trainer that wants
seconds and HU changes the normalisation in its own plans (they are stored with the model, and
``nnUNetv2_predict`` goes by them), and makes the cases that go with it once: by nnU-Net's
preprocessor, from the raw data set, into a folder of their own beside the one that
``nnUNetv2_preprocess`` wrote.
"""

from __future__ import annotations

import copy
import errno
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import blosc2
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

from nnunetv2_strokesynth.channels import has_fixed_unit
from nnunetv2_strokesynth.io.atomic import (
    TEMPORARY_PREFIX,
    holds_json,
    remove_leftovers,
    write_json,
)
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.process_pool import map_cases

SUFFIX = "_physical"
# A subfolder: nnU-Net tells the kind of a folder's cases by the endings of all files in it.
RECORDS = "made_from"
_LEFTOVER_AGE_S = 3600.0  # another training may be making a case that is younger


def with_physical_units(plans: dict, configuration: str, names: Sequence[str]) -> dict:
    """The plans with one configuration in which HU and seconds are normalised as nnU-Net's CT.

    That is: clipped to the 0.5th and 99.5th percentile of all lesion voxels of the data set, minus
    their mean, over their standard deviation. Channels without a physical unit are z-scored as
    before.

    Args:
        plans: nnU-Net's plans; left unchanged.
        configuration: e.g. ``2d``.
        names: the channels. Where the plans have another number of them, they come back as they
            are, since the data set does not fit the trainer.
    """
    planned = PlansManager(plans).get_configuration(configuration)
    if len(planned.normalization_schemes) != len(names):
        return plans
    plans = copy.deepcopy(plans)
    own = plans["configurations"][configuration]
    own["data_identifier"] = planned.data_identifier.removesuffix(SUFFIX) + SUFFIX
    physical = [has_fixed_unit(name) for name in names]
    own["normalization_schemes"] = [
        "CTNormalization" if keeps else scheme
        for keeps, scheme in zip(physical, planned.normalization_schemes, strict=True)
    ]
    own["use_mask_for_norm"] = [
        masked and not keeps
        for keeps, masked in zip(physical, planned.use_mask_for_norm, strict=True)
    ]
    return plans


class _Job(NamedTuple):
    """One case to be made."""

    case_id: str
    images: tuple[str, ...]
    label: str
    folder: Path
    plans_manager: PlansManager
    configuration_manager: ConfigurationManager
    dataset_json: dict

    @property
    def files(self) -> list[Path]:
        """What a case consists of for nnU-Net."""
        names = (f"{self.case_id}.b2nd", f"{self.case_id}_seg.b2nd", f"{self.case_id}.pkl")
        return [self.folder / name for name in names]

    @property
    def record(self) -> Path:
        """What a case was made from; written last, so that it says that the case is complete."""
        return self.folder / RECORDS / f"{self.case_id}.json"

    @property
    def made_from(self) -> dict:
        """What the case depends on; a difference means that it must be made again."""
        sources = [os.stat(path) for path in (*self.images, self.label)]
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
        """Whether it was made from the files and plans that there are now."""
        complete = all(path.is_file() for path in self.files)
        return complete and holds_json(self.record, self.made_from)


def _make(job: _Job) -> None:
    """Preprocess a case by nnU-Net in a folder of its own, then move it to its place."""
    preprocessor = job.configuration_manager.preprocessor_class(verbose=False)
    made_from = job.made_from  # before: a file that is exchanged meanwhile must be noticed
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
    """Make the preprocessed cases of a configuration that are missing or out of date.

    Several trainings may do this at the same time: all of them would make the same files, and a
    case's files appear one by one, each of them whole.

    Args:
        raw_folder: ``nnUNet_raw/DatasetNNN_*``; None, or a folder without images, where it is not
            at hand: the cases made earlier are then used as they are.
        folder: ``nnUNet_preprocessed/DatasetNNN_*/<data_identifier>``.
        workers: processes.

    Returns:
        How many were made.

    Raises:
        FileNotFoundError: there is no raw data set, and a case is missing.
        ValueError: a case cannot be preprocessed; names it.
        OSError: the disk is full.
    """
    if raw_folder is None or not (raw_folder / "imagesTr").is_dir():
        _check_complete(folder, dataset_json["file_ending"])
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder, _LEFTOVER_AGE_S, and_folders=True)
    remove_leftovers(folder / RECORDS, _LEFTOVER_AGE_S)
    cases = get_filenames_of_train_images_and_targets(str(raw_folder), copy.deepcopy(dataset_json))
    shared = (folder, plans_manager, configuration_manager, dataset_json)
    jobs = [
        _Job(case_id, tuple(files["images"]), files["label"], *shared)
        for case_id, files in cases.items()
    ]
    missing = [job for job in jobs if not job.is_current()]
    if missing:
        map_cases(_make, missing, workers=workers, description="physical units")
    return len(missing)


def _check_complete(folder: Path, file_ending: str) -> None:
    labels = (folder.parent / "gt_segmentations").glob(f"*{file_ending}")
    wanted = sorted(path.name.removesuffix(file_ending) for path in labels)
    missing = [name for name in wanted if not (folder / RECORDS / f"{name}.json").is_file()]
    if missing or not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} lacks {len(missing)} of {len(wanted)} cases ({name_some(missing)}), and "
            "nnUNet_raw, from which a training makes them once, is not set or does not hold its "
            "images. Set nnUNet_raw, or copy the folder from where a training has made it"
        )
