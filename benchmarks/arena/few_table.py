"""Tables of an arena with few outlines."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.arena.table import BASELINE, mean_over_folds
from nnunetv2_strokesynth.evaluation.statistics import paired_difference, spread
from nnunetv2_strokesynth.evaluation.tables import markdown_grid

ARM = ["outlined", "pairs", "learned_from"]
RESULTS_HEADER = (
    "outlined",
    "pairs",
    "learned from",
    "method",
    "folds",
    "Dice %",
    "to stock with the outlines only [95 %]",
    "to stock on the same data [95 %]",
    "HD mm",
    "training time (s)",
)
OUTLINES_HEADER = ("outlined", "pairs", "learned from", "folds", "outlines", "agreement", "Dice %",
                   "used", "Dice % of the used", "lowest used")  # fmt: skip


def results_page(scans: pd.DataFrame) -> str:
    """A row for each arm and method, as a GitHub table.

    Args:
        scans: ``fold_run.read_run`` of all runs, with ``outlined``, ``pairs`` and
            ``learned_from``. Two are compared over the folds that both have finished.
    """
    rows = []
    for (*arm, method), own in scans.groupby([*ARM, "predictions"], sort=False):
        outlined, pairs, learned_from = arm
        same_number = (scans["outlined"] == outlined) & (scans["predictions"] == BASELINE)
        alone = scans[same_number & (scans["learned_from"] == "outlines_only")]
        same_data = scans[
            same_number & (scans["pairs"] == pairs) & (scans["learned_from"] == learned_from)
        ]
        dice = 100 * mean_over_folds(own, "final", "dice")[method]
        distance = mean_over_folds(own, "final", "hausdorff_mm").get(method, pd.Series(dtype=float))
        rows.append(
            [
                str(outlined),
                str(pairs),
                learned_from,
                str(method),
                ", ".join(map(str, sorted(set(own["fold"])))),
                f"{dice.mean():.1f} ± {spread(dice.to_numpy()).sd:.1f}",
                _difference(own, alone),
                _difference(own, same_data),
                f"{distance.mean():.1f} ({distance.notna().sum()})",
                f"{own.groupby('fold')['seconds'].first().mean():.0f}",
            ]
        )
    return markdown_grid(RESULTS_HEADER, rows)


def _difference(own: pd.DataFrame, other: pd.DataFrame) -> str:
    """Paired over the scans, the mean over the shared folds; empty for the same runs.

    Of the last checkpoint, as the Dice beside it.
    """
    shared = set(own["fold"]) & set(other["fold"])
    if not shared or own.index.equals(other.index):
        return ""
    one, two = (
        100 * frame[frame["fold"].isin(shared)].groupby("case_id")["dice"].mean()
        for frame in (rows[rows["checkpoint"] == "final"] for rows in (own, other))
    )
    one, two = one.align(two, join="inner")
    found = paired_difference(one.to_numpy(), two.to_numpy())
    return f"{found.mean:+.1f} [{found.low:+.1f} to {found.high:+.1f}]"


def outlines_page(outlines: pd.DataFrame) -> str:
    """How good machine outlines are, a row for each arm.

    Args:
        outlines: ``readers.csv``.
    """
    rows = []
    for (outlined, pairs, learned_from), own in outlines.groupby(ARM):
        used = own[own["verdict"] == "used"]
        rows.append(
            [
                str(outlined),
                str(pairs),
                learned_from,
                ", ".join(map(str, sorted(set(own["fold"])))),
                str(len(own)),
                f"{own['agreement'].mean():.2f}",
                f"{100 * own['dice'].mean():.1f}",
                str(len(used)),
                f"{100 * used['dice'].mean():.1f}" if len(used) else "",
                f"{100 * np.min(used['dice']):.1f}" if len(used) else "",
            ]
        )
    return markdown_grid(OUTLINES_HEADER, rows)
