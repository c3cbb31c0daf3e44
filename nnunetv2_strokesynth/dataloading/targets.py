"""DWI targets in nnU-Net's preprocessed space.

nnU-Net preprocesses images and labels. The DWI that the generator learns from lies beside them in
``targetsTr/`` and must end up on exactly the same voxels. So it goes through the steps that the
case went through, which are read from the case's ``.pkl`` and the plans: transpose, crop, resample.
The results lie in a sibling folder (``nnUNetPlans_2d_targets/`` beside ``nnUNetPlans_2d/``),
because nnU-Net takes every ``.b2nd`` file in a preprocessed folder for a case. Each scale of
``dwi_scaling`` has a folder of its own.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import blosc2
import numpy as np
import torch
from batchgenerators.utilities.file_and_folder_operations import load_pickle
from nnunetv2.imageio.base_reader_writer import BaseReaderWriter
from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape
from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunetv2_strokesynth.dataloading.dwi_scaling import BRAIN, PAPER, SCALE_VERSION, scale_dwi
from nnunetv2_strokesynth.dataloading.preprocessed_folders import (
    BRAIN_TARGETS_SUFFIX,
    TARGETS_SUFFIX,
)
from nnunetv2_strokesynth.io.atomic import (
    atomic_file,
    holds_json,
    remove_leftovers,
    write_json,
)
from nnunetv2_strokesynth.io.progress import progress

TARGETS_RAW_FOLDER = "targetsTr"
# A target takes seconds. A younger file may be one that another training is writing.
LEFTOVER_AGE_S = 3600.0
_SUFFIXES = {PAPER: TARGETS_SUFFIX, BRAIN: BRAIN_TARGETS_SUFFIX}


def targets_folder(preprocessed_folder: str | Path, scale: str = PAPER) -> Path:
    """The folder of the targets of one preprocessed configuration on one scale."""
    folder = Path(preprocessed_folder)
    return folder.with_name(f"{folder.name}{_SUFFIXES[scale]}")


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
        ValueError: the DWI's shape is not that of the case before cropping.
    """
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


def on_case_voxels(
    volume: np.ndarray,
    properties: dict,
    plans_manager: PlansManager,
    configuration_manager: ConfigurationManager,
    *,
    resample: Callable[..., np.ndarray | torch.Tensor],
) -> np.ndarray:
    """A raw volume on the voxels of its preprocessed case: transposed, cropped, resampled.

    Args:
        volume: ``(Z, Y, X)``, float, of the case's shape before cropping.
        properties: the case's ``.pkl``.
        resample: one of the functions of nnU-Net's configuration.

    Returns:
        float32 ``(1, Z', Y', X')``.
    """
    crop = (slice(low, high) for low, high in properties["bbox_used_for_cropping"])
    inside = (slice(None), *crop)
    cropped = volume.transpose(plans_manager.transpose_forward)[None][inside]
    old_spacing, new_spacing = spacings_mm(properties, plans_manager, configuration_manager)
    shape = compute_new_shape(cropped.shape[1:], old_spacing, new_spacing)
    return np.asarray(resample(cropped, shape, old_spacing, new_spacing), dtype=np.float32)


def source_fingerprint(source: Path, properties: dict, spacing: Sequence[float]) -> dict:
    """What a volume beside a case depends on. If it differs from the record, it is made again."""
    stat = source.stat()
    return {
        "source_bytes": stat.st_size,
        "source_mtime_ns": stat.st_mtime_ns,
        "shape_before_cropping": [int(size) for size in properties["shape_before_cropping"]],
        "bbox": [[int(edge) for edge in edges] for edges in properties["bbox_used_for_cropping"]],
        "target_spacing_mm": [float(value) for value in spacing],
    }


def _fingerprint(
    source: Path,
    properties: dict,
    spacing: Sequence[float],
    *,
    scale: str,
    maps: Sequence[str],
) -> dict:
    return {
        **_scale_record(scale),
        "maps": [[Path(path).stat().st_size, Path(path).stat().st_mtime_ns] for path in maps],
        **source_fingerprint(source, properties, spacing),
    }


