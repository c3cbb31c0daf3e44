"""Held-out scans of an arena: maps, pseudo-DWI, DWI and outlines, a row for each scan.

    python -m benchmarks.held_out_figure ARENA_FOLDER held_out.png [--method strokesynth] [--fold 0]

The scans are not chosen by their results: those of the vendors left out (of all vendors where none
is left out) are sorted by the volume of their true lesion and cut into as many groups of equal
size as there are rows; the middle one of each group is drawn, in its slice with most lesion. All
pictures are outputs of the trained model on scans that it has not seen.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.arena.data import NAME, held_out_groups, held_out_vendors, truth_folder
from benchmarks.arena.fold_run import FoldRun, read_run
from benchmarks.arena.methods import METHODS
from benchmarks.arena.run import settings_of
from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import read_record
from nnunetv2_strokesynth.evaluation.volumes import read_image
from nnunetv2_strokesynth.io.figure_file import figure_style, save_png
from nnunetv2_strokesynth.reporting.case_images import (
    DWI,
    PSEUDO_DWI,
    CaseFiles,
    CasePanels,
    case_panels,
)
from nnunetv2_strokesynth.reporting.panels import Panel
from nnunetv2_strokesynth.reporting.slice_image import (
    GT_COLOUR,
    PREDICTION_COLOUR,
    draw_slice,
    lesion_outlines,
)

CHANNELS = ("CT", "CBF", "Tmax")
OUTLINES = "outlines on the DWI"
TITLES = {
    "CT": "CT\n0 to 80 HU",
    "CBF": "CBF, vendor's units\n0 to 98th percentile",
    "Tmax": "Tmax\n0 to 12 s",
    PSEUDO_DWI: "pseudo-DWI\nhealthy brain: mid-grey",
    DWI: "real DWI\nthe same window",
    OUTLINES: "outlines\non the real DWI",
}
TMAX_WINDOW_S = (0.0, 12.0)
BAR_MM = 50.0
MARGIN_PIXELS = 2


class FigureRow(NamedTuple):
    """A scan with its pictures and what is written beside them."""

    label: str
    shown: CasePanels
    pixel_mm: float


def evenly_by_volume(volumes_ml: pd.Series, count: int) -> list[str]:
    """The middle scan of each of ``count`` equal groups by lesion volume; case ids.

    Args:
        volumes_ml: of the true lesions, by case id; scans without lesion are left out.
        count: of the scans wanted; all of them if there are fewer.
    """
    ordered = volumes_ml[volumes_ml > 0].sort_values(kind="stable")
    count = min(count, len(ordered))
    middles = ((np.arange(count) + 0.5) * len(ordered) / max(count, 1)).astype(int)
    return [str(case_id) for case_id in ordered.index[middles]]


def _row(run: FoldRun, scan: pd.Series, vendor: str) -> FigureRow:
    case_id = str(scan["case_id"])
    images = run.root / "nnUNet_raw" / NAME / "imagesTs"
    names, truth = PRESETS["wang2020"].names, truth_folder(run.root)
    pseudo_dwi = run.folder / "final_pseudo_dwi"
    channels = [
        (name, images / f"{case_id}_{names.index(name):04d}.nii.gz")
        for name in (*CHANNELS, "CBV", "MTT")  # the brain is where any map is
    ]
    files = CaseFiles(
        case_id,
        truth / "labels" / f"{case_id}.nii.gz",
        run.folder / "final" / f"{case_id}.nii.gz",
        channels,
        pseudo_dwi=pseudo_dwi / f"{case_id}.nii.gz",
        dwi=truth / "dwi" / f"{case_id}.nii.gz",
        scale=read_record(pseudo_dwi).scale,
        has_sides=True,  # the phantom's x runs to the left, though ISLES 2018's headers do not tell
    )
    label = (
        f"vendor {vendor or '?'}\ntrue {scan['volume_gt_ml']:.0f} mL\n"
        f"predicted {scan['volume_pred_ml']:.0f} mL\nDice {100 * scan['dice']:.0f} %"
    )
    return FigureRow(label, case_panels(files), read_image(files.gt).spacing_mm[-1])


def figure_rows(root: Path, method: str, fold: int, count: int) -> tuple[list[FigureRow], str]:
    """The rows of the figure and a sentence on how the scans were taken.

    Raises:
        FileNotFoundError: the arena holds no measured pseudo-DWI of this method and fold.
    """
    settings = settings_of(root, {})
    run = FoldRun(root, settings, METHODS[method], fold, "cpu")
    scans = read_run(run)
    if scans is None or not (run.folder / "final_pseudo_dwi").is_dir():
        raise FileNotFoundError(
            f"{run.folder} holds no final.csv with final_pseudo_dwi; run the arena with "
            f"--methods {method} --folds {fold}, a method that makes a pseudo-DWI"
        )
    scans = scans[scans["checkpoint"] == "final"].set_index("case_id", drop=False)
    title, group = [*held_out_groups(scans.index, root, settings).items()][-1]
    own = scans.loc[scans.index.isin(group)]
    chosen = evenly_by_volume(own["volume_gt_ml"], count)
    vendors = held_out_vendors(root)
    rows = [_row(run, scans.loc[case_id], vendors.get(case_id, "")) for case_id in chosen]
    where = f"{title[:1].lower()}{title[1:]}"
    sentence = (
        f"{len(rows)} of {len(own)} held-out scans ({where}): the middle one of each of {len(rows)}"
        " equal groups by lesion volume. Phantom, one short training; no patients."
    )
    return rows, sentence


def _panels(shown: CasePanels) -> dict[str, Panel]:
    """Title -> image with the window that it is drawn in."""
    found = {panel.title: panel for panel in shown.panels}
    cbf = found["CBF"].image
    brain = cbf[cbf > 0] if cbf is not None else np.empty(0)
    top = float(np.percentile(brain, 98)) if brain.size else 1.0
    maps = {}
    for name, window in (("CBF", (0.0, top)), ("Tmax", TMAX_WINDOW_S)):
        image = found[name].image
        if image is not None and cbf is not None:  # black where nothing was computed
            image = np.where(cbf > 0, image, np.nan)
        maps[name] = found[name]._replace(image=image, window=window, colour_map="turbo")
    return {
        "CT": found["CT"],
        **maps,
        PSEUDO_DWI: found[PSEUDO_DWI],
        DWI: found[DWI],
        OUTLINES: found[DWI],
    }


def head_box(image: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns of what is not 0, with a margin; everything of a blank image."""
    box = []
    for axis in (1, 0):
        inside = np.flatnonzero((image > 0).any(axis=axis))
        if not inside.size:
            return slice(None), slice(None)
        box.append(slice(max(0, inside[0] - MARGIN_PIXELS), inside[-1] + 1 + MARGIN_PIXELS))
    return box[0], box[1]


