"""Dice and HD of the arena's finished methods at several thresholds of the lesion probability.

    python -m benchmarks.arena.probabilities ARENA_FOLDER [--methods stock strokesynth]

The table has a row for each fold, for the mean over the folds, and for the ensemble of the folds,
which is what a user predicts with. The probabilities are those of the last checkpoint. Where a
trainer has calibrated its threshold, 0.5 stands for the calibrated one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.arena.data import truth_folder
from benchmarks.arena.fold_run import begun_runs
from benchmarks.arena.methods import METHODS
from benchmarks.arena.settings import Settings
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

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
ENSEMBLE = "ensemble"
HEADER = ("method", "of", "measure", *(f"{threshold:g}" for threshold in THRESHOLDS))


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
            "threshold": threshold,
            "dice": 100 * dice(label.array, lesion := probability > threshold),
            "hausdorff_mm": hausdorff_mm(label.array, lesion, label.spacing_mm),
        }
        for way, probability in ways.items()
        for threshold in THRESHOLDS
    ]


def measured(root: Path, method: str) -> pd.DataFrame:
    """A row for each scan, fold (or ensemble) and threshold; empty without probabilities."""
    runs = begun_runs(root, Settings(), METHODS[method])
    folders = tuple(run.folder / "final" for run in runs if any(run.folder.glob("final/*.npz")))
    if not folders:
        return pd.DataFrame()
    labels = case_files(truth_folder(root) / "labels")
    jobs = [_Job(case_id, label, folders) for case_id, label in labels.items()]
    rows = map_cases(_measured, jobs, workers=1, description=method)
    return pd.DataFrame([row for scan in rows for row in scan])


def table(found: pd.DataFrame, method: str) -> Iterator[list[str]]:
    """Rows of the table: each fold, their mean, the ensemble."""
    single = found[found["of"] != ENSEMBLE]
    ways = [*single.groupby("of"), ("mean", single), (ENSEMBLE, found[found["of"] == ENSEMBLE])]
    for way, frame in ways:
        for measure in ("dice", "hausdorff_mm"):
            means = frame.groupby("threshold")[measure].mean()
            yield [method, way, measure, *(f"{means[threshold]:.1f}" for threshold in THRESHOLDS)]


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
