from __future__ import annotations

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from nnunetv2_strokesynth.evaluation.columns import size_group
from nnunetv2_strokesynth.io.figure_file import save_png
from nnunetv2_strokesynth.reporting import evaluation_figures as figures
from nnunetv2_strokesynth.reporting.tuning_figure import grid_heatmaps


def _cases(*names: str) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    gt = np.array([0.0, 2.0, 8.0, 12.0, 30.0, 44.0, 60.0, 120.0])
    frames = []
    for name in names:
        pred = np.abs(gt + generator.normal(0, 6, gt.size))
        rows = {"predictions": name, "volume_gt_ml": gt, "volume_pred_ml": pred}
        rows |= {"size_group": [size_group(v) for v in gt], "dice": generator.uniform(size=gt.size)}
        rve = np.where(gt > 0, np.abs(pred - gt) / np.maximum(gt, 1e-9), np.nan)
        frames.append(pd.DataFrame(rows | {"relative_volume_error": rve}))
    return pd.concat(frames, ignore_index=True)


def _tuning() -> dict:
    grid = [
        {"threshold": t, "min_size": s, "dice_mean": t, "hausdorff_mm_mean": None if t > 0.6 else s,
         "mean_rank": 10 * t + s}
        for t in (0.3, 0.5, 0.7) for s in (10, 200)
    ]  # fmt: skip
    return {"threshold": 0.5, "min_size": 200, "unit": "voxels", "grid": grid,
            "tuned_on": {"n_cases": 7}}  # fmt: skip


