"""An arena whose scans have few outlines: which keep theirs, and what the methods learn from.

All arms share the arena's phantom, its plans and its held-out scans. Arms without machine outlines
differ from the arena in ``splits_final.json`` alone.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.arena.data import NAME
from nnunetv2_strokesynth.dataloading.preprocessed_folders import (
    UNOUTLINED_IMAGES,
    UNOUTLINED_TARGETS,
)
from nnunetv2_strokesynth.dataset_conversion.splits import nnunet_splits, patient_folds
from nnunetv2_strokesynth.io.atomic import write_json, write_text
from nnunetv2_strokesynth.outlining.reader_data import TARGETS, link
from nnunetv2_strokesynth.reproduction.data_set import PATIENTS_FILE, SPLITS_FILE

SEED = 19  # of the order in which patients keep their outlines, and of the folds
N_FOLDS = 5
SOURCE_ID, SOURCE_NAME = 17, "Dataset017_ISLES2018"
FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


class Chosen(NamedTuple):
    """Case ids of the scans that keep their outline, and of the pairs whose outline is hidden."""

    outlined: list[str]
    pairs: list[str]


class Few(NamedTuple):
    """One number of outlines in an arena.

    Attributes:
        arena: the arena's folder.
        chosen: its scans.
        splits: folds of the outlined scans, as ``strokesynth convert`` makes them.
    """

    arena: Path
    chosen: Chosen
    splits: list[dict[str, list[str]]]

    @property
    def folder(self) -> Path:
        """Of everything with this number of outlines."""
        return self.arena / "few" / f"outlined_{len(self.chosen.outlined):03d}"

    @property
    def base(self) -> Path:
        """The arena's own data set, in which every scan has its outline."""
        return self.arena / "nnUNet_raw" / NAME

    @property
    def outlines_only(self) -> Path:
        """The root of methods that learn from the outlined scans alone."""
        return self.folder / "outlines_only"

    @property
    def all_outlined(self) -> Path:
        """The root of methods for which persons have outlined the pairs, too."""
        return self.folder / f"pairs_{len(self.chosen.pairs):03d}" / "all_outlined"

    @property
    def readers(self) -> Path:
        """The root of the readers; they serve any number of pairs."""
        return self.folder / "readers"

    def machine(self, fold: int, min_agreement: float) -> Path:
        """The root of methods that learn from machine outlines, too; each fold has its own."""
        name = f"machine_{min_agreement:g}_fold_{fold}"
        return self.folder / f"pairs_{len(self.chosen.pairs):03d}" / name


def choose(patients: Mapping[str, str], n_outlined: int, n_pairs: int | None) -> Chosen:
    """Which scans keep their outline, and which are pairs of CTP and DWI without one.

    Patients come in an order that depends on ``SEED`` alone. Each is taken whole if all of its
    scans still fit; the pairs are taken in the same way from the patients left. So the scans of a
    smaller number are, but for the last patient, among those of a larger one.

    Args:
        patients: case id -> patient, of all scans that train.
        n_outlined: how many scans keep their outline.
        n_pairs: how many become pairs; None for all others.

    Raises:
        ValueError: there are not that many.
    """
    names = sorted(set(patients.values()))
    order = [names[i] for i in np.random.default_rng(SEED).permutation(len(names))]
    scans = {name: sorted(c for c, own in patients.items() if own == name) for name in names}
    outlined = _take(order, scans, n_outlined)
    left = [name for name in order if scans[name][0] not in outlined]
    n_left = len(patients) - n_outlined
    pairs = _take(left, scans, n_left if n_pairs is None else n_pairs)
    return Chosen(outlined, pairs)


def _take(order: Iterable[str], scans: Mapping[str, list[str]], wanted: int) -> list[str]:
    taken: list[str] = []
    for patient in order:
        if len(taken) + len(scans[patient]) <= wanted:
            taken += scans[patient]
    if len(taken) != wanted:
        raise ValueError(
            f"whole patients make {len(taken)} scans, wanted are {wanted}; ask for another number, "
            "or make an arena with more --cases"
        )
    return sorted(taken)


def few_of(arena: Path, n_outlined: int, n_pairs: int | None) -> Few:
    """The scans and folds of one number of outlines."""
    rows = [row for row in _report(arena / "nnUNet_raw" / NAME) if row["split"] == "train"]
    patients = {row["case_id"]: row["patient"] for row in rows}
    volumes = {row["case_id"]: float(row["lesion_volume_ml"]) for row in rows}
    chosen = choose(patients, n_outlined, n_pairs)
    own = {case_id: volumes[case_id] for case_id in chosen.outlined}
    folds = patient_folds(own, patients, N_FOLDS, seed=SEED)
    return Few(arena, chosen, nnunet_splits(folds, N_FOLDS))


