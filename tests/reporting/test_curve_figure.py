"""Curves in HU over seconds, one picture a scan and sheets of all."""

import matplotlib.image
import numpy as np

from nnunetv2_strokesynth.reporting.curve_figure import (
    SCANS_PER_SHEET,
    ScanCurve,
    draw_curve,
    draw_sheet,
    plot_sheets,
)


def scan(name="case_1", **more):
    """A frame of 50 voxels at -20 HU; the mean rises by 4 HU after the third frame."""
    rise = np.array([0, 0, 0, 1, 4, 2, 1.0])
    return ScanCurve(name, 50 * (rise - 20), (2, 5, "rule"), **more)


def test_the_mean_of_the_image_over_time():
    axes = draw_curve(scan(n_voxels=50, times_s=1.5 * np.arange(7))).axes[0]
    (x, y) = axes.lines[0].get_data()
    np.testing.assert_allclose(x, [0, 1.5, 3, 4.5, 6, 7.5, 9])
    np.testing.assert_allclose(y, [0, 0, 0, 1, 4, 2, 1])
    assert axes.get_ylabel() == "change of the image's mean (HU)"
    assert axes.get_xlabel() == "time after the first frame (s)"
    assert [text.get_text() for text in axes.get_legend().get_texts()][1:] == [
        "$T_s$ = 3 s",
        "$T_e$ = 7.5 s",
    ]


def test_without_times_or_voxels_the_axes_say_so():
    axes = draw_curve(scan()).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("frame", "change of the image's sum (HU)")
    np.testing.assert_allclose(axes.lines[0].get_ydata(), 50 * np.array([0, 0, 0, 1, 4, 2, 1]))


def test_a_sheet_shows_every_scan(tmp_path):
    figure = draw_sheet([scan(f"case_{i}", n_voxels=50) for i in range(7)])
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [f"case_{i}, 4 HU" for i in range(7)]
    paths = plot_sheets(tmp_path, [scan()])
    assert paths == [tmp_path / "all_scans_1.png"]
    assert matplotlib.image.imread(paths[0]).std() > 0
    assert SCANS_PER_SHEET >= 156
