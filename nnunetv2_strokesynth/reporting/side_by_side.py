"""Several systems on the same scans: what each one found, predicted in vain and missed.

The figure is that of the papers: Wang et al. 2020, Fig. 6 to 9, Clerigues et al. 2019, Fig. 4,
Abulnaga & Rubin 2018, Fig. 4, Gomez 2023, Fig. 11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from nnunetv2_strokesynth.evaluation.cases import gather
from nnunetv2_strokesynth.evaluation.columns import COLUMN_BY_KEY
from nnunetv2_strokesynth.evaluation.matching import CasePair
from nnunetv2_strokesynth.evaluation.measure import measure_cases
from nnunetv2_strokesynth.evaluation.tables import ALL_SIZES, Table, spread_cell, summarise
from nnunetv2_strokesynth.evaluation.volumes import read_mask
from nnunetv2_strokesynth.io.figure_file import figure_style
from nnunetv2_strokesynth.papers.shared.published import PENALISED, SYSTEM_KEYS
from nnunetv2_strokesynth.reporting.case_images import CaseFiles, CasePanels, case_panels, on_slice
from nnunetv2_strokesynth.reporting.fitted_text import letters, shortened
from nnunetv2_strokesynth.reporting.slice_image import draw_slice, lesion_outlines

# Of Clerigues et al. 2019, Fig. 4.
COLOURS = {"found (TP)": "lime", "in vain (FP)": "red", "missed (FN)": "deepskyblue"}
_OPACITY = 0.6
_COLUMN_KEYS = (*SYSTEM_KEYS, PENALISED)


class System(NamedTuple):
    """One system.

    Attributes:
        name: for headings.
        folder: of its predictions, or a trained model's.
    """

    name: str
    folder: Path


class SideBySide(NamedTuple):
    """What all systems predicted.

    Attributes:
        systems: in order.
        cases: per-case table of all systems, ``predictions`` names the system.
        predictions: by system's name, then by case.
        shared: the cases that all have predicted.
    """

    systems: tuple[System, ...]
    cases: pd.DataFrame
    predictions: dict[str, dict[str, Path]]
    shared: tuple[str, ...]


def collect(systems: Sequence[System], truth: Mapping[str, Path], *, workers: int) -> SideBySide:
    """Measure all systems on the cases that all of them have predicted.

    Args:
        systems: with different names.
        truth: true lesions by case.
        workers: processes.

    Raises:
        FileNotFoundError: a folder holds no predictions.
        ValueError: two systems have one name, or they share no case.
    """
    names = [system.name for system in systems]
    if len(set(names)) < len(names):
        raise ValueError(f"the systems need different names, found {', '.join(names)}; use --names")
    predictions = {system.name: gather(system.folder).files for system in systems}
    shared = sorted(set(truth).intersection(*predictions.values()))
    if not shared:
        raise ValueError(
            f"{', '.join(str(s.folder) for s in systems)} share no case with a true lesion mask; "
            "a figure of several systems needs the same scans"
        )
    frames = [
        measure_cases(
            [CasePair(i, truth[i], found[i], "") for i in shared],
            predictions=name,
            workers=workers,
        )
        for name, found in predictions.items()
    ]
    cases = pd.concat(frames, ignore_index=True)
    return SideBySide(tuple(systems), cases, predictions, tuple(shared))


def systems_table(found: SideBySide) -> Table:
    """Mean ± deviation of each system over the shared cases, and how many a mean leaves out."""
    columns = [COLUMN_BY_KEY[key] for key in _COLUMN_KEYS]
    rows = [
        (name, *(spread_cell(groups[ALL_SIZES][column.key], column) for column in columns))
        for name, groups in summarise(found.cases).items()
    ]
    title = (
        f"{len(found.shared)} cases that all systems predicted. (n n.c.): as many cases have no "
        "distance, because a mask is empty, and the mean leaves them out; the last column counts "
        "missed lesions"
    )
    return Table(title, ("System", *(column.heading for column in columns)), tuple(rows))


def overlay(lesion_gt: np.ndarray, lesion_pred: np.ndarray) -> np.ndarray:
    """Found, in vain and missed in their ``COLOURS``: two bool (Y, X) -> RGBA (Y, X, 4)."""
    parts = (lesion_gt & lesion_pred, lesion_pred & ~lesion_gt, lesion_gt & ~lesion_pred)
    image = np.zeros((*lesion_gt.shape, 4))
    for part, colour in zip(parts, COLOURS.values(), strict=True):
        image[part] = (*to_rgb(colour), _OPACITY)
    return image


@figure_style()
def draw_systems(
    found: SideBySide, files: Sequence[CaseFiles], *, panel_inches: float = 1.9
) -> Figure:
    """A row per case: its image with the true lesion's outline, then each system's overlay.

    Args:
        found: what the systems predicted.
        files: the cases to show; ``pred`` is that of the first system.
        panel_inches: side of a panel.
    """
    n_columns = len(found.systems) + 1
    size = (panel_inches * n_columns, panel_inches * len(files) + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(files), n_columns, squeeze=False)
    room = letters(panel_inches, 8)
    dice = found.cases.set_index(["predictions", "case_id"])["dice"]
    for row_axes, case in zip(grid, files, strict=True):
        shown = case_panels(case)
        _draw(row_axes[0], shown, outlined=True)
        row_axes[0].set_ylabel(
            f"{shortened(case.case_id, room)}\nslice {shown.slice_number} of {shown.n_slices}",
            fontsize=7,
        )
        for axes, system in zip(row_axes[1:], found.systems, strict=True):
            pred = found.predictions[system.name][case.case_id]
            _draw(axes, shown)
            axes.imshow(
                overlay(shown.lesion_gt, on_slice(read_mask(pred), read_mask(case.gt), shown)),
                aspect=shown.aspect,
                interpolation="nearest",
            )
            axes.set_xlabel(f"Dice {100 * dice[system.name, case.case_id]:.1f} %", fontsize=7)
    for axes, name in zip(grid[0], ("true lesion", *(s.name for s in found.systems)), strict=True):
        axes.set_title(shortened(name, room), fontsize=8)
    handles = [Patch(color=colour, label=name) for name, colour in COLOURS.items()]
    figure.legend(handles=handles, loc="outside lower right", ncols=3, fontsize=7)
    return figure


def _draw(axes, shown: CasePanels, *, outlined: bool = False) -> None:
    """The image that the outlines of a report are drawn on, for the whole scan the same."""
    panel = shown.panels[-1]
    draw_slice(
        axes,
        panel.image,
        sides_known=shown.sides_known,
        window=panel.window,
        aspect=shown.aspect,
        outlines=lesion_outlines(shown.lesion_gt, None) if outlined else (),
    )
