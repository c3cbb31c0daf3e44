"""The training cases of a raw data set, as its files say and not as a plan or a split remembers."""

from __future__ import annotations

import copy
import json
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets


class CaseFiles(NamedTuple):
    """The files of one case: images in the order of the channels, and the label."""

    images: tuple[str, ...]
    label: str


class RawCases(NamedTuple):
    """What ``nnUNet_raw/DatasetNNN_*`` holds.

    Attributes:
        folder: the data set.
        file_ending: e.g. ``.nii.gz``.
        complete: the cases with all images and a label.
        incomplete: case id -> what is missing, of the cases that have some image.
    """

    folder: Path
    file_ending: str
    complete: dict[str, CaseFiles]
    incomplete: dict[str, str]

    def why_gone(self, case_id: str) -> str:
        """What a case that is not complete lacks."""
        return self.incomplete.get(case_id, "no images")


def raw_cases(folder: Path | None, dataset_json: dict) -> RawCases | None:
    """The cases of a raw data set; None where its images are not at hand.

    Args:
        folder: ``nnUNet_raw/DatasetNNN_*``, or None.
        dataset_json: nnU-Net's description, used if the folder holds none.

    Raises:
        ValueError: ``dataset.json`` in the folder cannot be read, or the images of no case are
            complete, as when a disk is not mounted. The cases must not count as withdrawn then.
    """
    if folder is None:
        return None
    description = _description(folder, dataset_json)
    if "dataset" in description:
        listed = get_filenames_of_train_images_and_targets(str(folder), copy.deepcopy(description))
        files = {
            case_id: CaseFiles(tuple(filter(os.path.isfile, paths["images"])), paths["label"])
            for case_id, paths in listed.items()
        }
    elif (folder / "imagesTr").is_dir():
        ending = description["file_ending"]
        files = {
            case_id: CaseFiles(images, str(folder / "labelsTr" / f"{case_id}{ending}"))
            for case_id, images in images_in(folder / "imagesTr", ending).items()
        }
    else:
        return None
    incomplete = _incomplete(files)
    complete = {case_id: files[case_id] for case_id in files if case_id not in incomplete}
    if not complete:
        raise ValueError(
            f"{folder} holds no case with images and a label, expected at least one. Check "
            "nnUNet_raw and whether the disk is mounted. If all cases were withdrawn, delete the "
            "data set in nnUNet_raw and in nnUNet_preprocessed; there is nothing to train on"
        )
    return RawCases(folder, description["file_ending"], complete, incomplete)


def _description(folder: Path, otherwise: dict) -> dict:
    path = folder / "dataset.json"
    if not path.is_file():
        return otherwise
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {"file_ending": otherwise["file_ending"], **found}
    except (ValueError, RecursionError, TypeError) as error:
        raise ValueError(f"{path} cannot be read: {error}; convert the data set again") from error


def images_in(folder: Path, file_ending: str) -> dict[str, tuple[str, ...]]:
    """Case id -> its images, in the order of the channels.

    nnU-Net has a function for this, which starts twelve processes; a training asks several times.
    """
    pattern = re.compile(r"(.+)_\d{4}" + re.escape(file_ending))
    images = defaultdict(list)
    for entry in os.scandir(folder):
        found = pattern.fullmatch(entry.name)
        if found and entry.is_file():
            images[found[1]].append(entry.path)
    return {case_id: tuple(sorted(images[case_id])) for case_id in sorted(images)}


def _incomplete(files: dict[str, CaseFiles]) -> dict[str, str]:
    """Case id -> what is missing. A case must have as many images as the others have."""
    n_images = max((len(case.images) for case in files.values()), default=0)
    missing = {}
    for case_id, case in files.items():
        if len(case.images) < n_images:
            missing[case_id] = f"{len(case.images)} of {n_images} images"
        elif not os.path.isfile(case.label):
            missing[case_id] = "no label"
    return missing
