"""A table's Dice as a picture: every scan, our mean with its interval, the paper's mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnunetv2_strokesynth.io.figure_file import COLOURS, figure_style

OURS, PAPERS = COLOURS[:2]


class OurDice(NamedTuple):
    """Dice of one row as we measured it, in per cent.

    Attributes:
        values: one per scan.
        mean: of them.
        low, high: ends of the interval of the mean.
    """

    values: np.ndarray
    mean: float
    low: float
    high: float


class DiceRow(NamedTuple):
    """One line of the picture.

    Attributes:
        label: of the row.
        ours: None without a result.
        status: what is written in place of a result; may be empty.
        published: the paper's mean in per cent; None if it prints none.
    """

    label: str
    ours: OurDice | None
    status: str
    published: float | None


@figure_style()
def dice_figure(rows: Sequence[DiceRow], *, title: str, published_on: str) -> Figure:
    """One line per row, from the top; rows without result show the paper's mean alone.

    Args:
        rows: in the table's order.
        title: above the picture.
        published_on: where the papers' means come from, for the legend.
    """
    figure = Figure(figsize=(8.5, 1.9 + 0.55 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for height, row in enumerate(rows):
        if row.ours is not None:
            _draw_ours(axes, row.ours, height)
        elif row.status:
            axes.text(99, height, row.status, ha="right", va="center", color="0.45", fontsize=8)
        if row.published is not None:
            axes.plot(row.published, height + 0.22, "D", **_PAPERS_STYLE, zorder=4)
    axes.plot([], [], "o", color=OURS, ms=4, alpha=0.35, label="ours, one scan")
    axes.plot([], [], "-o", color=OURS, ms=7, label="ours, mean and 95 % interval")
    axes.plot([], [], "D", **_PAPERS_STYLE, label=f"mean in the {published_on}")
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.set(xlim=(-2, 102), ylim=(len(rows) - 0.4, -0.6), xlabel="Dice (%)")
    axes.grid(axis="x", alpha=0.25)
    axes.set_yticks(np.arange(1, len(rows)) - 0.5, minor=True)
    axes.grid(axis="y", which="minor", alpha=0.25)
    axes.tick_params(axis="y", which="minor", length=0)
    figure.suptitle(title, fontsize=10.5)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


_PAPERS_STYLE = {"mfc": "none", "mec": PAPERS, "ms": 7, "mew": 1.6}


def _draw_ours(axes: Axes, dice: OurDice, height: int) -> None:
    # A fixed spread instead of a random one: the same data give the same picture.
    offsets = 0.14 * np.cos(np.arange(dice.values.size) * 2.4)
    axes.scatter(dice.values, height - 0.12 + offsets, s=14, color=OURS, alpha=0.35, linewidths=0)
    axes.plot([dice.low, dice.high], [height - 0.12] * 2, color=OURS, lw=2.2, zorder=3)
    axes.plot(dice.mean, height - 0.12, "o", color=OURS, mec="white", ms=8, zorder=4)
