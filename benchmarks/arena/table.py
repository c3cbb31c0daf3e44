"""One row for each method: means over scans, and differences to stock nnU-Net."""

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
    "contrast (DWI's own)",
    "AUC",
    "best cut, Dice %",
    "training time",
)


def mean_over_folds(scans: pd.DataFrame, checkpoint: str, column: str) -> pd.DataFrame:
    """A row for each scan, a column for each method; means over the folds without NaN."""
    chosen = scans[scans["checkpoint"] == checkpoint]
    return chosen.pivot_table(index="case_id", columns="predictions", values=column)


def rows(scans: pd.DataFrame) -> list[dict[str, str]]:
    """The table, methods in order of appearance.

    Args:
        scans: ``fold_run.read_run`` of all finished runs. Methods are compared with the baseline
            over the folds that both have finished.
    """
    methods = scans["predictions"].drop_duplicates()
    return [_row(scans, method) for method in methods]


def _row(scans: pd.DataFrame, method: str) -> dict[str, str]:
    own = scans[scans["predictions"] == method]
    folds = sorted(set(own["fold"]))
    baseline = scans[scans["predictions"] == BASELINE]
    shared = sorted(set(folds) & set(baseline["fold"]))
    cells: list[str] = [method, ", ".join(map(str, folds))]
    for checkpoint in ("final", "best"):
        if checkpoint not in set(own["checkpoint"]):
            cells += ["", ""]
            continue
        dice = 100 * mean_over_folds(own, checkpoint, "dice")[method]
        cells.append(f"{dice.mean():.1f} ± {spread(dice.to_numpy()).sd:.1f}")
        cells.append(_difference(scans[scans["fold"].isin(shared)], method, checkpoint))
    distance = mean_over_folds(own, "final", "hausdorff_mm")[method]
    cells.append(f"{distance.mean():.1f} ({distance.notna().sum()})")
    cells.append(_mean(own, "ssim_local"))
    of_dwi = _mean(own, "dwi_lesion_contrast")
    cells.append(f"{_mean(own, 'lesion_contrast')} ({of_dwi})" if of_dwi else "")
    cells.append(_mean(own, "lesion_auc"))
    cells.append(_mean(own, "cut_dice", factor=100, digits=1))
    seconds, of_baseline = (_seconds(frame) for frame in (own, baseline))
    cells.append("" if np.isnan(of_baseline) else f"{seconds / of_baseline:.1f}")
    return dict(zip(HEADER, cells, strict=True))


def _difference(scans: pd.DataFrame, method: str, checkpoint: str) -> str:
    if method == BASELINE or BASELINE not in set(scans["predictions"]):
        return ""
    dice = 100 * mean_over_folds(scans, checkpoint, "dice")
    if BASELINE not in dice:
        return ""
    found = paired_difference(dice[method].to_numpy(), dice[BASELINE].to_numpy())
    return f"{found.mean:+.1f} [{found.low:+.1f} to {found.high:+.1f}]"


def _mean(scans: pd.DataFrame, column: str, *, factor: float = 1.0, digits: int = 2) -> str:
    """Mean over scans of the last checkpoint; empty for a method without such values."""
    final = scans[scans["checkpoint"] == "final"]
    values = final.get(column, pd.Series(dtype=float)).dropna()
    return f"{factor * values.mean():.{digits}f}" if len(values) else ""


def _seconds(scans: pd.DataFrame) -> float:
    """Seconds of a training, the mean over the folds."""
    per_fold = scans.groupby("fold")["seconds"].first()
    return float(per_fold.mean()) if len(per_fold) else np.nan


def markdown(table: list[dict[str, str]]) -> str:
    """The rows as a GitHub table."""
    return markdown_grid(HEADER, ([*row.values()] for row in table))
