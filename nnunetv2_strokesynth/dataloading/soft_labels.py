"""Soft labels in nnU-Net's preprocessed space: how probable a lesion is in each voxel.

``strokesynth outline`` writes the readers' mean probability beside each label that it makes, into
``probabilitiesTr/``. It goes through the steps that the case went through, as a DWI target does
(``dataloading.beside_cases``), but is resampled linearly, as nnU-Net resamples probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunetv2_strokesynth.dataloading.beside_cases import (
    BesideCases,
    Source,
    made_earlier,
    on_case_voxels,
)
from nnunetv2_strokesynth.dataloading.preprocessed_folders import SOFT_LABELS_SUFFIX

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
    if raw_folder is None:
        return made_earlier(folder, case_ids)

    def preprocess(source: Source) -> np.ndarray:
        shared = (source.properties, plans_manager, configuration_manager)
        return preprocess_soft_label(source.volume, *shared)

    kind = BesideCases(raw_folder, preprocessed_folder, folder, plans_manager,
                       configuration_manager, file_ending, "soft labels")  # fmt: skip
    return kind.prepare(case_ids, preprocess)
