"""The arena's methods at thresholds chosen alike, of single trainings and of the ensemble.

    python -m benchmarks.arena.probabilities ARENA_FOLDER [--methods stock strokesynth]

Dice, HD and volume of the held-out scans under each rule of ``threshold_rules.py``, with the paired
difference to stock nnU-Net under the same rule. "single" is the mean over the folds, scan by scan,
and is compared over the folds that both have; ensembles are compared if they have the same folds.
"ensemble" is the mean probability of the folds, which is what a user predicts with. The last column
is the best fixed threshold in hindsight, for which no rule exists. The probabilities are those of
the last checkpoint. Where a trainer has calibrated its threshold itself, 0.5 stands for it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.arena.data import NAME, held_out_groups, truth_folder
from benchmarks.arena.fold_run import begun_runs
from benchmarks.arena.methods import METHODS
from benchmarks.arena.run import settings_of
from benchmarks.arena.settings import Settings
from benchmarks.arena.table import BASELINE
from benchmarks.arena.threshold_rules import (
    CALIBRATED,
    EXPECTED,
    GRID,
    HALF,
    RULES,
    calibrated_threshold,
    dice_by_threshold,
    expected_dice_threshold,
)
from nnunetv2_strokesynth.evaluation.cases import case_files
from nnunetv2_strokesynth.evaluation.metrics import dice, hausdorff_mm
from nnunetv2_strokesynth.evaluation.statistics import paired_difference
from nnunetv2_strokesynth.evaluation.tables import markdown_grid
from nnunetv2_strokesynth.evaluation.volumes import read_lesion_probability, read_mask
from nnunetv2_strokesynth.io.process_pool import map_cases

SINGLE, ENSEMBLE = "single", "ensemble"
HEADER = (
    "method",
    "of",
    "rule",
    "threshold",
    "Dice %",
    "difference to stock [95 %]",
    "HD mm",
    "difference to stock [95 %]",
    "predicted / true volume",
    "best in hindsight",
)


class _Job(NamedTuple):
    """A held-out scan, the folders with its predictions by fold, and the calibrated thresholds."""

    case_id: str
    label: Path
    folders: dict[str, Path]
    thresholds: dict[str, float]


def _measured(job: _Job) -> list[dict]:
    label = read_mask(job.label)
    ways = {
        fold: read_lesion_probability(folder / f"{job.case_id}.npz")
        for fold, folder in job.folders.items()
    }
    ways[ENSEMBLE] = np.mean([*ways.values()], axis=0)
    rows = []
    for way, probability in ways.items():
        thresholds = {
            HALF: 0.5,
            CALIBRATED: job.thresholds[way],
            EXPECTED: expected_dice_threshold(probability),
        }
        by_threshold = dice_by_threshold(probability, label.array)
        for rule, threshold in thresholds.items():
            lesion = probability > threshold
            rows.append(
                {
                    "case_id": job.case_id,
                    "of": way,
                    "rule": rule,
                    "threshold": threshold,
                    "dice": 100 * dice(label.array, lesion),
                    "hausdorff_mm": hausdorff_mm(label.array, lesion, label.spacing_mm),
                    "voxels": int(lesion.sum()),
                    "true_voxels": int(label.array.sum()),
                    "dice_by_threshold": by_threshold,
                }
            )
    return rows


def measured(root: Path, method: str, *, workers: int = 1) -> pd.DataFrame:
    """A row for each scan, fold (or ensemble) and rule; empty without probabilities."""
    runs = [
        run
        for run in begun_runs(root, Settings(), METHODS[method])
        if any(run.folder.glob("final/*.npz"))
    ]
    if not runs:
        return pd.DataFrame()
    labels = root / "nnUNet_raw" / NAME / "labelsTr"
    validation = {run.folder.name: run.model / "validation" for run in runs}
    thresholds = {fold: calibrated_threshold([path], labels) for fold, path in validation.items()}
    thresholds[ENSEMBLE] = calibrated_threshold([*validation.values()], labels)
    folders = {run.folder.name: run.folder / "final" for run in runs}
    jobs = [
        _Job(case_id, label, folders, thresholds)
        for case_id, label in case_files(truth_folder(root) / "labels").items()
    ]
    rows = map_cases(_measured, jobs, workers=workers, description=method)
    return pd.DataFrame([row for scan in rows for row in scan])


def compared_with(own: pd.DataFrame, stock: pd.DataFrame, way: str) -> list[pd.DataFrame]:
    """Rows of a method and of stock that may be compared; none where the folds forbid it."""
    folds = [set(frame["of"]) - {ENSEMBLE} for frame in (own, stock)]
    shared = folds[0] & folds[1] if way == SINGLE else {ENSEMBLE} if folds[0] == folds[1] else set()
    return [frame[frame["of"].isin(shared)] for frame in (own, stock)]


def by_scan(found: pd.DataFrame, way: str, rule: str) -> pd.DataFrame:
    """Dice and HD of each scan (index ``case_id``); of single trainings, their mean over folds."""
    is_ensemble = found["of"] == ENSEMBLE
    chosen = found[(is_ensemble if way == ENSEMBLE else ~is_ensemble) & (found["rule"] == rule)]
    columns = ["dice", "hausdorff_mm", "threshold", "voxels", "true_voxels"]
    return chosen.groupby("case_id")[columns].mean()


def table(found: dict[str, pd.DataFrame]) -> Iterator[list[str]]:
    """Rows of the table.

    Args:
        found: method -> ``measured``.
    """
    for method, frame in found.items():
        for way in (SINGLE, ENSEMBLE):
            for rule in RULES:
                own = by_scan(frame, way, rule)
                pair = [
                    by_scan(rows, way, rule)
                    for rows in compared_with(frame, found.get(BASELINE, frame), way)
                    if method != BASELINE and BASELINE in found
                ]
                yield [
                    method,
                    way,
                    rule,
                    f"{own['threshold'].mean():.2f}",
                    f"{own['dice'].mean():.1f}",
                    _difference(pair, "dice"),
                    f"{own['hausdorff_mm'].mean():.1f} ({own['hausdorff_mm'].notna().sum()})",
                    _difference(pair, "hausdorff_mm"),
                    f"{own['voxels'].sum() / own['true_voxels'].sum():.2f}",
                    _in_hindsight(frame, way) if rule == HALF else "",
                ]


def _difference(pair: list[pd.DataFrame], column: str) -> str:
    if not all(len(rows) for rows in pair) or not pair:
        return ""
    own, stock = pair[0].align(pair[1], join="inner", axis=0)
    found = paired_difference(own[column].to_numpy(), stock[column].to_numpy())
    return f"{found.mean:+.1f} [{found.low:+.1f} to {found.high:+.1f}]"


def _in_hindsight(found: pd.DataFrame, way: str) -> str:
    is_ensemble = found["of"] == ENSEMBLE
    chosen = found[(is_ensemble if way == ENSEMBLE else ~is_ensemble) & (found["rule"] == HALF)]
    mean = np.mean(np.stack([*chosen["dice_by_threshold"]]), axis=0)
    return f"{100 * mean.max():.1f} at {GRID[mean.argmax()]:.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS], metavar="M")
    parser.add_argument("--workers", type=int, default=1, help="processes (%(default)s)")
    args = parser.parse_args()
    root = args.folder.resolve()
    found = {}
    for method in dict.fromkeys((BASELINE, *args.methods)):
        rows = measured(root, method, workers=args.workers)
        if len(rows):
            found[method] = rows
    settings = settings_of(root, {})
    scans = {scan for rows in found.values() for scan in rows["case_id"]}
    for title, group in held_out_groups(sorted(scans), root, settings).items():
        chosen = {name: rows[rows["case_id"].isin(group)] for name, rows in found.items()}
        page = markdown_grid(HEADER, table(chosen))
        sys.stdout.write(f"{title}: {len(group)}.\n\n{page}\n")


if __name__ == "__main__":
    main()
