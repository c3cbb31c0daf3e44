"""The report: right numbers, in the right order, from hostile files, in one safe file."""

from __future__ import annotations

import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import PseudoDwiRecord, write_record
from nnunetv2_strokesynth.evaluation.columns import COLUMNS
from nnunetv2_strokesynth.evaluation.metrics import MISSED_MM
from nnunetv2_strokesynth.reporting.model_folder import Fold, Model
from nnunetv2_strokesynth.reporting.panels import Panel
from nnunetv2_strokesynth.reporting.report_content import HELD_OUT, describe, find_failures
from nnunetv2_strokesynth.reporting.report_page import _window_text, tables_by_size

HOSTILE_CASE = "zz<script>alert(1)<&'\"$x"
HOSTILE_TRAINER = "<b>Trainer$_&"
EXPECTED_DICE = {"case_1": 100.0, "case_2": 85.71, "case_3": 0.0, "case_4": 0.0,
                 HOSTILE_CASE: 66.67}  # fmt: skip


class Page(HTMLParser):
    """Tables as lists of rows of texts, tags and attributes."""

    def __init__(self, html: str):
        super().__init__()
        self.tables, self.tags, self.attributes, self.headings = {}, set(), [], []
        self._section, self._cell, self._text = "", None, []
        self.html = html
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.add(tag)
        self.attributes += attrs
        if tag == "section":
            self._section = attributes["id"]
        if tag == "table":
            self.tables.setdefault(self._section, []).append([])
        if tag == "tr":
            self.tables[self._section][-1].append([])
        if tag in ("td", "th", "h2"):
            self._text = []

    def handle_data(self, data):
        self._text.append(data)

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.tables[self._section][-1][-1].append("".join(self._text))
        if tag == "h2":
            self.headings.append("".join(self._text))


@pytest.fixture
def report(reported):
    return Page(reported.html)


def test_sections_come_in_order_with_failures_before_any_mean(report):
    assert report.headings == [
        "Failures first",
        "Summary by lesion size",
        "Best, median and worst case",
        "Volumes and lesion size",
        "Training curves",
        "Every case",
        "Beside published figures",
    ]
    # The contents list leads to each of them; other papers' tables are folded.
    sections = re.findall(r'<section id="(\w+)">', report.html)[1:]
    assert {f"#{name}" for name in sections} == set(re.findall(r'href="(.*?)"', report.html))
    folded = report.html.split("<details>")[1].split("</details>")[0]
    assert folded.count('<table class="published"') == report.html.count('<table class="published"')


def test_every_case_and_its_numbers(report):
    header, *rows = report.tables["cases"][0]
    by_case = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert {case: float(row["Dice (%)"]) for case, row in by_case.items()} == EXPECTED_DICE
    assert by_case["case_1"]["True (mL)"] == by_case["case_1"]["Predicted (mL)"] == "12.00"
    assert by_case["case_1"]["Size group"] == "10-50 mL"
    assert by_case["case_3"]["HD (mm)"] == "–"
    # From (z, y, x) = (0, 0, 0) to (2, 9, 9), voxels of 5 x 3 x 2 mm.
    assert float(by_case["case_4"]["HD (mm)"]) == pytest.approx(np.sqrt(100 + 729 + 324), abs=0.005)
    # One of four true voxels is a voxel of 2 mm away from the prediction.
    assert by_case["case_2"]["HD (mm)"] == "2.00"
    assert by_case["case_2"]["Fold"] == "0" and by_case[HOSTILE_CASE]["Fold"] == "3"


def test_summary_is_the_mean_and_sample_deviation(report):
    header, *rows = report.tables["summary"][0]
    cells = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    values = np.array([100, 600 / 7, 0, 0, 200 / 3])
    expected = f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"
    assert cells["all"]["Dice (%)"] == expected
    assert cells["10-50 mL"]["Dice (%)"] == "100.00"
    assert cells["all"]["HD (mm)"].endswith("(1 n.c.)")
    here_header, here = report.tables["published"][0]
    assert dict(zip(here_header, here, strict=True))["Dice (%)"] == expected


