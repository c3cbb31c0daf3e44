"""Soft labels in nnU-Net's preprocessed space: how probable a lesion is in each voxel.

``strokesynth outline`` writes the readers' mean probability beside each label that it makes, into
``probabilitiesTr/``. It goes through the steps that the case went through, as a DWI target does
(``dataloading.targets``), but is resampled linearly, as nnU-Net resamples probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from batchgenerators.utilities.file_and_folder_operations import load_pickle
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunetv2_strokesynth.dataloading.preprocessed_folders import SOFT_LABELS_SUFFIX
from nnunetv2_strokesynth.dataloading.targets import (
    LEFTOVER_AGE_S,
    on_case_voxels,
    source_fingerprint,
    store_volume,
)
from nnunetv2_strokesynth.io.atomic import holds_json, remove_leftovers, write_json

PROBABILITIES_RAW_FOLDER = "probabilitiesTr"


def soft_labels_folder(preprocessed_folder: str | Path) -> Path:
    """The folder of the soft labels of one preprocessed configuration."""
    folder = Path(preprocessed_folder)
    return folder.with_name(f"{folder.name}{SOFT_LABELS_SUFFIX}")


def preprocess_soft_label(
    probability: np.ndarray,
    properties: dict,
    plans_manager: PlansManager,
    configuration_manager: ConfigurationManager,
) -> np.ndarray:
    """Brings a probability of lesion onto the voxels of its preprocessed case.

    Args:
        probability: ``(Z, Y, X)`` in [0, 1].
        properties: the case's ``.pkl``.

    Returns:
        float32 ``(1, Z', Y', X')`` in [0, 1].

    Raises:
        ValueError: the shape is not the scan's, or a value is not in [0, 1].
    """
    expected = tuple(properties["shape_before_cropping"])
    found = tuple(probability.shape[axis] for axis in plans_manager.transpose_forward)
    if found != expected:
        raise ValueError(f"it has shape {found}, the scan has {expected}")
    if not (probability.min() >= 0 and probability.max() <= 1):  # NaN fails, too
        raise ValueError(
            f"its values run from {probability.min():g} to {probability.max():g}, expected "
            "probabilities from 0 to 1"
        )
    volume = on_case_voxels(
        probability.astype(np.float32),
        properties,
        plans_manager,
        configuration_manager,
        resample=configuration_manager.resampling_fn_probabilities,
    )
    return np.clip(volume, 0, 1)


def prepare_soft_labels(
    raw_folder: Path | None,
    preprocessed_folder: Path,
    case_ids: Sequence[str],
    plans_manager: PlansManager,
    configuration_manager: ConfigurationManager,
    file_ending: str,
) -> list[str]:
    """Makes the preprocessed soft labels of every case that has them, unless up to date.

    Args:
        raw_folder: ``probabilitiesTr/`` of the raw data set. If it is None, those made earlier are
            used as they are.
        preprocessed_folder: ``nnUNet_preprocessed/DatasetNNN_*/<data_identifier>``.
        case_ids: the cases to look for.
        file_ending: as in ``dataset.json``.

    Returns:
        The cases that have soft labels, in the given order.

    Raises:
        ValueError: a volume does not fit its scan or is no probability.
        OSError: a file cannot be written.
    """
    folder = soft_labels_folder(preprocessed_folder)
    remove_leftovers(folder, LEFTOVER_AGE_S)
    if raw_folder is None:
        return [case_id for case_id in case_ids if (folder / f"{case_id}.b2nd").is_file()]
    available = []
    for case_id in case_ids:
        source = raw_folder / f"{case_id}{file_ending}"
        if not source.is_file():
            continue
        available.append(case_id)
        stored, record = folder / f"{case_id}.b2nd", folder / f"{case_id}.json"
        properties = load_pickle(str(preprocessed_folder / f"{case_id}.pkl"))
        fingerprint = source_fingerprint(source, properties, configuration_manager.spacing)
        if stored.is_file() and holds_json(record, fingerprint):
            continue
        reader = plans_manager.image_reader_writer_class()
        probability = reader.read_images([str(source)])[0][0]
        try:
            volume = preprocess_soft_label(
                probability, properties, plans_manager, configuration_manager
            )
        except ValueError as error:
            raise ValueError(f"{case_id}: {source}: {error}") from error
        store_volume(volume, stored, configuration_manager.patch_size)
        write_json(record, fingerprint)
    return available
