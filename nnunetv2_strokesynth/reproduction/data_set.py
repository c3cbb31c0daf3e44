"""A converted data set as nnU-Net sees it: its folders, its splits and its description."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from nnunetv2_strokesynth.dataloading.splits_file import SPLITS_FILE, read_splits
from nnunetv2_strokesynth.io.text_files import read_csv_table, read_json_object
from nnunetv2_strokesynth.nnunet_commands import FOLDER_VARIABLES

PATIENTS_FILE = "conversion_report.csv"
_AGAIN = "convert the data set again"


class Roots(NamedTuple):
    """nnU-Net's three folders."""

    raw: Path
    preprocessed: Path
    results: Path


class DataSet(NamedTuple):
    """One data set.

    Attributes:
        number: nnU-Net's id.
        name: its folder's name, ``Dataset018_ISLES2018``.
        roots: nnU-Net's folders.
        content: ``dataset.json``.
        splits: ``splits_final.json``; the paper's split is the entry with a key ``test``.
        patients: case id -> patient; empty if not known.
    """

    number: int
    name: str
    roots: Roots
    content: dict
    splits: list[dict[str, list[str]]]
    patients: dict[str, str]

    @property
    def raw(self) -> Path:
        """Its folder in ``nnUNet_raw``."""
        return self.roots.raw / self.name

    @property
    def file_ending(self) -> str:
        """Of its images, ``.nii.gz``."""
        return self.content["file_ending"]

    @property
    def origin(self) -> str:
        """Where the scans come from, in ``dataset.json``; empty if it does not say."""
        return str(self.content.get("origin", ""))

    def model(self, trainer: str, plans: str, configuration: str) -> Path:
        """The folder of a trained model."""
        return self.roots.results / self.name / f"{trainer}__{plans}__{configuration}"

    def case_ids(self, folder: str) -> list[str]:
        """Cases of ``imagesTr``, ``imagesTs`` (by their first channel), or a folder of labels."""
        ending = ("_0000" if folder.startswith("images") else "") + self.file_ending
        found = (self.raw / folder).glob(f"*{ending}")
        return sorted(path.name.removesuffix(ending) for path in found if path.name[0] != ".")


def nnunet_roots() -> Roots:
    """nnU-Net's folders as the user has set them. Raises ``ValueError`` if one is not set."""
    missing = [name for name in FOLDER_VARIABLES if not os.environ.get(name)]
    if missing:
        raise ValueError(
            f"the environment variables {', '.join(missing)} are not set; nnU-Net needs "
            f"`export {missing[0]}=/path/to/{missing[0]}` and so on for each"
        )
    return Roots(*(Path(os.environ[name]).resolve() for name in FOLDER_VARIABLES))


def find_data_set(number: int, roots: Roots) -> DataSet:
    """Read a data set's description, splits and patients.

    Raises:
        FileNotFoundError: it is not in ``nnUNet_raw``, or has no splits.
        ValueError: two data sets have the number.
    """
    folder = find_raw_folder(number, roots.raw)
    content = read_json_object(folder / "dataset.json", way_out=_AGAIN)
    if not isinstance(content.get("file_ending"), str):
        raise ValueError(f"{folder / 'dataset.json'} names no file_ending; {_AGAIN}")
    splits = _read_splits(roots.preprocessed / folder.name, folder)
    return DataSet(number, folder.name, roots, content, splits, _read_patients(folder))


def find_raw_folder(number: int, raw: Path) -> Path:
    """A data set's folder in ``nnUNet_raw``.

    Raises:
        FileNotFoundError: it is not there, or is not complete.
        ValueError: two data sets have the number.
    """
    found = sorted(path for path in raw.glob(f"Dataset{number:03d}_*") if path.is_dir())
    if len(found) > 1:
        raise ValueError(f"two data sets have the id {number}: {found[0]} and {found[1]}")
    if not found or not (found[0] / "dataset.json").is_file():
        raise FileNotFoundError(
            f"there is no data set {number} in {raw}; write it with `strokesynth convert "
            f"... -d {number}`"
        )
    return found[0]


def _read_splits(*folders: Path) -> list[dict[str, list[str]]]:
    """Of the first folder that has them: nnU-Net trains with its own copy."""
    for folder in folders:
        path = folder / SPLITS_FILE
        if path.is_file():
            return read_splits(path)
    raise FileNotFoundError(
        f"{SPLITS_FILE} is neither in {folders[0]} nor in {folders[1]}; nnU-Net would draw folds "
        "that put scans of one patient into training and validation. Convert the data set again."
    )


def _read_patients(raw: Path) -> dict[str, str]:
    path = raw / PATIENTS_FILE
    if not path.is_file():
        return {}
    rows = read_csv_table(path, way_out=_AGAIN)
    return {row["case_id"]: row["patient"] for row in rows
            if row.get("case_id") and row.get("patient")}  # fmt: skip


def paper_fold(data: DataSet) -> int:
    """The index of the paper's split, whose entry has test cases.

    Raises:
        ValueError: there is none; says what to do.
    """
    for index, split in enumerate(data.splits):
        if split.get("test"):
            return index
    raise ValueError(
        f"no split of {data.name} has test scans, so there is no split of the paper in "
        f"{SPLITS_FILE}. Convert the data set again (with --overwrite) and delete nnU-Net's copy, "
        f"{data.roots.preprocessed / data.name / SPLITS_FILE}."
    )


def shares_patients(data: DataSet, fold: int, measured: list[str]) -> bool | None:
    """Whether a patient is both in training and among the measured; None if patients are unknown.

    Args:
        fold: index into the splits.
        measured: case ids.
    """
    training = data.splits[fold]["train"]
    if not all(case_id in data.patients for case_id in (*training, *measured)):
        return None
    return bool({data.patients[i] for i in training} & {data.patients[i] for i in measured})
