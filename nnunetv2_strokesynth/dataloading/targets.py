"""DWI targets in nnU-Net's preprocessed space.

The DWI that the generator learns from lies beside the images in ``targetsTr/`` and must end up on
exactly the same voxels (``dataloading.beside_cases``). The results lie in a sibling folder
(``nnUNetPlans_2d_targets/`` beside ``nnUNetPlans_2d/``). Each scale of ``dwi_scaling`` has a folder
of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from nnunetv2.imageio.base_reader_writer import BaseReaderWriter
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunetv2_strokesynth.dataloading.beside_cases import (
    BesideCases,
    Source,
    made_earlier,
    on_case_voxels,
)
from nnunetv2_strokesynth.dataloading.dwi_scaling import BRAIN, PAPER, SCALE_VERSION, scale_dwi
from nnunetv2_strokesynth.dataloading.preprocessed_folders import (
    BRAIN_TARGETS_SUFFIX,
    TARGETS_SUFFIX,
)
from nnunetv2_strokesynth.io.nnunet_reader import read_channels

TARGETS_RAW_FOLDER = "targetsTr"
_SUFFIXES = {PAPER: TARGETS_SUFFIX, BRAIN: BRAIN_TARGETS_SUFFIX}


def targets_folder(preprocessed_folder: str | Path, scale: str = PAPER) -> Path:
    """The folder of the targets of one preprocessed configuration on one scale."""
    folder = Path(preprocessed_folder)
    return folder.with_name(f"{folder.name}{_SUFFIXES[scale]}")


def preprocess_target(
    dwi: np.ndarray,
    properties: dict,
    plans_manager: PlansManager,
    configuration_manager: ConfigurationManager,
    *,
    scale: str = PAPER,
    brain: np.ndarray | None = None,
) -> np.ndarray:
    """Brings a raw DWI volume onto the voxels of its preprocessed case.

    Args:
        dwi: ``(Z, Y, X)`` as nnU-Net's reader returns it.
        properties: the case's ``.pkl``: spacing and the crop that was used.
        scale: one of ``dwi_scaling.SCALES``.
        brain: bool ``(Z, Y, X)`` or None, for ``brain``.

    Returns:
        float32 ``(1, Z', Y', X')`` on the scale. The whole volume is scaled before the crop, so
        that the scale does not depend on the crop. Overshoot of the cubic resampling is clipped to
        the volume's own range.

    Raises:
        ValueError: the DWI's shape is not that of the case before cropping, or it holds values that
            are no numbers.
    """
    if not np.isfinite(dwi).all():
        raise ValueError(
            "it holds NaN or infinite values; repair it or remove it to train that case without a "
            "DWI"
        )
    expected = tuple(properties["shape_before_cropping"])
    found = tuple(dwi.shape[axis] for axis in plans_manager.transpose_forward)
    if found != expected:
        raise ValueError(
            f"DWI has shape {found}, the scan has {expected}. Convert the data set "
            f"again, or put a DWI that is registered to the CT into {TARGETS_RAW_FOLDER}."
        )
    scaled = scale_dwi(dwi, scale, brain)
    resample = configuration_manager.resampling_fn_data
    volume = on_case_voxels(
        scaled, properties, plans_manager, configuration_manager, resample=resample
    )
    return np.clip(volume, scaled.min(), scaled.max())


def prepare_targets(
    raw_folder: Path | None,
    preprocessed_folder: Path,
    case_ids: Sequence[str],
    plans_manager: PlansManager,
    configuration_manager: ConfigurationManager,
    file_ending: str,
    *,
    scale: str = PAPER,
    maps: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """Makes the preprocessed DWI of every case that has one, unless it is up to date.

    Args:
        raw_folder: ``targetsTr/`` of the raw data set; a case without a file there has no target,
            even if one was made earlier. If it is None, the targets made earlier are used as they
            are.
        preprocessed_folder: ``nnUNet_preprocessed/DatasetNNN_*/<data_identifier>``.
        case_ids: the cases to look for.
        file_ending: as in ``dataset.json``.
        scale: one of ``dwi_scaling.SCALES``.
        maps: case -> the raw files of its perfusion maps, which show the brain for ``brain``. The
            DWI alone is asked where there are none.

    Returns:
        The cases that have a target, in the given order.

    Raises:
        ValueError: a DWI does not fit its scan; or the raw data set is not at hand and a target
            made earlier is on another scale. The message names the case and the file.
        OSError: a target cannot be written, as on a full disk.
    """
    folder = targets_folder(preprocessed_folder, scale)
    if raw_folder is None:
        return _of_this_scale(folder, made_earlier(folder, case_ids), scale)
    brain_maps = (maps or {}) if scale == BRAIN else {}

    def preprocess(source: Source) -> np.ndarray:
        brain = _brain_of_maps(source.reader, brain_maps.get(source.case_id, ()))
        shared = (source.volume, source.properties, plans_manager, configuration_manager)
        return preprocess_target(*shared, scale=scale, brain=brain)

    def made_from(case_id: str) -> dict[str, object]:
        stats = [Path(path).stat() for path in brain_maps.get(case_id, ())]
        shown = [[stat.st_size, stat.st_mtime_ns] for stat in stats]
        return {**_scale_record(scale), "maps": shown}

    kind = BesideCases(raw_folder, preprocessed_folder, folder, plans_manager,
                       configuration_manager, file_ending, "DWI targets")  # fmt: skip
    return kind.prepare(case_ids, preprocess, made_from)


def _of_this_scale(folder: Path, available: list[str], scale: str) -> list[str]:
    """The targets made earlier. Raises ``ValueError`` if one is on another scale."""
    for case_id in available:
        if not _has_scale(folder / f"{case_id}.json", scale):
            raise ValueError(
                f"{case_id}: the target in {folder} was made by another version, on another scale "
                f"than '{scale}' (version {SCALE_VERSION}). Set nnUNet_raw, so that it is made "
                "again, or copy the folder from a machine on which this version has made it"
            )
    return available


def _scale_record(scale: str) -> dict[str, object]:
    return {"scale": scale, "scale_version": SCALE_VERSION}


def _has_scale(record: Path, scale: str) -> bool:
    """Whether a record says that its target is on this scale, in this version of it."""
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        return _scale_record(scale).items() <= content.items()
    except (OSError, ValueError, RecursionError, AttributeError):
        return False


def _brain_of_maps(reader: BaseReaderWriter, maps: Sequence[str]) -> np.ndarray | None:
    """Where any perfusion map is not 0, bool ``(Z, Y, X)``; None without maps."""
    if not maps:
        return None
    images, _ = read_channels(reader, maps)
    return np.any(np.nan_to_num(images) != 0, axis=0)
