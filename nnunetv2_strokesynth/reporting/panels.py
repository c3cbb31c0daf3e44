"""Image panels: one row per scan, one column per image, lesion outlines on top.

Radiological orientation as the arrays are stored: rows run from anterior to posterior, the
patient's right is on the left of the picture. Ground truth is outlined in green, the prediction in
yellow.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np

from nnunetv2_strokesynth.io.atomic import atomic_file

matplotlib.use("agg")
import matplotlib.pyplot as plt  # noqa: E402  (the backend must be chosen first)
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402

GT_COLOUR, PREDICTION_COLOUR = "lime", "yellow"


class Panel(NamedTuple):
    """One column: title, slice ``(Y, X)`` or None (left blank), grey window, colour map."""

    title: str
    image: np.ndarray | None
    window: tuple[float, float] | None = None
    colour_map: str = "gray"


class Row(NamedTuple):
    """One scan: label on the left, its panels, and outlines drawn on the panels named."""

    label: str
    panels: Sequence[Panel]
    lesion_gt: np.ndarray | None = None
    lesion_pred: np.ndarray | None = None
    outlined: Sequence[str] = ()


def widest_lesion_slice(lesion: np.ndarray) -> int:
    """The slice of ``(Z, Y, X)`` with the most lesion voxels; the middle one without any."""
    areas = lesion.reshape(len(lesion), -1).sum(axis=1)
    return int(np.argmax(areas)) if areas.any() else len(lesion) // 2


def robust_window(image: np.ndarray) -> tuple[float, float]:
    """Grey window from the 1st to the 98th percentile of the non-zero pixels.

    In a perfusion map the vessels are the brightest few per cent; the lesion is not among them.
    """
    values = image[np.isfinite(image) & (image != 0)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, (1, 98))
    return float(low), float(high if high > low else low + 1.0)


def _draw(axis: plt.Axes, panel: Panel, row: Row) -> None:
    axis.set(xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)
    if panel.image is None:
        axis.text(0.5, 0.5, "none", ha="center", va="center", color="0.5")
        return
    low, high = panel.window or robust_window(panel.image)
    axis.imshow(panel.image, cmap=panel.colour_map, vmin=low, vmax=high, interpolation="nearest")
    if panel.title not in row.outlined:
        return
    for mask, colour in ((row.lesion_gt, GT_COLOUR), (row.lesion_pred, PREDICTION_COLOUR)):
        if mask is not None and mask.any():
            axis.contour(mask.astype(float), levels=[0.5], colors=colour, linewidths=1.0)


def draw_panel(panel: Panel, row: Row, *, aspect: float = 1.0, inches: float = 2.4) -> Figure:
    """One image alone, without margins or title, with an R on the patient's right.

    Args:
        panel: what to draw; its image is not None.
        row: the scan it belongs to, for the outlines.
        aspect: pixel height / pixel width.
        inches: width of the figure.
    """
    n_rows, n_columns = panel.image.shape
    figure = Figure(figsize=(inches, inches * aspect * n_rows / n_columns))
    axes = figure.add_axes((0, 0, 1, 1))
    _draw(axes, panel, row)
    axes.set_aspect(aspect)
    axes.text(0.02, 0.5, "R", transform=axes.transAxes, color="white", fontsize=8, va="center")
    return figure


def draw_rows(rows: Sequence[Row], *, title: str = "", panel_inches: float = 1.6) -> Figure:
    """A figure with one row per scan; the first row's panels give the column titles."""
    n_columns = len(rows[0].panels)
    figure, axes = plt.subplots(
        len(rows),
        n_columns,
        figsize=(panel_inches * n_columns, panel_inches * len(rows) + 0.8),
        squeeze=False,
        layout="constrained",
    )
    for row_axes, row in zip(axes, rows, strict=True):
        row_axes[0].set_ylabel(row.label, fontsize=8)
        for axis, panel in zip(row_axes, row.panels, strict=True):
            _draw(axis, panel, row)
    for axis, panel in zip(axes[0], rows[0].panels, strict=True):
        axis.set_title(panel.title, fontsize=9)
    handles = [
        Line2D([], [], color=GT_COLOUR, label="ground truth"),
        Line2D([], [], color=PREDICTION_COLOUR, label="prediction"),
    ]
    figure.legend(handles=handles, loc="outside lower right", ncols=2, fontsize=8, facecolor="0.4")
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def save_rows(rows: Sequence[Row], path: Path, *, title: str = "") -> None:
    """Draw and write the PNG, completely or not at all."""
    figure = draw_rows(rows, title=title)
    with atomic_file(path) as temporary:
        figure.savefig(temporary, dpi=130)
    plt.close(figure)
