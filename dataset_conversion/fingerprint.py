"""nnU-Net's ``dataset_fingerprint.json``, from all labelled voxels and in little memory.

nnU-Net draws 1e8 voxels of every channel, whatever the data: over 20 GB for 12 channels. It leaves
that out where the file is there already, and reads four entries of it. ``spacings``,
``shapes_after_crop`` and ``median_relative_size_after_cropping`` are its own here, because its
reader and its cropping make them. ``foreground_intensity_properties_per_channel`` holds exactly
what its draws estimate, see ``case_statistics``.

A fifth entry, which nnU-Net ignores, tells from which files the fingerprint was made.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nnunetv2_strokesynth.dataset_conversion.case_statistics import CaseStatistics
from nnunetv2_strokesynth.dataset_conversion.raw_folder import DESCRIPTION_FILE, json_or_none
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.nifti import require_finite
from nnunetv2_strokesynth.io.nnunet_reader import find_reader, read_channels
from nnunetv2_strokesynth.io.progress import progress

if TYPE_CHECKING:
    from nnunetv2.imageio.base_reader_writer import BaseReaderWriter

FINGERPRINT_FILE = "dataset_fingerprint.json"
MADE_FROM = "made_from"
_VERSION = 1  # of the computation: another one makes every fingerprint anew

logger = logging.getLogger(__name__)


class NoForegroundError(ValueError):
    """No training case has a labelled voxel."""


class TrainingFiles(NamedTuple):
    """The training cases of a data set in ``nnUNet_raw``.

    Attributes:
        folder: ``nnUNet_raw/DatasetNNN_NAME``.
        description: ``dataset.json``.
        cases: case id -> image files, in the order of the channels, and the label's.
    """

    folder: Path
    description: dict
    cases: dict[str, tuple[list[Path], Path]]

    @property
    def n_channels(self) -> int:
        """As ``dataset.json`` says."""
        return len(self.description["channel_names"])


class CaseFingerprint(NamedTuple):
    """What one case adds.

    Attributes:
        spacing: voxel sizes, in the order of the axes.
        shape_after_crop: of the box around all voxels in which some channel is not 0.
        relative_size: of that box, in shares of the image.
        values: for each channel, float32 (n,), its n labelled voxels.
    """

    spacing: list[float]
    shape_after_crop: list[int]
    relative_size: float
    values: list[np.ndarray]


def renew_fingerprint(raw_folder: Path, preprocessed: Path) -> bool:
    """Write the fingerprint of a data set, unless the one that is there was made from its files.

    Args:
        raw_folder: ``nnUNet_raw/DatasetNNN_NAME``.
        preprocessed: ``nnUNet_preprocessed``.

    Returns:
        Whether it was written.

    Raises:
        NoForegroundError: no case has a labelled voxel.
        ValueError: a case cannot be used; the message names it.
        OSError: a file is missing, or cannot be read or written.
    """
    files = training_files(raw_folder)
    path = preprocessed / raw_folder.name / FINGERPRINT_FILE
    made_from = _made_from(files)
    stored = json_or_none(path) if path.is_file() else {}
    if isinstance(stored, dict) and stored.get(MADE_FROM) == made_from:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**fingerprint_of(files, path.parent), MADE_FROM: made_from})
    return True


def training_files(raw_folder: Path) -> TrainingFiles:
    """The files of all training cases, as nnU-Net finds them.

    Raises:
        FileNotFoundError: ``dataset.json``, or a case's image or label is missing.
        ValueError: ``dataset.json`` cannot be used, there is no case, or a case has too few or too
            many images.
    """
    path = raw_folder / DESCRIPTION_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; convert the data set again")
    description = json_or_none(path)
    keys = ("channel_names", "file_ending")
    if not (isinstance(description, dict) and all(key in description for key in keys)):
        raise ValueError(
            f"{path} is damaged or lacks channel_names or file_ending; convert the data set again"
        )
    files = TrainingFiles(raw_folder, description, _find_cases(raw_folder, description))
    if not files.cases:
        raise ValueError(f"{raw_folder / 'imagesTr'} holds no training cases to plan for")
    return files


def fingerprint_of(files: TrainingFiles, temporary_folder: Path) -> dict:
    """What nnU-Net writes into ``dataset_fingerprint.json``, with exact intensities.

    Args:
        files: the training cases.
        temporary_folder: where voxels wait that do not fit into some 256 MB.

    Raises:
        NoForegroundError: no case has a labelled voxel.
        ValueError: a case cannot be used; the message names it.
        OSError: a file is missing or cannot be read.
    """
    reader = _reader(files)
    cases: list[CaseFingerprint] = []
    with CaseStatistics(files.n_channels, temporary_folder) as statistics:
        for case_id, (images, label) in progress(
            files.cases.items(), desc="fingerprint", unit="case"
        ):
            try:
                case = read_case(reader, images, label, n_channels=files.n_channels)
            except ValueError as error:
                raise ValueError(f"{case_id}: {error}") from error
            statistics.add(case.values)
            cases.append(case._replace(values=[]))
        if not statistics.n_cases:
            raise NoForegroundError(
                f"none of the {len(cases)} labels in {files.folder / 'labelsTr'} has a labelled "
                "voxel; nnU-Net cannot plan without one"
            )
        intensities = statistics.result()
    return {
        "spacings": [case.spacing for case in cases],
        "shapes_after_crop": [case.shape_after_crop for case in cases],
        "foreground_intensity_properties_per_channel": dict(enumerate(intensities)),
        "median_relative_size_after_cropping": float(np.median([c.relative_size for c in cases])),
    }


def read_case(
    reader: BaseReaderWriter, images: Sequence[Path], label: Path, *, n_channels: int
) -> CaseFingerprint:
    """Read one case, a channel at a time.

    Args:
        reader: nnU-Net's.
        images: the channels' files.
        label: the label's file.
        n_channels: how many channels they must hold together.

    Raises:
        ValueError: images and label do not fit together, hold a voxel that is not a number, or
            nothing but zeros.
    """
    from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero

    labels = require_finite(label.name, _read(reader, label)[0])  # as its read_seg does
    foreground = labels[0] > 0
    nonzero = np.zeros((1, *foreground.shape), dtype=bool)
    spacing: list[float] = []
    values: list[np.ndarray] = []
    for path in images:
        channels, own_spacing = _read(reader, path)
        spacing = spacing or own_spacing
        if channels.shape[1:] != foreground.shape or own_spacing != spacing:
            found, expected = (np.round(sizes, 4).tolist() for sizes in (own_spacing, spacing))
            raise ValueError(
                f"{path.name} has {channels.shape[1:]} voxels of {found} mm, expected "
                f"{foreground.shape} as {label.name}, of {expected} mm as {images[0].name}"
            )
        for channel in require_finite(path.name, channels):
            nonzero[0] |= channel != 0
            values.append(channel[foreground])
    if len(values) != n_channels or not nonzero.any():
        found = f"{len(values)} channels" if nonzero.any() else "nothing but zeros"
        raise ValueError(f"its images hold {found}, {DESCRIPTION_FILE} lists {n_channels} channels")
    # The box depends on where some channel is not 0, and on nothing else of the images.
    cropped, _, box = crop_to_nonzero(nonzero, labels)
    shape = list(cropped.shape[1:])
    kept = _inside(foreground.shape, box)[foreground]
    share = float(np.prod(shape) / np.prod(foreground.shape))
    return CaseFingerprint(spacing, shape, share, [channel[kept] for channel in values])


def _inside(shape: tuple[int, ...], box: Sequence[Sequence[int]]) -> np.ndarray:
    """Which voxels lie in a box, bool."""
    inside = np.zeros(shape, dtype=bool)
    inside[tuple(slice(*ends) for ends in box)] = True
    return inside


def _read(reader: BaseReaderWriter, path: Path) -> tuple[np.ndarray, list[float]]:
    """Voxels, float32 (C, Z, Y, X), and voxel sizes, by nnU-Net's reader."""
    voxels, properties = read_channels(reader, [path])
    spacing = [float(size) for size in properties["spacing"]]
    return voxels.astype(np.float32, copy=False), spacing


