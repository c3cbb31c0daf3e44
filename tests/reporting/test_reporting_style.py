"""nnU-Net's seaborn changes matplotlib's settings; no figure of ours may look different for it."""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import seaborn
import SimpleITK as sitk

import nnunetv2_strokesynth
from nnunetv2_strokesynth.ctp.compute_maps import compute_maps
from nnunetv2_strokesynth.ctp.input_channels import CtpChannels, CtpImages
from nnunetv2_strokesynth.ctp.perfusion_window import PerfusionWindow
from nnunetv2_strokesynth.evaluation.cases import case_files
from nnunetv2_strokesynth.evaluation.columns import size_group
from nnunetv2_strokesynth.inference.patient import Prediction, Prepared
from nnunetv2_strokesynth.io.figure_file import png_bytes
from nnunetv2_strokesynth.io.nifti import Geometry
from nnunetv2_strokesynth.io.placement import Grid, reference_of
from nnunetv2_strokesynth.reporting import evaluation_figures as figures
from nnunetv2_strokesynth.reporting.case_images import CaseFiles
from nnunetv2_strokesynth.reporting.curve_figure import ScanCurve, draw_curve, draw_sheet
from nnunetv2_strokesynth.reporting.dark import darken
from nnunetv2_strokesynth.reporting.dice_figure import DiceRow, OurDice, dice_figure
from nnunetv2_strokesynth.reporting.panels import Panel, Row, draw_panel, draw_rows
from nnunetv2_strokesynth.reporting.patient_page import Page, draw_bolus, draw_page
from nnunetv2_strokesynth.reporting.perfusion_figure import draw_curves, draw_perfusion
from nnunetv2_strokesynth.reporting.side_by_side import System, collect, draw_systems
from nnunetv2_strokesynth.reporting.tuning_figure import grid_heatmaps
from nnunetv2_strokesynth.trainers.loss_figure import loss_figure

PACKAGE = Path(nnunetv2_strokesynth.__file__).parent
HOSTILE_NAME = "$a_case$"
HOSTILE_SETTINGS = {
    "font.family": "serif",
    "lines.linewidth": 7.0,
    "axes.grid": True,
    "axes.facecolor": "red",
    "figure.facecolor": "blue",
    "figure.dpi": 37.0,
    "savefig.dpi": 41.0,
    "savefig.facecolor": "green",
    "savefig.bbox": "tight",
    "image.origin": "lower",
    "image.interpolation": "bicubic",
    "axes.unicode_minus": False,
    "text.parse_math": True,
    "xtick.labelsize": 33.0,
    "legend.fontsize": 29.0,
}


def _cases() -> pd.DataFrame:
    generator = np.random.default_rng(0)
    gt = np.array([0.0, 2.0, 12.0, 30.0, 60.0, 120.0])
    pred = np.abs(gt + generator.normal(0, 6, gt.size))
    rve = np.where(gt > 0, np.abs(pred - gt) / np.maximum(gt, 1e-9), np.nan)
    return pd.DataFrame(
        {
            "predictions": HOSTILE_NAME,
            "volume_gt_ml": gt,
            "volume_pred_ml": pred,
            "size_group": [size_group(volume) for volume in gt],
            "dice": generator.uniform(size=gt.size),
            "relative_volume_error": rve,
        }
    )


def _tuning() -> dict:
    grid = [
        {"threshold": t, "min_size": s, "dice_mean": t, "hausdorff_mm_mean": s, "mean_rank": t + s}
        for t in (0.3, 0.5)
        for s in (10, 200)
    ]
    return {
        "threshold": 0.5,
        "min_size": 200,
        "unit": "voxels",
        "grid": grid,
        "tuned_on": {"n_cases": 7},
    }


def _row() -> Row:
    lesion = np.zeros((40, 40), dtype=bool)
    lesion[10:20, 10:20] = True
    image = np.random.default_rng(0).uniform(size=(40, 40))
    panels = [Panel("DWI", image), Panel("pseudo-DWI", None)]
    return Row(HOSTILE_NAME, panels, lesion, lesion.T[::-1], outlined=("DWI",))


def _dice_rows() -> list[DiceRow]:
    values = np.array([40.0, 60.0])
    return [
        DiceRow(HOSTILE_NAME, OurDice(values, 50.0, 40.0, 60.0), "", 62.11),
        DiceRow("UNet", None, "not run", None),
    ]


def _prepared(head):
    computed = compute_maps(head.series, **head.inputs)
    maps = np.stack(computed.maps)
    images = CtpImages(computed.baseline_hu, maps, None, "ctp", (5.0, 2.5, 2.5))
    window = PerfusionWindow(5, 30, "test")
    made = CtpChannels(maps, head.brain, head.series.sum((1, 2, 3)), window, {}, [])
    return Prepared(images, made, computed, [])


