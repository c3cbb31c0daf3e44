"""What the tolerance of ``trainers.threshold_calibration`` costs in Dice and saves in HD.

    python benchmarks/arena/decisions.py ARENA_FOLDER ...

For every finished bout the decision is made again, on the probabilities of the fold's validation
scans, with several tolerances; Dice and HD are those of the held-out scans. A tolerance of 1 leaves
the decision at one half.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from contest import Bout, begun_bouts
from data import NAME, truth_folder
from methods import METHODS
from scipy.special import logit
from settings import Settings
from tqdm import tqdm

from nnunetv2_strokesynth.evaluation.metrics import hausdorff_mm
from nnunetv2_strokesynth.evaluation.tables import markdown_grid
from nnunetv2_strokesynth.evaluation.volumes import (
    Volume,
    read_lesion_probability,
    read_mask,
)
from nnunetv2_strokesynth.trainers.threshold_calibration import (
    SHIFTS,
    best_shift,
    dice_by_shift,
)

TOLERANCES = (0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 1.0)
HEADER = ("bout", *(f"{tolerance:g}" for tolerance in TOLERANCES))
# In the log of ``ThresholdCalibration``; older logs call it the decision.
_MOVED = re.compile(r": lesion from a probability of ([0-9.]+) on")
_LEAST = 1e-7  # of a probability, as of its complement


class Scan(NamedTuple):
    """Logit of the lesion minus that of the background (Z, Y, X), as trained; and the truth."""

    margin: np.ndarray
    label: Volume


def read_scans(folder: Path, labels: Path, moved: float) -> Iterator[Scan]:
    """The scans of a folder with nnU-Net's stored probabilities, without the decision's shift."""
    for path in sorted(folder.glob("*.npz")):
        probability = read_lesion_probability(path).astype(float).clip(_LEAST, 1 - _LEAST)
        yield Scan(logit(probability) - moved, read_mask(labels / f"{path.stem}.nii.gz"))


def moved_by(log: str) -> float:
    """The shift of the logit that a training has ended with, from its log; 0 if with none."""
    found = _MOVED.findall(log)
    if not found:
        return 0.0
    probability = float(found[-1])
    return float(SHIFTS[np.abs(SHIFTS + logit(probability)).argmin()])  # the log rounds


def outcomes(validation: list[Scan], held_out: list[Scan]) -> list[tuple[float, float]]:
    """Mean Dice in per cent and HD in mm for each of ``TOLERANCES``."""
    dice = np.stack([dice_by_shift(scan.margin, scan.label.array, SHIFTS) for scan in validation])
    shifts = [best_shift(dice, SHIFTS, tolerance) for tolerance in TOLERANCES]
    known = {s: (_dice(held_out, s), _distance_mm(held_out, s)) for s in set(shifts)}
    return [known[shift] for shift in shifts]


def _dice(scans: list[Scan], shift: float) -> float:
    shifts = np.array([shift])
    return 100 * np.mean([dice_by_shift(s.margin, s.label.array, shifts)[0] for s in scans])


def _distance_mm(scans: list[Scan], shift: float) -> float:
    """NaN where no scan is countable."""
    distances = np.array(
        [hausdorff_mm(s.label.array, s.margin + shift > 0, s.label.spacing_mm) for s in scans]
    )
    countable = distances[np.isfinite(distances)]
    return float(countable.mean()) if countable.size else np.nan


def bouts(root: Path) -> Iterator[Bout]:
    """Those whose probabilities are stored."""
    for method in METHODS.values():
        for bout in begun_bouts(root, Settings(), method):
            predicted = (bout.folder / "final", bout.model / "validation")
            if all(any(folder.glob("*.npz")) for folder in predicted):
                yield bout


def main() -> None:
    """Print a row per bout, and their mean: Dice / HD."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    found = [bout for root in parser.parse_args().folders for bout in bouts(root.resolve())]
    rows, values = [], []
    for bout in tqdm(found, desc="decisions", unit="training"):
        moved = moved_by((bout.folder / "train.txt").read_text(encoding="utf-8"))
        truth = truth_folder(bout.root) / "labels"
        trained_on = bout.root / "nnUNet_raw" / NAME / "labelsTr"
        validation = [*read_scans(bout.model / "validation", trained_on, moved)]
        held_out = [*read_scans(bout.folder / "final", truth, moved)]
        values.append(outcomes(validation, held_out))
        name = f"{bout.root.name}, {bout.method.name}, fold {bout.fold}"
        rows.append([name, *(f"{dice:.1f} / {mm:.1f}" for dice, mm in values[-1])])
    if values:
        means = np.mean(values, axis=0)
        rows.append([f"mean of {len(rows)}", *(f"{dice:.1f} / {mm:.1f}" for dice, mm in means)])
    sys.stdout.write(markdown_grid(HEADER, rows))


if __name__ == "__main__":
    main()
