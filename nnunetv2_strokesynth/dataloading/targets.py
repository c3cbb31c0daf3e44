"""DWI targets in nnU-Net's preprocessed space.

nnU-Net preprocesses images and labels. The DWI that the generator learns from lies beside them in
``targetsTr/`` and must end up on exactly the same voxels. So it goes through the steps that the
case went through, which are read from the case's ``.pkl`` and the plans: transpose, crop, resample.
The results lie in a sibling folder (``nnUNetPlans_2d_targets/`` beside ``nnUNetPlans_2d/``),
because nnU-Net takes every ``.b2nd`` file in a preprocessed folder for a case.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import blosc2
import numpy as np
from batchgenerators.utilities.file_and_folder_operations import load_pickle
from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape
from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from tqdm import tqdm

from nnunetv2_strokesynth.dataloading.dwi_scaling import scale_dwi
from nnunetv2_strokesynth.dataloading.preprocessed_folders import TARGETS_SUFFIX
from nnunetv2_strokesynth.io.atomic import (
    atomic_file,
    holds_json,
    remove_leftovers,
    write_json,
)

TARGETS_RAW_FOLDER = "targetsTr"
# A target takes seconds. A younger file may be one that another training is writing.
_LEFTOVER_AGE_S = 3600.0


def targets_folder(preprocessed_folder: str | Path) -> Path:
    """The folder of the targets of one preprocessed configuration."""
    folder = Path(preprocessed_folder)
    return folder.with_name(f"{folder.name}{TARGETS_SUFFIX}")


def spacings_mm(
    properties: dict, plans_manager: PlansManager, configuration_manager: ConfigurationManager
) -> tuple[list[float], list[float]]:
    """Voxel spacing of a case before and after nnU-Net's resampling, in its transposed axes."""
    before = [properties["spacing"][axis] for axis in plans_manager.transpose_forward]
    after = list(configuration_manager.spacing)
    if len(after) == 2:  # a 2-D configuration keeps the distance between slices
        after = [before[0], *after]
    return before, after


def preprocess_target(
    dwi: np.ndarray,
    properties: dict,
    plans_manager: PlansManager,
    configuration_manager: ConfigurationManager,
) -> np.ndarray:
    """Brings a raw DWI volume onto the voxels of its preprocessed case.

    Args:
        dwi: ``(Z, Y, X)`` as nnU-Net's reader returns it.
        properties: the case's ``.pkl``: spacing and the crop that was used.

    Returns:
        float32 ``(1, Z', Y', X')`` in [0, 1]. The whole volume is scaled before the crop, so that
        the scale does not depend on the crop. Overshoot of the cubic resampling is clipped.

    Raises:
        ValueError: the DWI's shape is not that of the case before cropping.
    """
    volume = scale_dwi(dwi).transpose(plans_manager.transpose_forward)[None]
    expected = tuple(properties["shape_before_cropping"])
    if volume.shape[1:] != expected:
        raise ValueError(
            f"DWI has shape {volume.shape[1:]}, the scan has {expected}. Convert the data set "
            f"again, or put a DWI that is registered to the CT into {TARGETS_RAW_FOLDER}."
        )
    crop = (slice(low, high) for low, high in properties["bbox_used_for_cropping"])
    inside = (slice(None), *crop)
    volume = volume[inside]
    old_spacing, new_spacing = spacings_mm(properties, plans_manager, configuration_manager)
    shape = compute_new_shape(volume.shape[1:], old_spacing, new_spacing)
    volume = configuration_manager.resampling_fn_data(volume, shape, old_spacing, new_spacing)
    return np.clip(np.asarray(volume, dtype=np.float32), 0.0, 1.0)


def _fingerprint(source: Path, properties: dict, spacing: Sequence[float]) -> dict:
    """What a target depends on. If it differs from the stored record, the target is made again."""
    stat = source.stat()
    return {
        "source_bytes": stat.st_size,
        "source_mtime_ns": stat.st_mtime_ns,
        "shape_before_cropping": [int(size) for size in properties["shape_before_cropping"]],
        "bbox": [[int(edge) for edge in edges] for edges in properties["bbox_used_for_cropping"]],
        "target_spacing_mm": [float(value) for value in spacing],
    }


def _store(volume: np.ndarray, path: Path, patch_size: Sequence[int]) -> None:
    blocks, chunks = comp_blosc2_params(volume.shape, tuple(patch_size), volume.itemsize)
    volume = np.ascontiguousarray(volume)
    with atomic_file(path) as temporary:
        try:
            blosc2.asarray(volume, urlpath=str(temporary), chunks=chunks, blocks=blocks)
            whole = np.array_equal(blosc2.open(str(temporary), mode="r")[:], volume)
        except RuntimeError as error:  # blosc2 does not say why
            raise OSError(
                errno.ENOSPC, f"cannot be written; is the disk full? ({error})", str(path)
            ) from error
        if not whole:
            raise OSError(errno.ENOSPC, "is not what was written; is the disk full?", str(path))


def prepare_targets(
    raw_folder: Path | None,
    preprocessed_folder: Path,
    case_ids: Sequence[str],
    plans_manager: PlansManager,
    configuration_manager: ConfigurationManager,
    file_ending: str,
) -> list[str]:
    """Makes the preprocessed DWI of every case that has one, unless it is up to date.

    Several trainings may do this at the same time: each file appears whole or not at all, and they
    write the same bytes.

    Args:
        raw_folder: ``targetsTr/`` of the raw data set; a case without a file there has no target,
            even if one was made earlier. If it is None, the targets made earlier are used as they
            are.
        preprocessed_folder: ``nnUNet_preprocessed/DatasetNNN_*/<data_identifier>``.
        case_ids: the cases to look for.
        file_ending: as in ``dataset.json``.

    Returns:
        The cases that have a target, in the given order.

    Raises:
        ValueError: a DWI does not fit its scan. The message names the case and the file.
        OSError: a target cannot be written, as on a full disk.
    """
    folder = targets_folder(preprocessed_folder)
    remove_leftovers(folder, _LEFTOVER_AGE_S)
    available = []
    reader = plans_manager.image_reader_writer_class()
    for case_id in tqdm(case_ids, desc="DWI targets", unit="case", disable=raw_folder is None):
        stored, record = folder / f"{case_id}.b2nd", folder / f"{case_id}.json"
        source = raw_folder / f"{case_id}{file_ending}" if raw_folder is not None else None
        if source is None or not source.is_file():
            if raw_folder is None and stored.is_file():
                available.append(case_id)
            continue
        properties = load_pickle(str(preprocessed_folder / f"{case_id}.pkl"))
        fingerprint = _fingerprint(source, properties, configuration_manager.spacing)
        if not (stored.is_file() and holds_json(record, fingerprint)):
            dwi = reader.read_images([str(source)])[0][0]
            if not np.isfinite(dwi).all():
                raise ValueError(
                    f"{case_id}: {source} holds NaN or infinite values; repair it or remove it "
                    f"from {TARGETS_RAW_FOLDER} to train that case without a DWI"
                )
            try:
                volume = preprocess_target(dwi, properties, plans_manager, configuration_manager)
            except ValueError as error:
                raise ValueError(f"{case_id}: {source}: {error}") from error
            _store(volume, stored, configuration_manager.patch_size)
            write_json(record, fingerprint)
        available.append(case_id)
    return available
