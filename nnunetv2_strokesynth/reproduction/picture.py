"""The table's Dice as a picture: every scan, our mean with its interval, the paper's mean."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnunetv2_strokesynth.reporting.figures import COLOURS
from nnunetv2_strokesynth.reproduction.page import (
    NOT_THE_RECIPE,
    data_note,
    split_note,
)
from nnunetv2_strokesynth.reproduction.plan import Plan
from nnunetv2_strokesynth.reproduction.results import (
    DONE,
    RowResult,
)

OURS, PAPERS = COLOURS[:2]


def dice_figure(plan: Plan, results: list[RowResult]) -> Figure:
    """One line per row, in the table's order; rows without result show the paper's mean alone."""
    figure = Figure(figsize=(8.5, 1.9 + 0.55 * len(results)), layout="constrained")
    axes = figure.add_subplot()
    for height, result in enumerate(results):
        if result.status == DONE:
            _draw_ours(axes, result, height)
        elif result.row.trainer:
            axes.text(99, height, result.status, ha="right", va="center", color="0.45", fontsize=8)
        published = result.row.published
        if published is not None and "dice" in published.values:
            mean = published.values["dice"][0]
            axes.plot(mean, height + 0.22, "D", mfc="none", mec=PAPERS, ms=7, mew=1.6, zorder=4)
    axes.plot([], [], "o", color=OURS, ms=4, alpha=0.35, label="ours, one scan")
    axes.plot([], [], "-o", color=OURS, ms=7, label="ours, mean and 95 % interval")
    label = f"mean in the {plan.table.published_on}"
    axes.plot([], [], "D", mfc="none", mec=PAPERS, ms=7, mew=1.6, label=label)
    axes.set_yticks(range(len(results)), [result.row.label for result in results])
    axes.set(xlim=(-2, 102), ylim=(len(results) - 0.4, -0.6), xlabel="Dice (%)")
    axes.grid(axis="x", alpha=0.25)
    axes.set_yticks(np.arange(1, len(results)) - 0.5, minor=True)
    axes.grid(axis="y", which="minor", alpha=0.25)
    axes.tick_params(axis="y", which="minor", length=0)
    title = f"{plan.table.source}. Ours: {data_note(plan)}\n"
    title += split_note(plan).replace("*", "")
    title += "" if plan.is_papers_recipe else f"\n{NOT_THE_RECIPE}"
    figure.suptitle(title, fontsize=10.5)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def _draw_ours(axes: Axes, result: RowResult, height: int) -> None:
    values = 100 * result.cases["dice"].to_numpy(float)
    # A fixed spread instead of a random one: the same data give the same picture.
    offsets = 0.14 * np.cos(np.arange(values.size) * 2.4)
    axes.scatter(values, height - 0.12 + offsets, s=14, color=OURS, alpha=0.35, linewidths=0)
    dice = result.values["dice"]
    axes.plot([100 * dice.low, 100 * dice.high], [height - 0.12] * 2, color=OURS, lw=2.2, zorder=3)
    axes.plot(100 * dice.spread.mean, height - 0.12, "o", color=OURS, mec="white", ms=8, zorder=4)
