"""The contact sheet of outlines: the right slice, the worst scan first, nobody left out."""

import numpy as np
import pytest

from nnunetv2_strokesynth.reporting import outline_sheet
from nnunetv2_strokesynth.reporting.outline_sheet import SheetRow, sheet_slice, write_sheets


def row(number, agreement, drawn=False):
    rng = np.random.default_rng(number)
    lesion = np.zeros((12, 10), dtype=bool)
    lesion[4:8, 3:6] = True
    dwi = rng.uniform(50, 60, (12, 10)) + 60 * lesion
    mask = lesion.T.copy().T if drawn else None
    return SheetRow(f"case_{number:03d}", agreement, dwi, 0.8 * lesion, lesion, mask, True, 1.1)


def test_the_slice_with_most_lesion_or_else_most_probability():
    lesion = np.zeros((3, 4, 4), dtype=bool)
    probability = np.zeros((3, 4, 4), dtype=np.float32)
    probability[2] = 0.2
    assert sheet_slice(lesion, probability) == 2
    lesion[1, 0, 0] = True
    assert sheet_slice(lesion, probability) == 1


def test_those_that_agree_least_come_first_and_all_are_there(tmp_path, monkeypatch):
    drawn = []

    def draw(rows, warnings):
        figure = real(rows, warnings)
        drawn.append([axes.get_ylabel() for axes in figure.axes[::3]])
        return figure

    real = outline_sheet._draw
    monkeypatch.setattr(outline_sheet, "_draw", draw)
    monkeypatch.setattr(outline_sheet, "ROWS_PER_SHEET", 2)
    rows = [row(1, 0.9), row(2, 0.2, drawn=True), row(3, 0.5)]
    paths = write_sheets(rows, tmp_path)
    assert drawn == [["case_002", "case_003"], ["case_001"]]
    assert [path.name for path in paths] == ["outlines_01.png", "outlines_02.png"]
    assert all(path.stat().st_size > 1000 for path in paths)


def test_a_warning_stands_above_every_sheet():
    warning = "the readers agree with one another better than with persons " * 3
    figure = outline_sheet._draw([row(1, 0.9)], [warning])
    title = figure.get_suptitle()
    assert title.replace("\n", " ").startswith(f"warning: {warning}")
    assert max(map(len, title.splitlines())) <= outline_sheet.LINE_LENGTH
    assert "warning" not in outline_sheet._draw([row(1, 0.9)], []).get_suptitle()


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_dwi_without_contrast_is_drawn(tmp_path, value):
    flat = row(1, 1.0)._replace(dwi=np.full((12, 10), value))
    assert write_sheets([flat], tmp_path)[0].is_file()
