"""Dice and HD of the arena's finished bouts by the probability from which on a voxel is lesion.

    python benchmarks/arena/probabilities.py ARENA_FOLDER [--methods stock strokesynth]

A row per method and way: the mean over the folds, and the ensemble of the folds, as a user would
predict. The probabilities are those of the last checkpoint; where a trainer has moved its decision,
0.5 is the moved one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from contest import begun_bouts
from data import truth_folder
from methods import METHODS
from settings import Settings

from nnunetv2_strokesynth.evaluation.cases import case_files
from nnunetv2_strokesynth.evaluation.metrics import (
    dice,
    hausdorff_mm,
)
from nnunetv2_strokesynth.evaluation.tables import markdown_grid
from nnunetv2_strokesynth.evaluation.volumes import (
    read_lesion_probability,
    read_mask,
)
from nnunetv2_strokesynth.io.process_pool import map_cases

CUTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
ENSEMBLE = "ensemble"
HEADER = ("method", "of", "measure", *(f"{cut:g}" for cut in CUTS))


class _Job(NamedTuple):
    """A held-out scan and the folders with its predictions, one per fold."""

    case_id: str
    label: Path
    folders: tuple[Path, ...]


def _measured(job: _Job) -> list[dict]:
    label = read_mask(job.label)
    ways = {}
    for folder in job.folders:
        ways[folder.parent.name] = read_lesion_probability(folder / f"{job.case_id}.npz")
    ways[ENSEMBLE] = np.mean([*ways.values()], axis=0)
    return [
        {
            "case_id": job.case_id,
            "of": way,
            "cut": cut,
            "dice": 100 * dice(label.array, lesion := probability > cut),
            "hausdorff_mm": hausdorff_mm(label.array, lesion, label.spacing_mm),
        }
        for way, probability in ways.items()
        for cut in CUTS
    ]


def measured(root: Path, method: str) -> pd.DataFrame:
    """A row per scan, fold (or ensemble) and cut; empty where no probabilities are stored."""
    bouts = begun_bouts(root, Settings(), METHODS[method])
    folders = tuple(b.folder / "final" for b in bouts if any(b.folder.glob("final/*.npz")))
    if not folders:
        return pd.DataFrame()
    labels = case_files(truth_folder(root) / "labels")
    jobs = [_Job(case_id, label, folders) for case_id, label in labels.items()]
    rows = map_cases(_measured, jobs, workers=1, description=method)
    return pd.DataFrame([row for scan in rows for row in scan])


def table(found: pd.DataFrame, method: str) -> Iterator[list[str]]:
    """Rows of the table: folds one by one, their mean, the ensemble."""
    single = found[found["of"] != ENSEMBLE]
    ways = [*single.groupby("of"), ("mean", single), (ENSEMBLE, found[found["of"] == ENSEMBLE])]
    for way, frame in ways:
        for measure in ("dice", "hausdorff_mm"):
            means = frame.groupby("cut")[measure].mean()
            yield [method, way, measure, *(f"{means[cut]:.1f}" for cut in CUTS)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS], metavar="M")
    args = parser.parse_args()
    lines = []
    for method in args.methods:
        found = measured(args.folder.resolve(), method)
        if len(found):
            lines += table(found, method)
    sys.stdout.write(markdown_grid(HEADER, lines))


if __name__ == "__main__":
    main()
