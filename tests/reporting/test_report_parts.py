"""Parts of the report: published figures, choice of cases, orientation, curves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from matplotlib.backends.backend_agg import FigureCanvasAgg

from nnunetv2_strokesynth.evaluation.columns import COLUMN_BY_KEY
from nnunetv2_strokesynth.evaluation.volumes import read_image
from nnunetv2_strokesynth.reporting.case_images import (
    CaseFiles,
    case_panels,
    grey_window,
    to_radiological,
)
from nnunetv2_strokesynth.reporting.content import pick_cases
from nnunetv2_strokesynth.reporting.model_folder import (
    Fold,
    read_loss_terms,
)
from nnunetv2_strokesynth.reporting.panels import (
    Panel,
    Row,
    draw_panel,
)
from nnunetv2_strokesynth.reporting.published import (
    KEYS,
    PUBLISHED,
    by_source,
    value_cell,
)
from nnunetv2_strokesynth.reporting.render import published_table
from nnunetv2_strokesynth.reporting.training_curves import (
    STYLES,
    training_curves,
)

# Typed from the papers: paper, place, beginning of the method, column, what is printed there.
PRINTED = (
    ("Wang et al. 2020", "Table 5", "pseudo-DWI from F_o, F_l, F_h", "dice", "62.11 ± 17.18"),
    ("Wang et al. 2020", "Table 5", "pseudo-DWI from F_o, F_l, F_h", "hausdorff_mm",
     "19.27 ± 13.17"),
    ("Wang et al. 2020", "Table 5", "segmented from CTA", "precision", "65.63 ± 23.08"),
    ("Wang et al. 2020", "Table 5", "segmented from perfusion", "recall", "73.51 ± 17.48"),
    ("Wang et al. 2020", "Table 5", "real DWI", "assd_mm", "1.35 ± 2.77"),
    ("Wang et al. 2020", "Table 5", "real DWI", "relative_volume_error", "0.24 ± 0.24"),
    ("Wang et al. 2020", "Table 6", "proposed", "dice", "51 ± 31"),
    ("Wang et al. 2020", "Table 6", "Chen", "precision", "59 ± 38"),
    ("Song & Huang 2018", "Table 1", "AU-Net + CE + GD + G + SDF + SN + E + BN", "dice", "62"),
    ("Clèrigues et al. 2019", "Table 1", "single + RT + SM + UF", "dice", "54.7 ± 24.2"),
    ("Clèrigues et al. 2019", "Table 1", "baseline", "hausdorff_mm", "29.5 ± 18.9"),
    ("Clèrigues et al. 2019", "Table 2", "proposed", "recall", "57 ± 35"),
    ("Gómez 2023", "Table 2", "U-Net + CW + DS + Att, auxiliary", "dice", "64.3 ± 18.5"),
    ("Gómez 2023", "section 6", "proposed", "dice", "42 ± 31"),
    ("Abulnaga & Rubin 2018", "Table 1", "pre-trained PSPNet, focal", "dice", "54 ± 9"),
    ("Abulnaga & Rubin 2018", "Table 2", "ensemble", "precision", "59"),
)  # fmt: skip


@pytest.mark.parametrize(("paper", "where", "method", "key", "text"), PRINTED)
def test_published_figures_as_printed(paper, where, method, key, text):
    rows = [r for r in PUBLISHED if r.paper == paper and r.where.startswith(where)]
    row = next(r for r in rows if r.method.startswith(method))
    assert value_cell(row, key) == text


def test_published_rows_name_source_and_data_and_known_columns():
    for row in PUBLISHED:
        assert row.paper and row.where and row.data and set(row.values) <= set(KEYS)
    assert sum(r.where == "Table 5" for r in PUBLISHED) == 8
    assert sum(r.paper.startswith("Wang") and r.where == "Table 6" for r in PUBLISHED) == 5
    assert sum(len(group) for group in by_source()) == len(PUBLISHED)
    assert all(key in COLUMN_BY_KEY for key in KEYS)


def test_every_published_row_is_marked():
    for group in by_source():
        html = published_table(group)
        assert html.count('<span class="tag">published</span>') == len(group) + 1
        assert f"Measured on: {group[0].data}" in html
        assert '<table class="published"' in html


def _cases(dice, volumes):
    ids = [f"c{i}" for i in range(len(dice))]
    return pd.DataFrame({"case_id": ids, "dice": dice, "volume_gt_ml": volumes})


@pytest.mark.parametrize(
    ("dice", "volumes", "expected"),
    [
        ([0.2, 0.9, 0.5], [1, 1, 1], [("best", "c1"), ("median", "c2"), ("worst", "c0")]),
        # Two empty masks have Dice 1 and are no best case.
        ([0.2, 1.0, 0.5, 0.4], [1, 0, 1, 1], [("best", "c2"), ("median", "c3"), ("worst", "c0")]),
        ([0.3, 0.3], [1, 1], [("best", "c1"), ("worst", "c0")]),
        ([0.3], [1], [("best", "c0")]),
        ([1.0], [0], [("best", "c0")]),
    ],
)
def test_best_median_worst(dice, volumes, expected):
    assert pick_cases(_cases(dice, volumes)) == expected


@pytest.mark.parametrize("axes", [(1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_pictures_are_radiological_however_the_file_is_stored(axes, tmp_path):
    """The brightest voxel lies right, anterior and low in the patient (LPS mm: small x, y, z)."""
    array = np.zeros((3, 4, 5), np.float32)
    image = sitk.GetImageFromArray(array)
    image.SetDirection(np.diag(axes).ravel().astype(float).tolist())
    # Index of the voxel at the low end of every patient axis.
    index = [0 if sign > 0 else size - 1 for sign, size in zip(axes, image.GetSize(), strict=True)]
    image[index] = 7.0
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    turned, _ = to_radiological(read_image(tmp_path / "a.nii.gz"))
    assert turned[0, 0, 0] == 7.0


def test_case_panels_cut_the_widest_slice_and_keep_pixel_proportions(tmp_path):
    masks = np.zeros((2, 3, 6, 8), np.uint8)
    masks[0, 2, 1:3, 1:3] = 1
    masks[1, 0, :, :] = 1
    for name, mask in zip(("gt", "pred"), masks, strict=True):
        image = sitk.GetImageFromArray(mask)
        image.SetSpacing((1.0, 2.0, 5.0))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
    shown = case_panels(CaseFiles("a", tmp_path / "gt.nii.gz", tmp_path / "pred.nii.gz"))
    assert (shown.slice_number, shown.n_slices, shown.aspect) == (3, 3, 2.0)
    assert shown.lesion_gt.sum() == 4 and not shown.lesion_pred.any()
    assert [panel.title for panel in shown.panels] == ["feature", "pseudo-DWI", "DWI", "outlines"]
    figure = draw_panel(shown.panels[-1], Row("", shown.panels), aspect=shown.aspect, inches=2)
    assert figure.get_size_inches().tolist() == [2.0, 3.0]


def test_an_image_on_other_voxels_is_named(tmp_path):
    for name, size in (("gt", 4), ("pred", 4), ("dwi", 5)):
        image = sitk.GetImageFromArray(np.zeros((2, 4, size), np.uint8))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
    files = CaseFiles(
        "a", tmp_path / "gt.nii.gz", tmp_path / "pred.nii.gz", dwi=tmp_path / "dwi.nii.gz"
    )
    with pytest.raises(ValueError, match=r"case a: .*dwi.nii.gz has shape"):
        case_panels(files)


def test_grey_windows():
    image = np.array([[0.0, 5.0], [5.0, 5.0]])
    assert grey_window("CT", image) == (0, 80) and grey_window("CT_M", image) == (0, 80)
    assert grey_window("CTA_3", image) == (0, 120) and grey_window("MIP_P", image) == (0, 160)
    assert grey_window("Tmax", image) == (5, 6)


def test_an_outline_is_drawn_where_asked():
    lesion = np.zeros((20, 20), bool)
    lesion[5:10, 5:10] = True
    panel = Panel("outlines", np.zeros((20, 20)), (0.0, 1.0))
    drawn = {}
    for outlined in ((), ("outlines",)):
        figure = draw_panel(panel, Row("", (panel,), lesion, None, outlined))
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
        drawn[outlined] = int(((pixels[..., 1] - pixels[..., 0]) > 150).sum())
    assert drawn[()] == 0 and drawn[("outlines",)] > 50


def test_curves_have_a_panel_per_term_and_a_line_per_fold_and_phase(tmp_path):
    terms = {"train/L_s": [3.0, 2.0], "val/L_s": [4.0, 5.0], "train/a$b": [1.0, float("nan")]}
    figure = training_curves([Fold("0", terms), Fold("1", terms), Fold("2", {})])
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == ["L_s", "a$b"]
    drawn = [line for line in panels[0].lines if len(line.get_xdata())]
    assert [line.get_linestyle() for line in drawn] == [STYLES["train"], STYLES["val"]] * 2
    assert drawn[1].get_ydata().tolist() == [4.0, 5.0]
    assert drawn[0].get_color() != drawn[2].get_color()
    figure.savefig(tmp_path / "curves.png")
    assert training_curves([Fold("0", {})]) is None


def test_loss_log_round_trip_with_the_trainer(tmp_path):
    loss_log = pytest.importorskip("nnunetv2_strokesynth.trainers.loss_log")
    history = {"train/L_s": [3.25, 2.5], "val/L_s": [4.0, float("nan")]}
    loss_log.write_csv(tmp_path, history)
    read = read_loss_terms(tmp_path / loss_log.CSV_NAME)
    assert list(read) == list(history)
    for key, values in history.items():
        np.testing.assert_array_equal(read[key], values)
    assert read_loss_terms(tmp_path / "none.csv") == {}