def _report(raw: Path) -> list[dict[str, str]]:
    with (raw / PATIENTS_FILE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def make_outlines_only(few: Few) -> None:
    """The arena's data, of which the outlined scans train and validate."""
    _same_data_other_splits(few.arena, few.outlines_only, few.splits)


def make_all_outlined(few: Few) -> None:
    """The same with the pairs in the training of every fold."""
    splits = [
        {"train": sorted([*split["train"], *few.chosen.pairs]), "val": split["val"]}
        for split in few.splits
    ]
    _same_data_other_splits(few.arena, few.all_outlined, splits)


def make_root(arena: Path, root: Path) -> None:
    """nnU-Net's folders, and the phantom, which holds the truth."""
    for name in (*FOLDERS, "logs"):
        (root / name).mkdir(parents=True, exist_ok=True)
    symlink(root / "phantom", arena / "phantom")


def symlink(path: Path, target: Path) -> None:
    """A relative link, unless it is there."""
    if not path.is_symlink():
        path.symlink_to(os.path.relpath(target, path.parent))


def _same_data_other_splits(arena: Path, root: Path, splits: list[dict[str, list[str]]]) -> None:
    make_root(arena, root)
    symlink(root / "nnUNet_raw" / NAME, arena / "nnUNet_raw" / NAME)
    folder = root / "nnUNet_preprocessed" / NAME
    folder.mkdir(exist_ok=True)
    for name in ("gt_segmentations", "nnUNetPlans_2d"):  # what our trainers add lies in each root
        symlink(folder / name, arena / "nnUNet_preprocessed" / NAME / name)
    copy_plans(arena, root)
    write_json(folder / SPLITS_FILE, splits)


def copy_plans(arena: Path, root: Path) -> None:
    """The arena's plans and description, so that all arms plan alike."""
    source = arena / "nnUNet_preprocessed" / NAME
    for path in source.glob("*.json"):
        if path.name != SPLITS_FILE:
            copy = root / "nnUNet_preprocessed" / NAME / path.name
            write_text(copy, path.read_text(encoding="utf-8"))


def make_source(few: Few) -> None:
    """The data set for ``strokesynth outline``, as ``convert --unoutlined`` writes it.

    Pairs that a larger number has brought stay.
    """
    make_root(few.arena, few.readers)
    source = few.readers / "nnUNet_raw" / SOURCE_NAME
    content = json.loads((few.base / "dataset.json").read_text(encoding="utf-8"))
    ending, n_channels = content["file_ending"], len(content["channel_names"])
    folders = {"imagesTr": few.chosen.outlined, UNOUTLINED_IMAGES: few.chosen.pairs}
    for folder, case_ids in folders.items():
        for case_id in case_ids:
            for channel in range(n_channels):
                name = f"{case_id}_{channel:04d}{ending}"
                link(few.base / "imagesTr" / name, source / folder / name)
    for folder, inner, case_ids in (
        ("labelsTr", "labelsTr", few.chosen.outlined),
        (TARGETS, TARGETS, few.chosen.outlined),
        (UNOUTLINED_TARGETS, TARGETS, few.chosen.pairs),
    ):
        for case_id in case_ids:
            link(few.base / inner / (case_id + ending), source / folder / (case_id + ending))
    for path in sorted((few.base / "imagesTs").iterdir()):
        link(path, source / "imagesTs" / path.name)
    unoutlined = {path.name for path in (source / UNOUTLINED_TARGETS).glob(f"*{ending}")}
    unoutlined = {name.removesuffix(ending) for name in unoutlined}
    content |= {"numTraining": len(few.chosen.outlined), "unoutlined": sorted(unoutlined)}
    write_json(source / "dataset.json", content)
    write_json(source / SPLITS_FILE, few.splits)
    _write_report(few, source, unoutlined)


def _write_report(few: Few, source: Path, unoutlined: set[str]) -> None:
    rows = _report(few.base)
    kept = [row for row in rows if row["split"] != "train" or row["case_id"] in few.chosen.outlined]
    hidden = {"split": "unoutlined", "lesion_volume_ml": ""}
    kept += [{**row, **hidden} for row in rows if row["case_id"] in unoutlined]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(kept)
    write_text(source / PATIENTS_FILE, text.getvalue())
