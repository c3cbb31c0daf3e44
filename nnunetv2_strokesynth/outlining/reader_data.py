"""The readers' own data set: the DWI as the one channel, one fold for each reader.

It is written into ``nnUNet_raw`` and trained by nnU-Net's own commands. Files are hard links where
the disk allows it, so that it takes no space.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nnunetv2_strokesynth.channels import DWI
from nnunetv2_strokesynth.dataloading.preprocessed_folders import (
    UNOUTLINED_IMAGES,
    UNOUTLINED_TARGETS,
)
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.text_files import read_json_object
from nnunetv2_strokesynth.outlining.readers import Reader
from nnunetv2_strokesynth.reproduction.data_set import SPLITS_FILE, DataSet

RECORD = "readers.json"
PREDICTIONS = "predictions"
TARGETS = "targetsTr"


class Scans(NamedTuple):
    """The scans of a data set that matter here.

    Attributes:
        outlined: case ids of those with an outline and a DWI.
        unoutlined: case ids of those with a DWI and no outline.
    """

    outlined: list[str]
    unoutlined: list[str]


def scans_of(data: DataSet) -> Scans:
    """The scans with and without an outline that have a DWI.

    Raises:
        ValueError: there are none of one kind, or channels of one are missing.
    """
    labels, unoutlined = data.case_ids("labelsTr"), data.case_ids(UNOUTLINED_TARGETS)
    outlined = [case_id for case_id in data.case_ids(TARGETS) if case_id in set(labels)]
    for names, what, advice in (
        (outlined, f"a label and a DWI in {TARGETS}", "readers learn from such scans"),
        (
            unoutlined,
            f"a DWI in {UNOUTLINED_TARGETS} and no label",
            "convert the data set with --unoutlined, if it has such scans",
        ),
    ):
        if not names:
            raise ValueError(f"{data.raw} holds no scan with {what}; {advice}")
    channels = range(len(data.content["channel_names"]))
    wanted = {(c, f"{c}_{i:04d}{data.file_ending}") for c in unoutlined for i in channels}
    absent = {c for c, name in wanted if not (data.raw / UNOUTLINED_IMAGES / name).is_file()}
    both = sorted(
        set(unoutlined) & {*labels, *data.case_ids("imagesTr"), *data.case_ids("imagesTs")}
    )
    if absent:
        raise ValueError(
            f"{data.raw / UNOUTLINED_IMAGES} lacks channels of {name_some(sorted(absent))}, which "
            f"{UNOUTLINED_TARGETS} has; convert the data set again"
        )
    if both:
        raise ValueError(
            f"{name_some(both)}: in {UNOUTLINED_TARGETS} and among the training or test scans of "
            f"{data.raw}, too; convert the data set again"
        )
    return Scans(outlined, unoutlined)


def write_reader_data(
    data: DataSet, folder: Path, scans: Scans, readers: Sequence[Reader], recipe: dict[str, str]
) -> None:
    """Write the readers' data set, or go on with the one that is there.

    Predictions of scans whose DWI has changed are deleted.

    Args:
        data: the data set whose scans are outlined.
        folder: ``nnUNet_raw/DatasetNNN_NAME`` of the readers.
        scans: of ``data``.
        readers: one becomes one fold.
        recipe: how they are trained, for the record.

    Raises:
        ValueError: the folder holds readers of other outlines or another recipe, or something else;
            or nnU-Net's folders hold such readers, and this one is gone.
    """
    record = _record(data, scans, readers, recipe)
    _check_record(folder, record)
    if not folder.exists():
        _check_no_remains(data, folder.name)
    ending = data.file_ending
    for inner in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / inner).mkdir(parents=True, exist_ok=True)
    write_json(folder / RECORD, record)
    for case_id in scans.outlined:
        link(data.raw / TARGETS / (case_id + ending), folder / f"imagesTr/{case_id}_0000{ending}")
        link(data.raw / "labelsTr" / (case_id + ending), folder / f"labelsTr/{case_id}{ending}")
    _link_unoutlined(data, folder, scans.unoutlined)
    splits = [
        {
            "train": sorted(reader.learns_from),
            "val": sorted(set(scans.outlined) - reader.learns_from),
        }
        for reader in readers
    ]
    write_json(folder / SPLITS_FILE, splits)
    content = {
        "name": folder.name.split("_", 1)[1],
        "description": f"Readers of the DWI of {data.name}, made by `strokesynth outline`",
        "origin": data.origin,
        "channel_names": {"0": DWI},
        "labels": data.content["labels"],
        "numTraining": len(scans.outlined),
        "file_ending": ending,
    }
    for key in ("overwrite_image_reader_writer", "orientation"):
        if key in data.content:
            content[key] = data.content[key]
    write_json(folder / "dataset.json", content)


def link(source: Path, destination: Path) -> bool:
    """Make a file appear at a second place; a copy where the disk knows no hard links.

    Returns:
        Whether it was not there already.
    """
    if destination.is_file() and _state(destination) == _state(source):
        return False
    destination.unlink(missing_ok=True)
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)
    return True


def _state(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _record(
    data: DataSet, scans: Scans, readers: Sequence[Reader], recipe: dict[str, str]
) -> dict[str, object]:
    """What the readers depend on; the scans that they outline may change."""
    files = [
        data.raw / inner / (case_id + data.file_ending)
        for inner in (TARGETS, "labelsTr")
        for case_id in scans.outlined
    ]
    return {
        "source": data.name,
        **recipe,
        "readers": [sorted(reader.learns_from) for reader in readers],
        "files": {path.relative_to(data.raw).as_posix(): _state(path) for path in files},
    }


def _check_record(folder: Path, record: dict[str, object]) -> None:
    if not folder.exists():
        return
    path = folder / RECORD
    if not path.is_file():
        raise ValueError(f"{folder} was not written by this command; choose another --reader-id")
    try:
        stored = read_json_object(path, way_out="")
    except ValueError:
        stored = {}
    differing = [key for key in record if stored.get(key) != record[key]]
    if differing:
        raise ValueError(
            f"{folder} holds readers that were made otherwise (other {', '.join(differing)}). "
            f"--new-readers deletes them with what nnU-Net made of them, and trains new ones; or "
            "choose another --reader-id"
        )


def _check_no_remains(data: DataSet, name: str) -> None:
    """Refuse models whose training scans nobody knows: they may have seen any outline."""
    for root in (data.roots.preprocessed, data.roots.results):
        if (root / name).exists():
            raise ValueError(
                f"{root / name} is left of readers whose data set is gone, so that nobody knows "
                "which outlines they have seen. --new-readers deletes them; or choose another "
                "--reader-id"
            )


def _link_unoutlined(data: DataSet, folder: Path, unoutlined: Sequence[str]) -> None:
    """``imagesTs`` holds exactly the scans to outline, as they are now."""
    ending = data.file_ending
    wanted = {f"{case_id}_0000{ending}" for case_id in unoutlined}
    gone = {path.name for path in (folder / "imagesTs").iterdir()} - wanted
    for name in gone:
        (folder / "imagesTs" / name).unlink()
    changed = {name.removesuffix(f"_0000{ending}") for name in gone}
    for case_id in unoutlined:
        source = data.raw / UNOUTLINED_TARGETS / (case_id + ending)
        if link(source, folder / f"imagesTs/{case_id}_0000{ending}"):
            changed.add(case_id)
    for case_id in changed:
        for path in (folder / PREDICTIONS).glob(f"*/{case_id}.*"):
            path.unlink()
