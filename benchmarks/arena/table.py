"""From the bouts to one row per method: means over scans, differences to stock nnU-Net."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nnunetv2_strokesynth.evaluation.statistics import (
    paired_difference,
    spread,
)
from nnunetv2_strokesynth.evaluation.tables import markdown_grid

BASELINE = "stock"
HEADER = (
    "method",
    "folds",
    "Dice %, final",
    "difference to stock [95 %]",
    "best checkpoint",
    "difference to stock's best [95 %]",
    "HD mm",
    "local SSIM",
    "training time",
)


def mean_over_folds(bouts: pd.DataFrame, checkpoint: str, column: str) -> pd.DataFrame:
    """Scans down, methods across; each cell the mean over the folds, NaN left out."""
    chosen = bouts[bouts["checkpoint"] == checkpoint]
    return chosen.pivot_table(index="case_id", columns="predictions", values=column)


def rows(bouts: pd.DataFrame) -> list[dict[str, str]]:
    """The table, methods in order of appearance.

    Args:
        bouts: ``contest.read_bout`` of all finished bouts. Methods are compared with the baseline
            over the folds that both have finished.
    """
    methods = bouts["predictions"].drop_duplicates()
    return [_row(bouts, method) for method in methods]


def _row(bouts: pd.DataFrame, method: str) -> dict[str, str]:
    own = bouts[bouts["predictions"] == method]
    folds = sorted(set(own["fold"]))
    baseline = bouts[bouts["predictions"] == BASELINE]
    shared = sorted(set(folds) & set(baseline["fold"]))
    cells: list[str] = [method, ", ".join(map(str, folds))]
    for checkpoint in ("final", "best"):
        dice = 100 * mean_over_folds(own, checkpoint, "dice")[method]
        cells.append(f"{dice.mean():.1f} ± {spread(dice.to_numpy()).sd:.1f}")
        cells.append(_difference(bouts[bouts["fold"].isin(shared)], method, checkpoint))
    distance = mean_over_folds(own, "final", "hausdorff_mm")[method]
    cells.append(f"{distance.mean():.1f} ({distance.notna().sum()})")
    cells.append(_mean(own, "ssim_local"))
    seconds, of_baseline = (_seconds(frame) for frame in (own, baseline))
    cells.append("" if np.isnan(of_baseline) else f"{seconds / of_baseline:.1f}")
    return dict(zip(HEADER, cells, strict=True))


def _difference(bouts: pd.DataFrame, method: str, checkpoint: str) -> str:
    if method == BASELINE or BASELINE not in set(bouts["predictions"]):
        return ""
    dice = 100 * mean_over_folds(bouts, checkpoint, "dice")
    found = paired_difference(dice[method].to_numpy(), dice[BASELINE].to_numpy())
    return f"{found.mean:+.1f} [{found.low:+.1f} to {found.high:+.1f}]"


def _mean(bouts: pd.DataFrame, column: str) -> str:
    """Over scans, of the last checkpoint; empty for what has no such column."""
    final = bouts[bouts["checkpoint"] == "final"]
    values = final.get(column, pd.Series(dtype=float)).dropna()
    return f"{values.mean():.2f}" if len(values) else ""


def _seconds(bouts: pd.DataFrame) -> float:
    """Mean over the folds."""
    per_fold = bouts.groupby("fold")["seconds"].first()
    return float(per_fold.mean()) if len(per_fold) else np.nan


def markdown(table: list[dict[str, str]]) -> str:
    """As a GitHub table."""
    return markdown_grid(HEADER, ([*row.values()] for row in table))
