"""Panels: outlines where they belong, blanks where an image is missing."""

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from nnunetv2_strokesynth.reporting.panels import Panel, Row, save_rows
from nnunetv2_strokesynth.reporting.slice_image import (
    GT_COLOUR,
    PREDICTION_COLOUR,
    robust_window,
    widest_lesion_slice,
)


def _row(outlined):
    lesion = np.zeros((40, 40), dtype=bool)
    lesion[10:20, 10:20] = True
    image = np.random.default_rng(0).uniform(size=(40, 40))
    panels = [Panel("DWI", image), Panel("pseudo-DWI", None)]
    return Row("case_001", panels, lesion, lesion.T[::-1], outlined=outlined)


def _count(path, colour):
    pixels = imread(path)[..., :3]
    return int((np.abs(pixels - to_rgb(colour)).max(axis=-1) < 0.05).sum())


def test_outlines_are_drawn_only_where_asked(tmp_path):
    save_rows([_row(())], tmp_path / "plain.png")
    save_rows([_row(("DWI",)), _row(())], tmp_path / "outlined.png", title="t")
    for colour in (GT_COLOUR, PREDICTION_COLOUR):
        legend_only = _count(tmp_path / "plain.png", colour)
        assert _count(tmp_path / "outlined.png", colour) > legend_only + 100


def test_widest_slice():
    lesion = np.zeros((4, 5, 5), dtype=bool)
    assert widest_lesion_slice(lesion) == 2
    lesion[3, 1, 1] = lesion[1, 1:3, 1] = True
    assert widest_lesion_slice(lesion) == 1


def test_window_ignores_background_and_survives_constants():
    image = np.zeros((10, 10))
    assert robust_window(image) == (0.0, 1.0)
    image[5:] = 3.0
    low, high = robust_window(image)
    assert low == 3.0 and high > low
