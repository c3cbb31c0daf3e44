"""The figure of held-out scans: which scans, and what is drawn."""

import numpy as np
import pandas as pd
from matplotlib.colors import same_color

from benchmarks.held_out_figure import (
    TITLES,
    FigureRow,
    draw_figure,
    evenly_by_volume,
    head_box,
)
from nnunetv2_strokesynth.reporting.case_images import DWI, PSEUDO_DWI, CasePanels
from nnunetv2_strokesynth.reporting.panels import Panel
from nnunetv2_strokesynth.reporting.slice_image import GT_COLOUR, PREDICTION_COLOUR


def test_the_scans_are_the_middles_of_equal_groups_by_volume():
    volumes = pd.Series({f"case_{k}": float(k) for k in range(13)}).sample(frac=1, random_state=0)
    assert evenly_by_volume(volumes, 3) == ["case_3", "case_7", "case_11"]
    assert evenly_by_volume(volumes, 99) == [f"case_{k}" for k in range(1, 13)]
    assert "case_0" not in evenly_by_volume(volumes, 12)  # no lesion
    assert evenly_by_volume(pd.Series(dtype=float), 6) == []


def test_the_figure_has_both_outlines_and_one_window_for_both_dwis():
    head = np.zeros((20, 20), dtype=np.float32)
    head[4:16, 5:15] = 1
    lesion = np.zeros_like(head, dtype=bool)
    lesion[6:10, 7:11] = True
    names = ("CT", "CBF", "Tmax", "CBV", "MTT", PSEUDO_DWI, DWI)
    panels = [Panel(name, head, (0.0, 1.0)) for name in names]
    shown = CasePanels(panels, lesion, np.roll(lesion, 2, axis=0), 1, 3, 1.0, sides_known=True)
    figure = draw_figure([FigureRow("vendor C\nDice 50 %", shown, 4.0)] * 2, "two of nine")
    axes = figure.axes
    assert len(axes) == 2 * len(TITLES)
    titles = [axis.get_title() for axis in axes[: len(TITLES)]]
    assert titles == [*TITLES.values()]
    windows = {title: axis.images[0].get_clim() for title, axis in zip(TITLES, axes, strict=False)}
    assert windows[PSEUDO_DWI] == windows[DWI]
    drawn = [c for c in axes[len(TITLES) - 1].collections if len(c.get_edgecolor())]
    colours = [c.get_edgecolor()[0] for c in drawn]
    assert same_color(colours[0], GT_COLOUR) and same_color(colours[1], PREDICTION_COLOUR)
    assert all("50 mm" in {text.get_text() for text in axis.texts} for axis in axes[:: len(TITLES)])
    assert axes[0].images[0].get_array().shape == (16, 14)  # cropped to the head


def test_a_blank_slice_is_drawn_whole():
    assert head_box(np.zeros((4, 5))) == (slice(None), slice(None))