def _reader(files: TrainingFiles) -> BaseReaderWriter:
    """nnU-Net's reader for these files."""
    first = next(iter(files.cases.values()))[0][0]
    return find_reader(files.description, first)


def _find_cases(folder: Path, description: dict) -> dict[str, tuple[list[Path], Path]]:
    """As nnU-Net's ``get_filenames_of_train_images_and_targets``, without its 12 processes."""
    if "dataset" in description:
        from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

        listed = get_filenames_of_train_images_and_targets(str(folder), description)
        return {
            case_id: ([Path(path) for path in own["images"]], Path(own["label"]))
            for case_id, own in listed.items()
        }
    from nnunetv2.utilities.utils import get_identifiers_from_splitted_dataset_folder

    images, ending = folder / "imagesTr", description["file_ending"]
    if not images.is_dir():
        raise FileNotFoundError(f"{images} is missing; convert the data set again")
    by_case: dict[str, list[Path]] = {
        str(case_id): []
        for case_id in get_identifiers_from_splitted_dataset_folder(str(images), ending)
    }
    for path in sorted(images.glob(f"*{ending}")):
        if path.is_file():
            by_case[path.name[: -len(ending) - 5]].append(path)
    labels = folder / "labelsTr"
    return {case_id: (own, labels / f"{case_id}{ending}") for case_id, own in by_case.items()}


def _made_from(files: TrainingFiles) -> dict[str, object]:
    """How many cases there are, and a digest of the names, sizes and times of all their files."""
    found = []
    for case_id, (images, label) in files.cases.items():
        for path in (*images, label):
            if not path.is_file():
                raise FileNotFoundError(f"{path} is missing; nnU-Net cannot plan without it")
            stat = path.stat()
            found.append([case_id, path.name, stat.st_size, stat.st_mtime_ns])
    reader = files.description.get("overwrite_image_reader_writer")
    content = json.dumps([_VERSION, files.n_channels, reader, found])
    digest = hashlib.sha256(content.encode("utf-8", errors="surrogatepass")).hexdigest()
    return {"cases": len(files.cases), "digest": digest}
