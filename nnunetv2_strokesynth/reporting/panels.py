"""Image panels: one row per scan, one column per image, lesion outlines on top.

Slices are drawn as they are given. Where their sides are known, they are in radiological
orientation: rows run from anterior to posterior, the patient's right is on the left of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from nnunetv2_strokesynth.io.figure_file import figure_style, save_png
from nnunetv2_strokesynth.reporting.fitted_text import letters, shortened
from nnunetv2_strokesynth.reporting.slice_image import (
    GT_COLOUR,
    PREDICTION_COLOUR,
    draw_slice,
    hide_axes,
    lesion_outlines,
    robust_window,
)

_BAR_HEIGHT = 0.06  # of a colour bar, in heights of a panel


class Panel(NamedTuple):
    """One column: title, slice ``(Y, X)`` or None (left blank), window, colour map, unit."""

    title: str
    image: np.ndarray | None
    window: tuple[float, float] | None = None
    colour_map: str = "gray"
    unit: str = ""


class Row(NamedTuple):
    """One scan: label on the left, its panels, and outlines drawn on the panels named.

    ``sides_known`` says whether the scan's header tells the patient's right from the left.
    """

    label: str
    panels: Sequence[Panel]
    lesion_gt: np.ndarray | None = None
    lesion_pred: np.ndarray | None = None
    outlined: Sequence[str] = ()
    sides_known: bool = False


def _draw(axes: Axes, panel: Panel, row: Row, *, aspect: float = 1.0) -> AxesImage | None:
    if panel.image is None:
        hide_axes(axes)
        axes.text(0.5, 0.5, "none", ha="center", va="center", color="0.5")
        return None
    is_outlined = panel.title in row.outlined
    return draw_slice(
        axes,
        panel.image,
        sides_known=row.sides_known,
        window=panel.window or robust_window(panel.image),
        colour_map=panel.colour_map,
        aspect=aspect,
        outlines=lesion_outlines(row.lesion_gt, row.lesion_pred) if is_outlined else (),
    )


@figure_style()
def draw_panel(panel: Panel, row: Row, *, aspect: float = 1.0, inches: float = 2.4) -> Figure:
    """One image alone, without margins or title.

    Args:
        panel: what to draw; its image is not None.
        row: the scan it belongs to, for the outlines.
        aspect: pixel height / pixel width.
        inches: width of the figure.
    """
    n_rows, n_columns = panel.image.shape
    figure = Figure(figsize=(inches, inches * aspect * n_rows / n_columns))
    axes = figure.add_axes((0, 0, 1, 1))
    _draw(axes, panel, row, aspect=aspect)
    return figure


@figure_style()
def draw_rows(rows: Sequence[Row], *, title: str = "", panel_inches: float = 1.6) -> Figure:
    """A figure with one row per scan; the first row's panels give the column titles.

    Under a column whose panels share one window lies a colour bar.
    """
    n_columns = len(rows[0].panels)
    size = (panel_inches * n_columns, panel_inches * len(rows) + 0.8)
    figure = Figure(figsize=size, layout="constrained")
    heights = [1.0] * len(rows) + [_BAR_HEIGHT]
    grid = figure.subplots(len(heights), n_columns, height_ratios=heights)
    *grid, bars = np.reshape(grid, (len(heights), n_columns))
    for row_axes, row in zip(grid, rows, strict=True):
        lines = (shortened(one, letters(panel_inches, 8)) for one in row.label.splitlines())
        row_axes[0].set_ylabel("\n".join(lines), fontsize=8)
        drawn = [_draw(axes, panel, row) for axes, panel in zip(row_axes, row.panels, strict=True)]
    for index, (axes, panel) in enumerate(zip(grid[0], rows[0].panels, strict=True)):
        axes.set_title(panel.title, fontsize=9)
        windows = {row.panels[index].window for row in rows}
        if len(windows) == 1 and None not in windows and drawn[index] is not None:
            bar = figure.colorbar(drawn[index], cax=bars[index], orientation="horizontal")
            bar.ax.tick_params(labelsize=7)
            bar.set_label(panel.unit, fontsize=7)
        else:
            bars[index].set_axis_off()
    handles = [
        Line2D([], [], color=GT_COLOUR, lw=2, label="ground truth"),
        Line2D([], [], color=PREDICTION_COLOUR, lw=2, ls="--", label="prediction"),
    ]
    figure.legend(
        handles=handles,
        loc="outside lower right",
        ncols=2,
        fontsize=8,
        facecolor="0.2",
        labelcolor="white",
    )
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def save_rows(rows: Sequence[Row], path: Path, *, title: str = "") -> None:
    """Draw and write the PNG, completely or not at all."""
    save_png(draw_rows(rows, title=title), path, dpi=130)
