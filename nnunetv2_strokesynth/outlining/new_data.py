"""The data set that the trainers read: the outlined scans, and those that the readers outlined.

nnU-Net has one label for each case, and the outline of a scan may not be the same in two folds: the
readers of one fold have seen what the other validates on. So each fold has a copy of the scan under
a name of its own, ``case_004_f0`` for fold 0, with its own label. The images of the copies are hard
links. ``splits_final.json`` names a copy in its fold alone, for training, and never for validation,
so that nnU-Net's stock commands and trainers cope.

A scan whose outline a fold does not use stays without one, in ``imagesUn`` and ``targetsUn``, and
``dataset.json`` says which folds may learn from its DWI (``dataloading.unoutlined_pairs``).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.dataloading.machine_outlines import READERS_KEY
from nnunetv2_strokesynth.dataloading.preprocessed_folders import (
    UNOUTLINED_IMAGES,
    UNOUTLINED_TARGETS,
)
from nnunetv2_strokesynth.dataloading.unoutlined_pairs import PAIRS_KEY
from nnunetv2_strokesynth.evaluation.volumes import Volume
from nnunetv2_strokesynth.io.atomic import write_json, write_text
from nnunetv2_strokesynth.io.nifti import Geometry, strip_suffix, write_volume
from nnunetv2_strokesynth.io.text_files import read_csv_table
from nnunetv2_strokesynth.outlining.outlines import (
    CORRECTED,
    EMPTY,
    UNSURE,
    USED,
    Proposal,
    ScanOutlines,
    is_held_out,
    read_correction,
)
from nnunetv2_strokesynth.outlining.reader_data import TARGETS, link
from nnunetv2_strokesynth.outlining.reader_quality import ReaderQuality
from nnunetv2_strokesynth.reproduction.data_set import PATIENTS_FILE, SPLITS_FILE, DataSet

OUTLINES_TABLE = "outlines.csv"
PROBABILITIES, SUGGESTIONS = "probabilitiesTr", "outlines"
WEIGHTS_KEY, MACHINE_KEY, CORRECTED_KEY = "scan_weights", "machine_outlines", "corrected_outlines"
LINKED = ("imagesTr", "labelsTr", TARGETS, "imagesTs")
OUR_FOLDERS = (*LINKED, UNOUTLINED_IMAGES, UNOUTLINED_TARGETS, PROBABILITIES, SUGGESTIONS)
OUR_FILES = ("dataset.json", SPLITS_FILE, PATIENTS_FILE, OUTLINES_TABLE)


class Written(NamedTuple):
    """What was written.

    Attributes:
        proposals: of every scan and fold.
        overall: scan -> agreement of all readers.
        corrected: scans with a person's outline.
        pairs: scan -> the folds that learn from its DWI without an outline.
    """

    proposals: list[Proposal]
    overall: dict[str, float]
    corrected: list[str]
    pairs: dict[str, list[int]]


def is_ours(name: str) -> bool:
    """Whether ``strokesynth outline`` writes a file or folder of that name into a data set."""
    return name in (*OUR_FOLDERS, *OUR_FILES) or name.startswith("outlines_")


def write_new_data(
    data: DataSet,
    folder: Path,
    scans: Iterable[tuple[str, ScanOutlines]],
    *,
    name: str,
    corrections: Mapping[str, Path],
    quality: ReaderQuality,
    look: Callable[[str, ScanOutlines, np.ndarray | None], None],
) -> Written:
    """Write a data set with the outlines of machines and persons.

    Args:
        data: the data set that holds the scans.
        folder: an empty folder.
        scans: each scan without an outline, and its outlines.
        name: of the new data set, for ``dataset.json``.
        corrections: scan -> a person's mask, which replaces the readers'.
        quality: of the readers, for every file that names their outlines.
        look: called with each scan, its outlines and the person's mask, for the contact sheet.

    Raises:
        ValueError: a person's mask does not fit its scan.
        OSError: a file cannot be written.
    """
    written = Written([], {}, [], {})
    _link_all(data, folder)
    for scan, made in scans:
        drawn = read_correction(corrections[scan], made.dwi) if scan in corrections else None
        _write_scan(data, folder, scan, made, drawn, written)
        look(scan, made, drawn)
    _write_splits(data, folder, written)
    _write_report(data, folder, written, quality.warnings)
    write_text(folder / OUTLINES_TABLE, outlines_table(written, quality))
    machine = {
        proposal.case_id: {
            "scan": proposal.scan,
            "fold": proposal.fold,
            "readers": list(proposal.readers),
            "agreement": round(proposal.agreement, 4),
        }
        for proposal in _used(written)
    }
    content = {key: value for key, value in data.content.items() if key != "unoutlined"}
    content |= {
        "name": name,
        "numTraining": len(list((folder / "labelsTr").iterdir())),
        "outlined_from": data.name,
        MACHINE_KEY: machine,
        CORRECTED_KEY: written.corrected,
        READERS_KEY: quality.record,
        PAIRS_KEY: written.pairs,
        WEIGHTS_KEY: {case_id: entry["agreement"] for case_id, entry in machine.items()},
    }
    write_json(folder / "dataset.json", content)
    return written


def training_cases(folder: Path) -> list[str]:
    """Case ids of the training cases of a data set that was written."""
    return sorted(strip_suffix(path.name) for path in (folder / "labelsTr").iterdir())


def outlines_table(written: Written, quality: ReaderQuality) -> str:
    """``outlines.csv``: a line for each scan and fold."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["scan", "fold", "agreement", "volume_ml", "verdict", "readers",
                   "agreement_all_readers", "readers_dice", "warnings"])  # fmt: skip
    readers_dice = "" if not quality.scans else f"{quality.decisive_dice:.3f}"
    for one in written.proposals:
        numbers = " ".join(str(number) for number in one.readers)
        overall = f"{written.overall[one.scan]:.3f}"
        rows.writerow([one.scan, one.fold, f"{one.agreement:.3f}", f"{one.volume_ml:.3f}",
                       one.verdict, numbers, overall, readers_dice,
                       "; ".join(quality.warnings)])  # fmt: skip
    return text.getvalue()


