"""The picture of the loss: a panel per term, a line per run and phase."""

from __future__ import annotations

from nnunetv2_strokesynth.io.figure_file import save_png
from nnunetv2_strokesynth.trainers.loss_figure import STYLES, loss_figure


def test_curves_have_a_panel_per_term_and_a_line_per_fold_and_phase(tmp_path):
    terms = {"train/L_s": [3.0, 2.0], "val/L_s": [4.0, 5.0], "train/a$b": [1.0, float("nan")]}
    figure = loss_figure({"fold 0": terms, "fold 1": terms})
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == ["L_s", "a$b"]
    drawn = [line for line in panels[0].lines if len(line.get_xdata())]
    assert [line.get_linestyle() for line in drawn] == [STYLES["train"], STYLES["val"]] * 2
    assert drawn[1].get_ydata().tolist() == [4.0, 5.0]
    assert drawn[0].get_color() != drawn[2].get_color()
    save_png(figure, tmp_path / "curves.png")
    assert loss_figure({"fold 0": {}}) is None and loss_figure({}) is None


def test_phases_of_a_single_run_have_their_own_colours_and_are_named():
    figure = loss_figure({"": {"train/L_s": [3.0, 2.0], "val/L_s": [4.0, 5.0]}})
    train, val = figure.axes[0].lines
    assert train.get_color() != val.get_color()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["training", "validation"]
    assert [line.get_color() for line in legend.get_lines()] == [train.get_color(), val.get_color()]
    (legend,) = loss_figure({"fold 3": {"train/L_s": [3.0]}}).legends
    assert legend.get_texts()[0].get_text() == "fold 3, training"


def test_nothing_lies_over_anything_else():
    """Long names, many terms: no title is cut, none touches its neighbour, no legend on a curve."""
    names = [f"synthesis_context_{index}" for index in range(9)]
    run = {f"{phase}/{name}": [2.0, 1.0, 0.5] for phase in ("train", "val") for name in names}
    figure = loss_figure({"": run}, n_columns=3, panel_inches=(4.0, 2.6))
    figure.draw_without_rendering()
    page = figure.bbox
    titles = [axes.title.get_window_extent() for axes in figure.axes]
    legend = figure.legends[0].get_window_extent()
    for index, box in enumerate(titles):
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
        assert not any(box.overlaps(other) for other in titles[:index])
        assert not box.overlaps(legend)
    assert not any(axes.get_window_extent().overlaps(legend) for axes in figure.axes)