def _scale_record(scale: str) -> dict:
    return {"scale": scale, "scale_version": SCALE_VERSION}


def _has_scale(record: Path, scale: str) -> bool:
    """Whether a record says that its target is on this scale, in this version of it."""
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        return _scale_record(scale).items() <= content.items()
    except (OSError, ValueError, AttributeError):
        return False


def _brain_of_maps(reader: BaseReaderWriter, maps: Sequence[str]) -> np.ndarray | None:
    """Where any perfusion map is not 0, bool ``(Z, Y, X)``; None without maps."""
    if not maps:
        return None
    images, _ = reader.read_images(list(maps))
    return np.any(np.nan_to_num(images) != 0, axis=0)


def store_volume(volume: np.ndarray, path: Path, patch_size: Sequence[int]) -> None:
    """Write ``(1, Z, Y, X)`` as nnU-Net stores images. Raises ``OSError`` if it cannot."""
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
    *,
    scale: str = PAPER,
    maps: Mapping[str, Sequence[str]] | None = None,
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
    remove_leftovers(folder, LEFTOVER_AGE_S)
    if raw_folder is None:
        return _made_earlier(folder, case_ids, scale)
    maker = _TargetMaker(preprocessed_folder, folder, plans_manager, configuration_manager, scale)
    available = []
    for case_id in progress(case_ids, desc="DWI targets", unit="case"):
        source = raw_folder / f"{case_id}{file_ending}"
        if source.is_file():
            maker.make(case_id, source, (maps or {}).get(case_id, ()) if scale == BRAIN else ())
            available.append(case_id)
    return available


def _made_earlier(folder: Path, case_ids: Sequence[str], scale: str) -> list[str]:
    """The cases with a target, where the raw data set is not at hand to make it anew."""
    available = [case_id for case_id in case_ids if (folder / f"{case_id}.b2nd").is_file()]
    for case_id in available:
        if not _has_scale(folder / f"{case_id}.json", scale):
            raise ValueError(
                f"{case_id}: the target in {folder} was made by another version, on another scale "
                f"than '{scale}' (version {SCALE_VERSION}). Set nnUNet_raw, so that it is made "
                "again, or copy the folder from a machine on which this version has made it"
            )
    return available


class _TargetMaker(NamedTuple):
    """Makes the targets of one configuration on one scale."""

    preprocessed_folder: Path
    folder: Path
    plans_manager: PlansManager
    configuration_manager: ConfigurationManager
    scale: str

    def make(self, case_id: str, source: Path, maps: Sequence[str]) -> None:
        """Makes one target unless it is up to date."""
        stored, record = self.folder / f"{case_id}.b2nd", self.folder / f"{case_id}.json"
        properties = load_pickle(str(self.preprocessed_folder / f"{case_id}.pkl"))
        spacing = self.configuration_manager.spacing
        fingerprint = _fingerprint(source, properties, spacing, scale=self.scale, maps=maps)
        if stored.is_file() and holds_json(record, fingerprint):
            return
        reader = self.plans_manager.image_reader_writer_class()
        dwi = reader.read_images([str(source)])[0][0]
        if not np.isfinite(dwi).all():
            raise ValueError(
                f"{case_id}: {source} holds NaN or infinite values; repair it or remove it "
                f"from {TARGETS_RAW_FOLDER} to train that case without a DWI"
            )
        try:
            volume = preprocess_target(
                dwi,
                properties,
                self.plans_manager,
                self.configuration_manager,
                scale=self.scale,
                brain=_brain_of_maps(reader, maps),
            )
        except ValueError as error:
            raise ValueError(f"{case_id}: {source}: {error}") from error
        store_volume(volume, stored, self.configuration_manager.patch_size)
        write_json(record, fingerprint)