def test_failures_are_the_worst_first_with_reasons(report):
    _, *rows = report.tables["failures"][0]
    assert [row[0] for row in rows] == ["case_3", "case_4"]
    assert "empty prediction" in rows[0][1] and "not countable: HD" in rows[0][1]
    assert "lowest tenth" in rows[0][1] and "lowest tenth" not in rows[1][1]
    assert "Dice 0: the prediction misses the lesion" in rows[1][1]
    assert "2 of 5 cases have Dice 0; 1 have a lesion but an empty prediction." in report.html


def test_every_failure_has_a_picture(report):
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", report.html)
    assert captions[0].startswith("case_3: empty prediction; among the lowest tenth")
    assert (
        captions[1].startswith("case_4: Dice 0") and "Slice 1 of 3, outlines on CT" in captions[1]
    )
    place = report.html.index("case_3: empty prediction")
    assert place < report.html.index("Summary by lesion size</h2>")
    for short in ("HD", "ASSD", "RVE"):
        assert f"<dt>{short}</dt>" in report.html


def test_facts_come_from_files(report):
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", report.html))
    assert facts["Folds found"] == "0, 1, 3"
    assert facts["Folds without predictions"] == "2, 4"
    assert facts["Newest checkpoint"] == "2023-11-14 22:14 UTC (fold_1/checkpoint_final.pth)"
    assert facts["Epochs logged"] == "fold 0: 2, fold 1: 2"
    assert facts["Trainer"] == escape(HOSTILE_TRAINER)
    assert facts["Evaluated"] == "cross-validation, 5 cases; 1 without prediction left out: case_9"
    assert "Dataset018_Tiny" in facts["Data set"]
    assert "For research only" in report.html


def test_nothing_is_loaded_or_run_and_hostile_names_stay_text(report):
    assert report.tags.isdisjoint({"script", "link", "iframe", "object", "base", "b"})
    sources = [value for name, value in report.attributes if name in ("src", "srcset")]
    assert all(value.startswith("#") for name, value in report.attributes if name == "href")
    assert len(sources) > 10
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not [name for name, _ in report.attributes if name.startswith("on")]
    assert (
        "url(" not in report.html and "@import" not in report.html and "http://" not in report.html
    )
    assert "<script" not in report.html
    assert escape(HOSTILE_CASE) in report.html
    # Alternative texts repeat the name inside quotes.
    assert any(name == "alt" and HOSTILE_CASE in value for name, value in report.attributes)


def test_same_files_same_page(reported):
    first = reported.html
    assert main(reported.options("--overwrite")) == 0
    assert reported.html == first


def test_panels_show_best_median_worst_and_say_what_is_absent(report):
    titles = re.findall(r"<h3>(.*?)</h3>", report.html)
    assert titles == [
        "Best by Dice: case_1",
        f"Median by Dice: {escape(HOSTILE_CASE)}",
        "Worst by Dice: case_3",
    ]
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", report.html)
    for caption in ("CT: 0 to 80 HU", "CTA_0: 0 to 120 HU", "feature", "pseudo-DWI"):
        assert captions.count(caption) == 3
    assert sum(caption.startswith("outlines on DWI") for caption in captions) == 1
    assert sum(caption.startswith("outlines on CT") for caption in captions) == 2
    assert report.html.count("strokesynth synthesize") == 1
    assert "patient's right (R) is on the left" in unescape(report.html)
    assert "slice 2 of 3, as stored: the side is unknown" in report.html  # headers say nothing