def _used(written: Written) -> Iterator[Proposal]:
    return (proposal for proposal in written.proposals if proposal.verdict == USED)


def _link_all(data: DataSet, folder: Path) -> None:
    """The outlined scans and the test scans as they are."""
    for inner in LINKED:
        (folder / inner).mkdir(parents=True, exist_ok=True)
        source = data.raw / inner
        for path in sorted(source.iterdir()) if source.is_dir() else ():
            if path.name.endswith(data.file_ending) and path.name[0] != ".":
                link(path, folder / inner / path.name)


def _write_scan(
    data: DataSet,
    folder: Path,
    scan: str,
    made: ScanOutlines,
    drawn: np.ndarray | None,
    written: Written,
) -> None:
    """Copies of one scan with their labels, and what all readers say of it."""
    ending = data.file_ending
    written.overall[scan] = made.overall.agreement
    _write(folder / SUGGESTIONS / f"{scan}{ending}", made.overall.outline, made.dwi)
    if drawn is not None:
        written.corrected.append(scan)
        _link_scan(data, folder, scan, scan)
        _write(folder / "labelsTr" / f"{scan}{ending}", drawn, made.dwi)
    for proposal, consensus in made.proposals:
        if drawn is not None:
            written.proposals.append(proposal._replace(verdict=CORRECTED))
            continue
        written.proposals.append(proposal)
        if proposal.verdict == USED:
            _link_scan(data, folder, scan, proposal.case_id)
            _write(folder / "labelsTr" / f"{proposal.case_id}{ending}", consensus.outline, made.dwi)
            path = folder / PROBABILITIES / f"{proposal.case_id}{ending}"
            _write(path, consensus.probability, made.dwi)
    pairs = [] if drawn is not None else _folds_of_pair(made)
    if pairs:
        written.pairs[scan] = pairs
        _link_scan(data, folder, scan, scan, into=(UNOUTLINED_IMAGES, UNOUTLINED_TARGETS))


def _folds_of_pair(made: ScanOutlines) -> list[int]:
    """The folds that use no outline of a scan and may see its DWI all the same."""
    return [one.fold for one, _ in made.proposals if one.verdict in (UNSURE, EMPTY)]


def _link_scan(
    data: DataSet,
    folder: Path,
    scan: str,
    case_id: str,
    into: tuple[str, str] = ("imagesTr", TARGETS),
) -> None:
    """Images and DWI of a scan, under another name."""
    images, targets = into
    ending = data.file_ending
    for channel in range(len(data.content["channel_names"])):
        image = f"_{channel:04d}{ending}"
        source = data.raw / UNOUTLINED_IMAGES / f"{scan}{image}"
        link(source, folder / images / f"{case_id}{image}")
    link(data.raw / UNOUTLINED_TARGETS / f"{scan}{ending}", folder / targets / (case_id + ending))


def _write(path: Path, volume: np.ndarray, like: Volume) -> None:
    path.parent.mkdir(exist_ok=True)
    volume = volume.astype(np.uint8) if volume.dtype == bool else volume
    write_volume(path, volume, Geometry(like.spacing_mm, like.origin, like.direction))


def _write_splits(data: DataSet, folder: Path, written: Written) -> None:
    """The source's folds; outlines are added to the training of their own fold."""
    splits = []
    for fold, split in enumerate(data.splits):
        machine = [one.case_id for one in _used(written) if one.fold == fold]
        by_hand = [scan for scan in written.corrected if not is_held_out(data, scan, fold)]
        splits.append({**split, "train": [*split["train"], *machine, *by_hand]})
    write_json(folder / SPLITS_FILE, splits)


def _write_report(data: DataSet, folder: Path, written: Written, warnings: Sequence[str]) -> None:
    """``conversion_report.csv`` with the new cases, from which their patients are read."""
    source = data.raw / PATIENTS_FILE
    if not source.is_file():
        return
    way_out = "convert the data set again"
    rows = read_csv_table(source, way_out=way_out)
    columns = list(rows[0]) if rows else ["case_id", "split"]
    lacking = {"case_id", "split"} - set(columns)
    if lacking:
        raise ValueError(f"{source} has no column {', '.join(sorted(lacking))}; {way_out}")
    columns += [c for c in ("outline", "outline_agreement", "warnings") if c not in columns]
    by_scan = {row["case_id"]: row for row in rows}
    kept = [
        {**row, "outline": "person" if row["split"] == "train" else ""}
        for row in rows
        if row["split"] != "unoutlined" or row["case_id"] in written.pairs
    ]
    for one in _used(written):
        own = {"case_id": one.case_id, "split": "train", "lesion_volume_ml": f"{one.volume_ml:.3f}"}
        own |= {"outline": "machine", "outline_agreement": f"{one.agreement:.3f}"}
        source_row = by_scan.get(one.scan, {})
        own |= {"warnings": "; ".join(filter(None, [source_row.get("warnings"), *warnings]))}
        kept.append({**source_row, **own})
    for scan in written.corrected:
        kept.append({**by_scan.get(scan, {}), "case_id": scan, "split": "train",
                     "outline": "corrected"})  # fmt: skip
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(kept)
    write_text(folder / PATIENTS_FILE, text.getvalue())