def _draw_bar(axes: Axes, pixel_mm: float, shape: tuple[int, int]) -> None:
    """A scale bar at the bottom left, with its length."""
    length, y = BAR_MM / pixel_mm, shape[0] - 2.5
    axes.plot([1, 1 + length], [y, y], color="white", linewidth=2)
    axes.text(1, y - 1, f"{BAR_MM:.0f} mm", color="white", fontsize=7, ha="left", va="bottom")


def _draw_row(grid: Sequence[Axes], row: FigureRow) -> None:
    panels = _panels(row.shown)
    ct = panels["CT"].image
    box = head_box(ct) if ct is not None else (slice(None), slice(None))
    outlines = lesion_outlines(row.shown.lesion_gt[box], row.shown.lesion_pred[box])
    for axes, (title, panel) in zip(grid, panels.items(), strict=True):
        if panel.image is None or panel.window is None:
            raise ValueError(f"{row.label}: no image for the column {title}")
        draw_slice(
            axes,
            panel.image[box],
            sides_known=row.shown.sides_known,
            window=panel.window,
            colour_map=panel.colour_map,
            aspect=row.shown.aspect,
            outlines=outlines if title == OUTLINES else (),
        )
        if title == "CBF":
            top = f"{panel.window[1]:.0f}"
            axes.text(0.98, 0.02, top, color="white", fontsize=7, ha="right", va="bottom",
                      transform=axes.transAxes)  # fmt: skip
        if title == "CT" and ct is not None:
            _draw_bar(axes, row.pixel_mm, ct[box].shape)
    grid[0].set_ylabel(row.label, fontsize=8, rotation=0, ha="right", va="center", labelpad=6)


@figure_style()
def draw_figure(rows: Sequence[FigureRow], sentence: str, *, panel_inches: float = 1.5) -> Figure:
    """A row for each scan, a column for each image."""
    titles = [*TITLES.values()]
    size = (panel_inches * len(titles) + 1.1, 1.15 * panel_inches * len(rows) + 1.0)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    for axes, row in zip(grid, rows, strict=True):
        _draw_row(axes, row)
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=8)
    handles = [
        Line2D([], [], color=GT_COLOUR, lw=1.5, label="true lesion"),
        Line2D([], [], color=PREDICTION_COLOUR, lw=1.5, ls="dashed", label="predicted lesion"),
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=2, fontsize=8,
                  facecolor="0.2", labelcolor="white")  # fmt: skip
    figure.supxlabel(sentence, fontsize=8)
    return figure


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of an arena")
    parser.add_argument("out", type=Path, help="picture to write")
    parser.add_argument("--method", choices=METHODS, default="strokesynth")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--scans", type=int, default=6, help="rows (%(default)s)")
    args = parser.parse_args()
    rows, sentence = figure_rows(args.folder.resolve(), args.method, args.fold, args.scans)
    save_png(draw_figure(rows, sentence), args.out, dpi=130)


if __name__ == "__main__":
    main()