def _patient_page(head):
    prepared = _prepared(head)
    lesion = np.zeros(head.brain.shape, bool)
    lesion[1, 20:30, 40:46] = True
    prediction = Prediction(lesion, lesion * np.float32(0.8), prepared.images.ct)
    page = Page(HOSTILE_NAME, ["Predicted lesion: 1.0 mL"], ["a note"], orientation_known=True)
    return draw_page(page, prepared, prediction, Geometry((5.0, 2.5, 2.5)), head.times_s)


def _perfusion(head):
    computed = compute_maps(head.series, **head.inputs)
    grid = Grid(head.brain.shape, Geometry((5, 2.5, 2.5)), True)
    return draw_perfusion(computed, reference_of("series", grid), title=HOSTILE_NAME)


def _systems(head):
    """Two systems on one scan, from files."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for i, part in enumerate(("truth", "first", "second")):
            mask = np.roll(head.brain & head.right, i, axis=2).astype(np.uint8)
            (root / part).mkdir()
            sitk.WriteImage(sitk.GetImageFromArray(mask), str(root / part / "case_1.nii.gz"))
        truth = case_files(root / "truth")
        systems = [System(HOSTILE_NAME, root / "first"), System("second", root / "second")]
        found = collect(systems, truth, workers=1)
        pred = found.predictions[HOSTILE_NAME]["case_1"]
        return draw_systems(found, [CaseFiles("case_1", truth["case_1"], pred)])


HISTORY = {"train/L_s": [3.0, 2.0, 1.0], "val/L_s": [4.0, 5.0, 6.0], f"train/{HOSTILE_NAME}": [1.0]}
CURVE = ScanCurve(HOSTILE_NAME, np.arange(9.0), (2, 6, "rule"), 10, np.arange(9.0))
DRAW = {
    "volume_scatter": lambda head: figures.volume_scatter(_cases()),
    "bland_altman": lambda head: figures.bland_altman(_cases()),
    "size_group_boxes": lambda head: figures.size_group_boxes(_cases()),
    "grid_heatmaps": lambda head: grid_heatmaps(_tuning()),
    "draw_panel": lambda head: draw_panel(_row().panels[0], _row(), aspect=1.5),
    "draw_rows": lambda head: draw_rows([_row()], title=HOSTILE_NAME),
    "draw_curve": lambda head: draw_curve(CURVE),
    "draw_sheet": lambda head: draw_sheet([CURVE] * 5),
    "dice_figure": lambda head: dice_figure(_dice_rows(), title=HOSTILE_NAME, published_on="paper"),
    "loss_figure": lambda head: loss_figure({"": HISTORY}),
    "draw_perfusion": _perfusion,
    "draw_page": _patient_page,
    "draw_bolus": lambda head: draw_bolus(_prepared(head), head.times_s),
    "draw_curves": lambda head: draw_curves(compute_maps(head.series, **head.inputs)),
    "darken": lambda head: darken(figures.volume_scatter(_cases())),
    "draw_systems": _systems,
}


@pytest.fixture
def head(make_head):
    return make_head()


@pytest.mark.parametrize("name", DRAW)
def test_every_figure_has_the_same_pixels_after_hostile_settings(name, head):
    expected = png_bytes(DRAW[name](head), dpi=60)
    with matplotlib.rc_context():
        seaborn.set_theme(font_scale=2.5)  # what nnU-Net does
        matplotlib.rcParams.update(HOSTILE_SETTINGS)
        drawn = png_bytes(DRAW[name](head), dpi=60)
    assert drawn == expected


def test_the_comparison_notices_a_figure_that_takes_the_settings_over():
    def draw():
        return png_bytes.__wrapped__(figures.volume_scatter.__wrapped__(_cases()), dpi=60)

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a test before this one may have left nnU-Net's
        expected = draw()
        seaborn.set_theme(font_scale=2.5)
        assert draw() != expected


def _returns_a_figure(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and node.returns is not None
        and "Figure" in ast.unparse(node.returns).split(" | ")
    )


def test_every_figure_function_of_the_package_is_in_the_list():
    found = {
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if _returns_a_figure(node)
    }
    assert found == DRAW.keys()


def test_nothing_of_the_package_draws_with_pyplot_or_chooses_a_backend():
    for path in PACKAGE.rglob("*.py"):
        if path.name != "figure_file.py":
            text = path.read_text(encoding="utf-8")
            assert not any(word in text for word in ("pyplot", "matplotlib.use", "savefig")), path
