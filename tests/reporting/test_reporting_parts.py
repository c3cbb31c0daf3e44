"""Parts of the report: published rows, choice of cases, orientation, the loss log."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from matplotlib.backends.backend_agg import FigureCanvasAgg

from nnunetv2_strokesynth.dataloading.dwi_scaling import scale_dwi
from nnunetv2_strokesynth.evaluation.volumes import read_image
from nnunetv2_strokesynth.papers.published import by_source
from nnunetv2_strokesynth.reporting.case_images import (
    CaseFiles,
    case_panels,
    grey_window,
    to_radiological,
)
from nnunetv2_strokesynth.reporting.model_folder import read_loss_terms
from nnunetv2_strokesynth.reporting.page import environment
from nnunetv2_strokesynth.reporting.panels import Panel, Row, draw_panel
from nnunetv2_strokesynth.reporting.report_content import _has_sides, pick_cases
from nnunetv2_strokesynth.reporting.report_page import published_table


def test_every_published_row_is_marked():
    for group in by_source():
        macros = environment().get_template("macros.html").module
        html = str(macros.table(published_table(group), published=True))
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


@pytest.mark.parametrize("scale", ["paper", "brain"])
def test_pseudo_dwi_and_dwi_have_one_window_in_which_the_lesion_is_seen(tmp_path, scale):
    rng = np.random.default_rng(0)
    brain = np.zeros((2, 24, 24), bool)
    brain[:, 4:20, 4:20] = True
    lesion = np.zeros_like(brain)
    lesion[0, 6:9, 6:9] = True
    dwi = (300 + 15 * rng.normal(size=brain.shape)) * brain * (1 + 0.7 * lesion)
    pseudo = scale_dwi(dwi, scale, brain)
    volumes = {"gt": lesion, "pred": lesion, "dwi": dwi, "pseudo": pseudo, "cbf": brain}
    for name, volume in volumes.items():
        kind = np.uint8 if volume.dtype == bool else np.float32
        image = sitk.GetImageFromArray(volume.astype(kind))
        sitk.WriteImage(image, str(tmp_path / f"{name}.nii.gz"))
        volumes[name] = tmp_path / f"{name}.nii.gz"
    shown = case_panels(
        CaseFiles(
            "a",
            volumes["gt"],
            volumes["pred"],
            channels=[("CBF", volumes["cbf"])],
            pseudo_dwi=volumes["pseudo"],
            dwi=volumes["dwi"],
            scale=scale,
        )
    )
    panels = {panel.title: panel for panel in shown.panels}
    grey = {}
    for title in ("pseudo-DWI", "DWI"):
        image, (low, high) = panels[title].image, panels[title].window
        grey[title] = (image - low) / (high - low)
    np.testing.assert_allclose(grey["pseudo-DWI"], grey["DWI"], atol=1e-4)
    inside, others = grey["DWI"][lesion[0]].mean(), grey["DWI"][brain[0] & ~lesion[0]].mean()
    assert 0.3 < others < 0.7 and inside > others + 0.2 and inside < 1.0


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


def test_loss_log_round_trip_with_the_trainer(tmp_path):
    loss_log = pytest.importorskip("nnunetv2_strokesynth.trainers.loss_log")
    history = {"train/L_s": [3.25, 2.5], "val/L_s": [4.0, float("nan")]}
    loss_log.write_csv(tmp_path, history)
    read = read_loss_terms(tmp_path / loss_log.CSV_NAME)
    assert list(read) == list(history)
    for key, values in history.items():
        np.testing.assert_array_equal(read[key], values)
    assert read_loss_terms(tmp_path / "none.csv") == {}


def test_sides_are_known_where_the_data_set_says_so(tmp_path):
    """A header that says nothing does not hide what ``dataset.json`` says of all scans."""
    mask = sitk.GetImageFromArray(np.ones((2, 4, 4), np.uint8))
    sitk.WriteImage(mask, str(tmp_path / "a.nii.gz"))
    files = CaseFiles("a", tmp_path / "a.nii.gz", tmp_path / "a.nii.gz")
    assert not case_panels(files).sides_known
    assert case_panels(files._replace(has_sides=True)).sides_known
    for text, known in (
        ('{"orientation": "LPS"}', True),
        ('{"orientation": "unknown"}', False),
        ("{}", False),
        ("[", False),
    ):
        (tmp_path / "dataset.json").write_text(text)
        assert _has_sides(tmp_path) == known
    assert not _has_sides(tmp_path / "nowhere")
