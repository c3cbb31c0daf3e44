"""Figure of ``strokesynth tune``: what every threshold and minimum size of a lesion reaches."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from nnunetv2_strokesynth.io.figure_file import figure_style

_DISTANCE, _NOT_COUNTABLE = "hausdorff_mm_mean", "hausdorff_not_countable"
HEATMAPS = (
    ("dice_mean", "mean Dice (%)", 100.0, 1, "viridis"),
    (_DISTANCE, "mean HD (mm)", 1.0, 1, "viridis_r"),
    ("mean_rank", "mean rank (1 = best)", 1.0, 1, "viridis_r"),
)


@figure_style()
def grid_heatmaps(tuning: dict) -> Figure:
    """Dice, HD and rank of every threshold and minimum size; the chosen one is framed.

    Args:
        tuning: content of the JSON that ``strokesynth tune`` writes.
    """
    grid = pd.DataFrame(tuning["grid"])
    figure = Figure(figsize=(13.2, 5.0), layout="constrained")
    for axes, (key, title, factor, digits, colours) in zip(
        figure.subplots(1, 3), HEATMAPS, strict=True
    ):
        values = grid.pivot(index="threshold", columns="min_size", values=key).astype(float)
        shown = values.to_numpy() * factor
        image = axes.imshow(shown, cmap=colours, aspect="auto")
        figure.colorbar(image, ax=axes, shrink=0.9)
        absent = None
        if key == _DISTANCE and _NOT_COUNTABLE in grid:
            absent = grid.pivot(index="threshold", columns="min_size", values=_NOT_COUNTABLE)
        _annotate(axes, shown, digits, image, absent=absent)
        row = values.index.get_loc(tuning["threshold"])
        column = values.columns.get_loc(tuning["min_size"])
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, ec="red", lw=2.5))
        axes.set_xticks(range(len(values.columns)), [f"{size:g}" for size in values.columns])
        axes.set_yticks(range(len(values.index)), [f"{value:g}" for value in values.index])
        axes.set(xlabel=f"minimum component size ({tuning['unit']})", title=title)
    figure.axes[0].set_ylabel("threshold of the lesion probability")
    n_cases = tuning["tuned_on"]["n_cases"]
    figure.suptitle(
        f"Post-processing tuned on {n_cases} cases; chosen (red): T = {tuning['threshold']:g}, "
        f"S_min = {tuning['min_size']:g} {tuning['unit']}; yellow is better. (n): as many "
        "cases have no HD, and the mean leaves them out",
        fontsize=10,
    )
    return figure


def _annotate(
    axes: Axes, shown: np.ndarray, digits: int, image, *, absent: pd.DataFrame | None = None
) -> None:
    """Write every value in its cell, dark on light cells and light on dark ones.

    Args:
        axes, image: the heat map.
        shown: its values.
        digits: decimals.
        absent: how many cases each value leaves out; None where it is the mean of all.
    """
    for (row, column), value in np.ndenumerate(shown):
        red, green, blue, _ = image.cmap(image.norm(value))
        luminance = 0.3 * red + 0.6 * green + 0.1 * blue
        text = f"{value:.{digits}f}" if np.isfinite(value) else "–"
        if absent is not None and absent.iloc[row, column] > 0:
            text += f"\n({absent.iloc[row, column]:.0f})"
        colour = "black" if luminance > 0.5 or not np.isfinite(value) else "white"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