FIGURES = {
    "scatter": lambda: figures.volume_scatter(_cases("A", "B")),
    "bland_altman": lambda: figures.bland_altman(_cases("A", "B")),
    "boxes": lambda: figures.size_group_boxes(_cases("A", "B")),
    "heatmaps": lambda: grid_heatmaps(_tuning()),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_drawn_and_repeatable(name, tmp_path):
    for run in ("first", "second"):
        save_png(FIGURES[name](), tmp_path / f"{run}.png")
    pixels = matplotlib.image.imread(tmp_path / "first.png")
    assert min(pixels.shape[:2]) > 500
    dark = (pixels[..., :3].mean(axis=-1) < 0.5).mean()
    assert 0.005 < dark < 0.7
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


@pytest.mark.parametrize("name", FIGURES)
def test_every_panel_says_what_it_shows(name):
    figure = FIGURES[name]()
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    assert panels and all(axes.get_xlabel() for axes in panels)
    assert panels[0].get_ylabel()


def test_scatter_shows_the_data_and_names_r2():
    cases = _cases("A")
    figure = figures.volume_scatter(cases)
    axes = figure.axes[0]
    drawn = axes.collections[0].get_offsets()
    np.testing.assert_allclose(drawn, cases[["volume_gt_ml", "volume_pred_ml"]])
    gt, pred = cases["volume_gt_ml"], cases["volume_pred_ml"]
    r2 = 1 - ((pred - gt) ** 2).sum() / ((gt - gt.mean()) ** 2).sum()
    assert any(f"A: R² = {r2:.2f}" in text.get_text() for text in figure.legends[0].get_texts())
    assert axes.get_xlim() == axes.get_ylim()
    assert "mL" in axes.get_xlabel() and "mL" in axes.get_ylabel()


def test_bland_altman_draws_error_against_mean():
    cases = _cases("A")
    axes = figures.bland_altman(cases).axes[0]
    gt, pred = cases["volume_gt_ml"].to_numpy(), cases["volume_pred_ml"].to_numpy()
    expected = np.stack([(gt + pred) / 2, pred - gt], axis=1)
    np.testing.assert_allclose(axes.collections[0].get_offsets(), expected)
    heights = sorted(line.get_ydata()[0] for line in axes.lines)
    half = 1.96 * (pred - gt).std(ddof=1)
    bias = (pred - gt).mean()
    np.testing.assert_allclose(heights, sorted([0, bias - half, bias, bias + half]))


def test_boxes_have_a_point_per_countable_case():
    cases = _cases("A", "B")
    dice_axes, rve_axes = figures.size_group_boxes(cases).axes
    assert sum(len(points.get_offsets()) for points in dice_axes.collections) == 16
    assert sum(len(points.get_offsets()) for points in rve_axes.collections) == 14
    labels = [label.get_text() for label in dice_axes.get_xticklabels()]
    assert labels == ["< 10 mL\nn = 3", "10-50 mL\nn = 3", "> 50 mL\nn = 2"]
    assert dice_axes.get_ylabel() == "Dice (%)"


def test_boxes_of_sets_with_different_cases_and_an_empty_group():
    cases = _cases("A", "B")
    cases = cases[(cases["predictions"] == "A") | (cases["volume_gt_ml"] < 50)]
    labels = figures.size_group_boxes(cases).axes[0].get_xticklabels()
    assert labels[2].get_text() == "> 50 mL\nn = 2 / 0"


def test_one_outlier_does_not_flatten_the_others():
    cases = _cases("A")
    cases["relative_volume_error"] = cases["relative_volume_error"].clip(upper=2)
    axes = figures.size_group_boxes(cases, ("relative_volume_error",)).axes[0]
    assert axes.get_yscale() == "linear"
    cases.loc[1, "relative_volume_error"] = 300.0
    dice, axes = figures.size_group_boxes(cases).axes
    assert (dice.get_yscale(), axes.get_yscale()) == ("linear", "symlog")
    shown = [y for y in axes.get_yticks() if axes.get_ylim()[0] <= y <= axes.get_ylim()[1]]
    assert {0, 0.5, 1, 2, 5, 10, 100, 200} <= set(shown)
    # A box at 1 keeps a good part of the axis.
    low, high = (axes.transData.transform((0, y))[1] for y in axes.get_ylim())
    assert axes.transData.transform((0, 1))[1] - low > 0.2 * (high - low)


def test_a_mean_distance_says_how_many_cases_it_leaves_out():
    tuning = _tuning()
    for index, row in enumerate(tuning["grid"]):
        row["hausdorff_not_countable"] = index
    axes = grid_heatmaps(tuning).axes[1]
    shown = [text.get_text() for text in axes.texts]
    assert shown[:3] == ["10.0", "200.0\n(1)", "10.0\n(2)"]


def test_heatmap_frames_the_choice():
    axes = grid_heatmaps(_tuning()).axes[0]
    assert axes.patches[0].get_xy() == (0.5, 0.5)  # second column, second row
    shown = np.array([text.get_text() for text in axes.texts])
    assert shown.tolist() == ["30.0", "30.0", "50.0", "50.0", "70.0", "70.0"]


def test_one_case_only():
    cases = _cases("A").iloc[[3]]
    for draw in (figures.volume_scatter, figures.bland_altman, figures.size_group_boxes):
        assert draw(cases).axes


def test_two_dozen_sets_look_different():
    looks = [figures.look_of(index) for index in range(24)]
    assert len({(look.colour, look.marker) for look in looks}) == 24
    assert len({(look.colour, look.hatch) for look in looks}) == 24


def test_without_r2_no_nan_is_written():
    figure = figures.volume_scatter(_cases("A").iloc[[3]])
    assert [text.get_text() for text in figure.legends[0].get_texts()][1] == "A: R² = –, n = 1"


def test_many_sets_of_other_cases_have_short_ticks():
    names = [f"set {i}" for i in range(6)]
    cases = _cases(*names)
    cases = cases[(cases["predictions"] != "set 2") | (cases["volume_gt_ml"] < 50)]
    labels = figures.size_group_boxes(cases).axes[0].get_xticklabels()
    assert labels[2].get_text() == "> 50 mL\nn = 0 to 2"


def test_a_missed_lesion_is_a_whole_point_on_the_axis():
    cases = _cases("A").assign(volume_pred_ml=0.0)
    points = figures.volume_scatter(cases).axes[0].collections[0]
    assert not points.get_clip_on()


def test_short_names_take_one_line_of_the_legend():
    figure = figures.size_group_boxes(_cases("held-out cases"), ("dice",))
    assert figure.legends[0]._ncols == 3
