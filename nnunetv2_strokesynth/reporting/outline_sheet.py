"""The contact sheet of outlines that networks made: DWI, outline, probability; the worst first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from nnunetv2_strokesynth.io.figure_file import figure_style, save_png
from nnunetv2_strokesynth.reporting.fitted_text import letters, shortened
from nnunetv2_strokesynth.reporting.slice_image import (
    GT_COLOUR,
    PREDICTION_COLOUR,
    Outline,
    draw_slice,
    widest_lesion_slice,
)

ROWS_PER_SHEET = 10
LINE_LENGTH = 110
_ROW_INCHES, _LABEL_FONT = 2.3, 7.0
_TITLES = ("DWI, own grey scale", "outline", "probability, 0 black to 1 white")


class SheetRow(NamedTuple):
    """One scan on the sheet.

    Attributes:
        label: stands on the left.
        agreement: of the readers, by which the rows are sorted.
        dwi: (Y, X), the slice with the most lesion.
        probability: (Y, X), in [0, 1].
        outline: bool (Y, X), the readers'.
        drawn: bool (Y, X), a person's; None without one.
        sides_known: whether the header tells the patient's right from the left.
        aspect: pixel height / pixel width.
    """

    label: str
    agreement: float
    dwi: np.ndarray
    probability: np.ndarray
    outline: np.ndarray
    drawn: np.ndarray | None
    sides_known: bool
    aspect: float


def sheet_slice(outline: np.ndarray, probability: np.ndarray) -> int:
    """The slice with the most lesion; where no voxel is lesion, that with the most probability."""
    if outline.any():
        return widest_lesion_slice(outline)
    return int(np.argmax(probability.reshape(len(probability), -1).sum(axis=1)))


def write_sheets(
    rows: Sequence[SheetRow], folder: Path, warnings: Sequence[str] = ()
) -> list[Path]:
    """Write ``outlines_01.png`` and so on, ten scans each, those that agree least first.

    Warnings stand above each sheet.
    """
    ordered = sorted(rows, key=lambda row: row.agreement)
    paths = []
    for first in range(0, len(ordered), ROWS_PER_SHEET):
        paths.append(folder / f"outlines_{len(paths) + 1:02d}.png")
        sheet = _draw(ordered[first : first + ROWS_PER_SHEET], warnings)
        save_png(sheet, paths[-1], dpi=110)
    return paths


def _dwi_window(dwi: np.ndarray) -> tuple[float, float]:
    """Almost to the brightest pixels: in a DWI they are the lesion."""
    values = dwi[dwi != 0]
    low, high = np.percentile(values, (1, 99.8)) if values.size else (0.0, 1.0)
    return float(low), float(high)


@figure_style()
def _draw(rows: Sequence[SheetRow], warnings: Sequence[str]) -> Figure:
    lines = [line for warning in warnings for line in wrap(f"warning: {warning}", LINE_LENGTH)]
    height = _ROW_INCHES * len(rows) + 0.6 + 0.14 * len(lines)
    figure = Figure(figsize=(7.5, height), layout="constrained")
    grid = figure.subplots(len(rows), len(_TITLES), squeeze=False)
    for axes, row in zip(grid, rows, strict=True):
        outlines = [Outline(row.outline, PREDICTION_COLOUR, width=1.4, dashed=True)]
        if row.drawn is not None:
            outlines.append(Outline(row.drawn, GT_COLOUR, width=1.4))
        images = (row.dwi, row.dwi, row.probability)
        for place, image in enumerate(images):
            draw_slice(
                axes[place],
                image,
                sides_known=row.sides_known,
                window=(0.0, 1.0) if image is row.probability else _dwi_window(row.dwi),
                aspect=row.aspect,
                outlines=outlines if _TITLES[place] == "outline" else (),
                small=True,
            )
        room = letters(_ROW_INCHES - 0.2, _LABEL_FONT)
        label = "\n".join(shortened(line, room) for line in row.label.splitlines())
        axes[0].set_ylabel(label, fontsize=_LABEL_FONT)
    for axes, title in zip(grid[0], _TITLES, strict=True):
        axes.set_title(title, fontsize=9)
    legend = "magenta, dashed: the readers' outline; cyan: a person's correction"
    figure.suptitle("\n".join([*lines, legend]), fontsize=8)
    return figure