def test_pseudo_dwi_and_feature_fill_their_panels(tiny):
    pseudo = tiny.root / "pseudo"
    (pseudo / "feature").mkdir(parents=True)
    for case_id in ("case_1", "case_3"):
        source = tiny.raw / "imagesTr" / f"{case_id}_0000.nii.gz"
        shutil.copy(source, pseudo / f"{case_id}.nii.gz")
        shutil.copy(source, pseudo / "feature" / f"{case_id}.nii.gz")
    assert main(tiny.options("--pseudo-dwi", pseudo)) == 0
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", tiny.html)
    assert sum(caption.startswith("pseudo-DWI:") for caption in captions) == 2
    assert sum(caption.startswith("feature:") for caption in captions) == 2
    assert "strokesynth synthesize" not in tiny.html
    assert "networks that saw these scans in training" in tiny.html
    # Only case_1 has a DWI as well.
    header, row, *_ = Page(tiny.html).tables["summary"][2]
    assert "SSIM global" in header and row[2].endswith("(4 n.c.)")


@pytest.mark.parametrize("learned", ["DWI", "nothing", "blurred lesion"])
def test_a_pseudo_dwi_that_is_none_is_said_on_the_page(tiny, learned):
    pseudo = tiny.root / "pseudo"
    pseudo.mkdir()
    for case_id in EXPECTED_DICE:
        shutil.copy(tiny.raw / "imagesTr" / f"{case_id}_0000.nii.gz", pseudo / f"{case_id}.nii.gz")
    write_record(pseudo, PseudoDwiRecord.now("brain", learned))
    assert main(tiny.options("--pseudo-dwi", pseudo)) == 0
    assert ("What is shown as pseudo-DWI is none" in tiny.html) == (learned != "DWI")
    assert "pseudo-DWI: 0.00 to 1.00" in tiny.html


def test_held_out_cases(tiny):
    pred = tiny.root / "predictions"
    shutil.copytree(tiny.model / "fold_0" / "validation", pred)
    options = ["--pred", pred, "--gt", tiny.raw / "labelsTr", "--images", tiny.raw / "imagesTr"]
    assert main(tiny.options(*options)) == 0
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", tiny.html))
    assert facts["Evaluated"].startswith("held-out cases, 2 cases; 4 without prediction")
    assert facts["Folds not trained"] == "2, 4"
    _, *rows = Page(tiny.html).tables["failures"][0]
    unpredicted = [row[0] for row in rows if row[1] == "no prediction"]
    assert unpredicted == sorted(["case_3", "case_4", "case_9", HOSTILE_CASE])


def test_a_model_without_loss_log_is_reported_too(tiny):
    for log in tiny.model.glob("fold_*/loss_terms.csv"):
        log.unlink()
    assert main(tiny.options()) == 0
    assert "No loss_terms.csv" in tiny.html
    assert "no loss_terms.csv in any fold" in tiny.html


def _break_csv(tiny):
    (tiny.model / "fold_0" / "loss_terms.csv").write_text("epoch,train/L_s\n0\n")


def _break_mask(tiny):
    shutil.copy(
        tiny.raw / "imagesTr" / "case_1_0000.nii.gz", tiny.raw / "labelsTr" / "case_1.nii.gz"
    )


