"""Volumes that lie beside nnU-Net's preprocessed cases, on exactly the same voxels.

nnU-Net preprocesses images and labels. What else a training reads of a case, a DWI target or soft
labels, goes through the steps that the case went through, which are read from the case's ``.pkl``
and the plans: transpose, crop, resample. Each kind lies in a sibling folder, because nnU-Net takes
every ``.b2nd`` file in a preprocessed folder for a case. A record beside each volume says what it
was made from.
"""

from __future__ import annotations

import errno
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

from nnunetv2_strokesynth.io.atomic import (
    ANOTHER_WRITES_S,
    atomic_file,
    holds_json,
    remove_leftovers,
    write_json,
)
from nnunetv2_strokesynth.io.nnunet_reader import read_channels
from nnunetv2_strokesynth.io.progress import progress


class Source(NamedTuple):
    """One raw volume and the case that it belongs to.

    Attributes:
        case_id: of the case.
        volume: ``(Z, Y, X)`` as nnU-Net's reader returns it.
        properties: the case's ``.pkl``.
        reader: nnU-Net's reader.
    """

    case_id: str
    volume: np.ndarray
    properties: dict
    reader: BaseReaderWriter


class BesideCases(NamedTuple):
    """One kind of volumes beside the cases of one configuration.

    Attributes:
        raw: holds ``<case_id><file_ending>``. A case without a file there has no volume, even if
            one was made earlier.
        preprocessed: the cases, ``nnUNet_preprocessed/DatasetNNN_*/<data_identifier>``.
        folder: where the volumes are kept.
        name: of the kind, for the progress bar.
    """

    raw: Path
    preprocessed: Path
    folder: Path
    plans_manager: PlansManager
    configuration_manager: ConfigurationManager
    file_ending: str
    name: str

    def prepare(
        self,
        case_ids: Sequence[str],
        preprocess: Callable[[Source], np.ndarray],
        made_from: Callable[[str], Mapping[str, object]] = lambda case_id: {},  # noqa: ARG005
    ) -> list[str]:
        """Makes the volume of every case that has a source, unless it is up to date.

        Several trainings may do this at the same time: each file appears whole or not at all, and
        they write the same bytes.

        Args:
            case_ids: the cases to look for.
            preprocess: gives float32 ``(1, Z', Y', X')``, on the voxels of the case; raises
                ``ValueError`` where it cannot.
            made_from: case id -> what a volume depends on beside its source and its case.

        Returns:
            The cases that have a volume, in the given order.

        Raises:
            ValueError: a volume cannot be used; the message names the case and the file.
            OSError: a file cannot be written, as on a full disk.
        """
        remove_leftovers(self.folder, ANOTHER_WRITES_S)
        available = []
        for case_id in progress(case_ids, desc=self.name, unit="case"):
            source = self.raw / f"{case_id}{self.file_ending}"
            if source.is_file():
                self._make_one(case_id, source, preprocess, made_from(case_id))
                available.append(case_id)
        return available

    def _make_one(
        self,
        case_id: str,
        source: Path,
        preprocess: Callable[[Source], np.ndarray],
        made_from: Mapping[str, object],
    ) -> None:
        stored, record = self.folder / f"{case_id}.b2nd", self.folder / f"{case_id}.json"
        properties = load_pickle(str(self.preprocessed / f"{case_id}.pkl"))
        spacing = self.configuration_manager.spacing
        fingerprint = {**made_from, **_fingerprint(source, properties, spacing)}
        if stored.is_file() and holds_json(record, fingerprint):
            return
        reader = self.plans_manager.image_reader_writer_class()
        raw = read_channels(reader, [source])[0][0]
        try:
            volume = preprocess(Source(case_id, raw, properties, reader))
        except ValueError as error:
            raise ValueError(f"{case_id}: {source}: {error}") from error
        store_volume(volume, stored, self.configuration_manager.patch_size)
        write_json(record, fingerprint)


def _fingerprint(source: Path, properties: dict, spacing: Sequence[float]) -> dict:
    """What every volume beside a case depends on. If it differs from the record, it is made anew.

    Records on users' disks have these keys.
    """
    stat = source.stat()
    return {
        "source_bytes": stat.st_size,
        "source_mtime_ns": stat.st_mtime_ns,
        "shape_before_cropping": [int(size) for size in properties["shape_before_cropping"]],
        "bbox": [[int(edge) for edge in edges] for edges in properties["bbox_used_for_cropping"]],
        "target_spacing_mm": [float(value) for value in spacing],
    }


def made_earlier(folder: Path, case_ids: Sequence[str]) -> list[str]:
    """The cases with a volume in a folder, where the raw data set is not at hand to make it."""
    return [case_id for case_id in case_ids if (folder / f"{case_id}.b2nd").is_file()]


def spacings_mm(
    properties: dict, plans_manager: PlansManager, configuration_manager: ConfigurationManager
) -> tuple[list[float], list[float]]:
    """Voxel spacing of a case before and after nnU-Net's resampling, in its transposed axes."""
    before = [properties["spacing"][axis] for axis in plans_manager.transpose_forward]
    after = list(configuration_manager.spacing)
    if len(after) == 2:  # a 2-D configuration keeps the distance between slices
        after = [before[0], *after]
    return before, after


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
