"""Files of figures, and the settings around them."""

from __future__ import annotations

import matplotlib
import pytest
from matplotlib.figure import Figure

from nnunetv2_strokesynth.io.figure_file import figure_style, png_bytes, save_pdf, save_png


def _figure() -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.text(0.5, 0.5, "a$b")
    return figure


def test_settings_outside_are_back_afterwards_even_after_an_error():
    with matplotlib.rc_context({"font.size": 31.0}):
        before = dict(matplotlib.rcParams)
        with pytest.raises(KeyError), figure_style():
            assert matplotlib.rcParams["font.size"] == 10.0
            raise KeyError
        assert dict(matplotlib.rcParams) == before


def test_files_are_whole_and_repeatable(tmp_path):
    save_png(_figure(), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == png_bytes(_figure())
    for name in "ab":
        save_pdf(_figure(), tmp_path / f"{name}.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "b.pdf"]


def test_a_formula_in_a_name_is_text():
    """As mathtext this name is an error."""
    with figure_style():
        figure = Figure()
        figure.text(0, 0, "$\\frac$")
    assert png_bytes(figure)
