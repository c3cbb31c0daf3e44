"""Long names in figures: no words leave the picture, and none lies on another."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from nnunetv2_strokesynth.evaluation.columns import size_group
from nnunetv2_strokesynth.inference.patient import Prediction
from nnunetv2_strokesynth.io.figure_file import figure_style
from nnunetv2_strokesynth.reporting import evaluation_figures as figures
from nnunetv2_strokesynth.reporting.curve_figure import ScanCurve, draw_curve, draw_sheet
from nnunetv2_strokesynth.reporting.fitted_text import letters, shortened, two_digits, wrapped
from nnunetv2_strokesynth.reporting.outline_sheet import SheetRow, _draw
from nnunetv2_strokesynth.reporting.panels import Panel, Row, draw_rows
from nnunetv2_strokesynth.reporting.patient_page import Page, draw_page
from nnunetv2_strokesynth.reporting.perfusion_figure import draw_perfusion

LONG = "sub-stroke0001_ses-0001_space-NCCT_predictions-of-the-second-ensemble"


def _cases(n_sets: int) -> pd.DataFrame:
    gt = np.array([2.0, 12.0, 30.0, 120.0])
    return pd.concat(
        pd.DataFrame(
            {
                "predictions": f"{LONG}_{index}",
                "volume_gt_ml": gt,
                "volume_pred_ml": gt * (1 + 0.1 * index),
                "size_group": [size_group(volume) for volume in gt],
                "dice": 0.5 + 0.02 * gt / gt.max(),
            }
        )
        for index in range(n_sets)
    )


def _curves(n_scans: int) -> list[ScanCurve]:
    rise = 400.0 * np.sin(np.linspace(0, 3, 20))
    times_s = np.arange(20.0)
    return [ScanCurve(f"{LONG}_{i}", rise, (2, 9, "raw"), 1, times_s) for i in range(n_scans)]


def _sheet() -> Figure:
    image = np.eye(12)
    rows = [
        SheetRow(f"{LONG}_{i}\nagreement 0.80", 0.8, image, image, image > 0, None, True, 1.0)
        for i in range(3)
    ]
    return _draw(rows, [])


def _rows() -> Figure:
    panels = [Panel(title, np.eye(8), (0.0, 1.0)) for title in ("CT", "CBF")]
    return draw_rows([Row(f"{LONG}_{i}\nDice 0.50", panels) for i in range(3)])


DRAWN = {
    "scatter": lambda: figures.volume_scatter(_cases(6)),
    "bland_altman": lambda: figures.bland_altman(_cases(4)),
    "boxes": lambda: figures.size_group_boxes(_cases(6), ("dice",)),
    "one curve": lambda: draw_sheet(_curves(1)),
    "curves": lambda: draw_sheet(_curves(12)),
    "outlines": _sheet,
    "rows": _rows,
}


def _ticks_beyond_the_axes(figure: Figure) -> set[Text]:
    """Labels of ticks that matplotlib keeps and does not draw."""
    found: set[Text] = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = (tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high)
        found |= {label for tick in ticks for label in (tick.label1, tick.label2)}
    return found


@figure_style()
def _boxes(figure: Figure) -> list[tuple[str, object]]:
    """The visible words of a figure and where they lie, in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    undrawn = _ticks_beyond_the_axes(figure)
    # The small letters in a slice are drawn into it on purpose.
    letters_in_slices = ("R", "L", "side unknown")
    texts = [t for t in texts if t not in undrawn and t.get_text() not in letters_in_slices]
    return [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in texts]


@pytest.mark.parametrize("name", DRAWN)
def test_long_names_stay_in_the_picture_and_apart(name):
    figure = DRAWN[name]()
    boxes, whole = _boxes(figure), figure.bbox
    for text, box in boxes:
        assert box.x0 >= whole.x0 - 1 and box.x1 <= whole.x1 + 1, text
        assert box.y0 >= whole.y0 - 1 and box.y1 <= whole.y1 + 1, text
    for (first, one), (second, other) in combinations(boxes, 2):
        width = min(one.x1, other.x1) - max(one.x0, other.x0)
        height = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert width <= 1 or height <= 1, (first, second)


def _sticks_out(figure: Figure) -> list[str]:
    """The words that leave the figure on the left or the right."""
    whole = figure.bbox
    return [text for text, box in _boxes(figure) if box.x0 < whole.x0 - 1 or box.x1 > whole.x1 + 1]


@pytest.mark.parametrize("height", [0.4, 1.0])
def test_the_page_of_a_scan_holds_all_its_words(scene, height):
    """With a lesion, and with one that was nearly called."""
    probability = height * scene.probability / scene.probability.max()
    prediction = Prediction(probability > 0.5, probability, probability)
    lines = ["Predicted lesion: 12.3 mL of 1174 mL brain in the scan", f"Model: {LONG}_{LONG}"]
    page = Page(f"{LONG}/{LONG}", lines, [f"{LONG} "] * 9, True, ["doubtful " * 60] * 6)
    figure = draw_page(page, scene.prepared, prediction, scene.study.geometry, scene.times_s)
    assert _sticks_out(figure) == []
    texts = [text for text, _ in _boxes(figure)]
    assert "WARNING: further warnings are in result.json" in texts


def test_pictures_of_a_series_hold_their_titles(scene):
    assert _sticks_out(draw_curve(_curves(1)[0])) == []
    figure = draw_perfusion(scene.computed, scene.study.reference, title="/".join([LONG] * 4))
    assert _sticks_out(figure) == []


def test_a_shortened_name_keeps_its_end():
    assert shortened("case_1", 6) == "case_1"
    for most in range(1, 12):
        assert len(shortened("a_long_name_1", most)) <= max(most, 2)
        assert shortened("a_long_name_1", most).endswith("1")
    assert shortened("a_long_name_1", 9) == "a_l…ame_1"


def test_words_and_numbers_of_a_width():
    assert letters(1.0, 10.0) == 11 and letters(0.0, 10.0) == 1
    assert max(map(len, wrapped("one two three four", 0.7, 10.0).splitlines())) <= 7
    assert [two_digits(v) for v in (0.0421, 4.24, 42.4, 99.7, 4213.0)] == [
        "0.042", "4.2", "42", "100", "4213",
    ]  # fmt: skip