ERRORS = {
    "no model": (lambda t: (t.model / "plans.json").unlink(), (), "has no plans.json"),
    "bad json": (lambda t: (t.model / "dataset.json").write_text("{"), (), "is not JSON"),
    "no channels": (lambda t: (t.model / "dataset.json").write_text("{}"), (), "channel_names"),
    "bad csv": (_break_csv, (), "loss_terms.csv, line 2: 1 cells, expected 2"),
    "bad mask": (_break_mask, (), "case_1.nii.gz holds the values"),
    "no channel file": (
        lambda t: (t.raw / "imagesTr" / "case_2_0001.nii.gz").unlink(),
        (),
        "case_2_0001.nii.gz does not exist",
    ),
    "pred without gt": (lambda t: None, ("--pred", "x"), "--pred and --gt go together"),
    "no such folder": (lambda t: None, ("--pseudo-dwi", "nowhere"), "--pseudo-dwi nowhere is not"),
    "no labels": (lambda t: shutil.rmtree(t.raw / "labelsTr"), (), "labelsTr is not a folder"),
    "no predictions": (
        lambda t: [shutil.rmtree(p) for p in t.model.glob("fold_*")],
        (),
        "no .nii.gz",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_unusable_input_is_one_line(name, tiny, capsys):
    spoil, options, message = ERRORS[name]
    spoil(tiny)
    assert main(tiny.options(*options)) == 2
    # A progress bar may stand before and after.
    error = re.search("strokesynth report: .*", capsys.readouterr().err)[0]
    assert message in error
    assert sorted(p.name for p in tiny.root.iterdir()) == ["Dataset018_Tiny", "raw"]


def test_foreign_pseudo_dwi_is_refused(tiny, capsys):
    assert main(tiny.options("--pseudo-dwi", tiny.raw / "imagesTr")) == 2
    assert "has a file for none of the 5 cases" in capsys.readouterr().err


def test_an_earlier_report_is_kept(tiny, capsys):
    output = tiny.root / "report.html"
    output.write_text("mine")
    assert main(tiny.options()) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert main(tiny.options("--overwrite")) == 0
    assert "Failures first" in output.read_text()


@pytest.mark.parametrize("missed", [False, True])
def test_penalised_distances_stand_there_where_a_lesion_was_missed(missed):
    """Without a miss they repeat the distances, in millions of mm: 0.00."""
    cases = pd.DataFrame({column.key: [1.0, 2.0] for column in COLUMNS})
    cases = cases.assign(case_id=["a", "b"], predictions="held-out", size_group="< 10 mL")
    cases = cases.assign(volume_gt_ml=[3.0, 5.0], volume_pred_ml=[2.0, 5.5])
    if missed:
        cases.loc[1, "hausdorff_penalised_mm"] = MISSED_MM
    tables = tables_by_size(SimpleNamespace(cases=cases))
    headings = {heading for table in tables for heading in table.header}
    assert ("HD, 1e8 mm if missed (1e6 mm)" in headings) == missed
    assert {"HD (mm)", "HD95 (mm)", "AVD (mL)"} <= headings
    assert all(len(row) == len(table.header) for table in tables for row in table.rows)


def test_no_caption_says_minus_zero():
    panel = Panel("feature", np.zeros((2, 2)), (-0.001, 0.88))
    assert _window_text(panel) == "0.00 to 0.88"


def test_the_ends_of_a_narrow_window_differ():
    """An ADC in mm2/s, a map of seconds by its other name."""
    assert _window_text(Panel("ADC", np.zeros((2, 2)), (0.0004, 0.0009))) == "0.00040 to 0.00090"
    assert _window_text(Panel("TTP", np.zeros((2, 2)), (8.0, 25.5))) == "8.00 to 25.50 s"
    assert _window_text(Panel("CBF", np.zeros((2, 2)), (1.0, 1.0))) == "1.00 to 1.00"


def test_a_model_trained_on_all_cases_lacks_no_fold():
    sources = SimpleNamespace(kind=HELD_OUT, gt="gt", pred="pred")
    content = SimpleNamespace(sources=sources, cases=[0], unpredicted=(), missing_folds=())
    model = Model(Path(), "T", "P", "2d", "D", ("CT",), ".nii.gz", (Fold("all", {}),), "")
    assert dict(describe(content, model))["Folds not trained"] == "none"


def test_a_scan_that_is_rightly_empty_is_no_failure():
    nan = float("nan")
    cases = pd.DataFrame(
        [
            {"case_id": "rightly_empty", "volume_gt_ml": 0.0, "volume_pred_ml": 0.0, "dice": 1.0},
            {"case_id": "in_vain", "volume_gt_ml": 0.0, "volume_pred_ml": 1.0, "dice": 0.0},
            {"case_id": "missed", "volume_gt_ml": 2.0, "volume_pred_ml": 0.0, "dice": 0.0},
        ]
    ).assign(hausdorff_mm=nan, relative_volume_error=nan)
    content = SimpleNamespace(cases=cases, missing_folds=(), unpredicted=())
    assert [failure.case_id for failure in find_failures(content)] == ["in_vain", "missed"]
