"""Every kind of wrong value, in every entry: it is refused, or the result file warns of it."""

import csv
import json

import numpy as np
import pytest
from implausible import FAULTS, MAPS, write_images
from matplotlib.text import Text

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.ctp.compute_maps import compute_maps
from nnunetv2_strokesynth.dataset_conversion.conversion_report import write_report
from nnunetv2_strokesynth.dataset_conversion.ctp_case import convert_ctp
from nnunetv2_strokesynth.dataset_conversion.Dataset017_ISLES2017 import (
    find_scans as find_mri_scans,
)
from nnunetv2_strokesynth.dataset_conversion.job import CaseJob, convert_case
from nnunetv2_strokesynth.dataset_conversion.mri_case import convert_mri
from nnunetv2_strokesynth.dataset_conversion.scans import Scan
from nnunetv2_strokesynth.dataset_conversion.settings import Settings
from nnunetv2_strokesynth.inference import patient, patient_result
from nnunetv2_strokesynth.inference.study import find_study
from nnunetv2_strokesynth.reporting.patient_page import Page, draw_page

OF_SERIES = {name: fault for name, fault in FAULTS.items() if fault.concerns_series}


@pytest.fixture(scope="module")
def clean(make_head):
    """CT, series and maps of one head, which nothing is wrong with."""
    head = make_head(noise_hu=1.0)
    computed = compute_maps(head.series, **head.inputs)
    return {
        "CT": computed.baseline_hu,
        "4DPWI": head.series,
        **dict(zip(MAPS, computed.maps, strict=True)),
    }


def convert(folder, files):
    """The cell ``warnings`` of the conversion's report."""
    scan = Scan("case_001", "test", "here", files, "CT", ())
    job = CaseJob(scan, folder, Settings("wang2020", True, 5, 0), convert_ctp)
    record = convert_case(job)
    report = folder / "conversion_report.csv"
    write_report(
        report, [scan], records={"case_001": record}, patients={"case_001": "1"}, folds={}, paper={}
    )
    (row,) = csv.DictReader(report.open())
    return row["warnings"]


def predict(folder, files):
    """The warnings of ``result.json``."""
    study = find_study(next(iter(files.values())).parent)
    prepared = patient.prepare(study, PRESETS["wang2020"])
    lesion = np.zeros(prepared.made.mask.shape, bool)
    lesion[0, 20:30, 20:30] = True
    prediction = patient.Prediction(lesion, lesion.astype(np.float32), None)
    doubts = patient.doubts_about(prediction, prepared.made.mask)
    prepared = patient.with_warnings(prepared, doubts)
    result = patient_result.describe_result({}, study, prepared, prediction)
    assert set(result["warnings"]) <= set(result["notes"])
    return "; ".join(result["warnings"])


def maps(folder, files, capsys):
    """The warnings of ``maps.json``; ``ValueError`` with the command's one line otherwise."""
    if main(["maps", str(files["4DPWI"]), "-o", str(folder)]):
        raise ValueError(capsys.readouterr().err)
    return "; ".join(json.loads((folder / "maps.json").read_text())["warnings"])


def check(fault, tmp_path, clean, run):
    images = dict(clean)
    fault.spoil(images)
    files = write_images(tmp_path / "in", images, fault.voxels)
    (tmp_path / "out").mkdir()
    try:
        said = run(tmp_path / "out", files)
    except ValueError as error:
        assert fault.refused
        return str(error)
    assert not fault.refused
    return said


@pytest.mark.parametrize("entry", [convert, predict])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_given_maps(tmp_path, clean, fault, entry):
    said = check(fault, tmp_path, clean, entry)
    assert fault.said in said and "expected" in said
    named = fault.named if fault.named == "brain mask" else f"{fault.named} ({fault.named}.nii)"
    assert named in said


@pytest.mark.parametrize("entry", ["convert", "predict", "maps"])
@pytest.mark.parametrize("fault", OF_SERIES.values(), ids=OF_SERIES)
def test_computed_maps(tmp_path, clean, fault, entry, capsys, quick_figures):
    """Some faults are found before the maps are, in other words."""
    without = {"4DPWI": clean["4DPWI"]}
    if entry == "convert":
        without["CT"] = clean["CT"]
    run = {"convert": convert, "predict": predict, "maps": lambda *a: maps(*a, capsys)}[entry]
    said = check(fault, tmp_path, without, run)
    words = ("expected", "no bolus", "no arterial curve", "found none", "no brain", "artery")
    assert any(word in said for word in words), said
    if not fault.refused:
        assert fault.said in said


@pytest.mark.parametrize("entry", [convert, predict])
def test_clean_images(tmp_path, clean, entry):
    files = write_images(tmp_path / "in", clean)
    (tmp_path / "out").mkdir()
    assert entry(tmp_path / "out", files) == ""


def test_a_wrong_image_that_the_channels_do_not_show(tmp_path, clean):
    """`clerigues2019` reads no frame, so that a series of two frames only warns."""
    files = write_images(tmp_path, clean | {"4DPWI": clean["4DPWI"][8:20:11]})
    study = find_study(tmp_path)
    assert files["CT"].parent == tmp_path
    prepared = patient.prepare(study, PRESETS["clerigues2019"])
    assert any("2 frames" in warning for warning in prepared.warnings)


@pytest.mark.parametrize(
    ("name", "factor", "said"),
    [
        ("Tmax", 1000, "Tmax (VSD.Brain.XX.O.MR_Tmax"),
        ("ADC", 1e-3, "multiply it by 1000"),
        ("TTP", 30, "a median of 1 to 90 s"),
        ("rCBV", 0.01, "scaled to 0 to 1"),
    ],
)
def test_mri_maps_in_other_units_are_warned_of(tmp_path, mri_scans, name, factor, said):
    """Nobody has confirmed the release's units, so that none of them is a reason to refuse."""
    record = _convert_mri(tmp_path, mri_scans, lambda arrays: {name: factor * arrays[name]})
    (warning,) = record["warnings"]
    assert said in warning and "expected" in warning


@pytest.mark.parametrize("name", ["Tmax", "ADC", "rCBF"])
def test_a_constant_mri_map_is_refused(tmp_path, mri_scans, name):
    with pytest.raises(ValueError, match=f"{name} .*4 everywhere in the brain"):
        _convert_mri(tmp_path, mri_scans, lambda a: {name: np.where(a[name] != 0, 4, 0)})


def test_clean_mri_maps(tmp_path, mri_scans):
    assert _convert_mri(tmp_path, mri_scans, lambda arrays: {})["warnings"] == []


def _convert_mri(folder, scans, spoil):
    scans.add(1)
    for name, array in spoil(scans.arrays(1)).items():
        scans.replace(1, name, array.astype(np.float32))
    (scan,) = find_mri_scans(scans.root)[0]
    return convert_case(CaseJob(scan, folder, Settings("isles2017", True, 5, 0), convert_mri))


@pytest.mark.parametrize(
    ("fill", "said"),
    [(0.0, "no voxel"), (0.4, None), (0.6, "60% of the brain"), (1.0, "100% of the brain")],
)
def test_predicted_lesions_and_the_page(tmp_path, clean, fill, said):
    write_images(tmp_path, clean)
    study = find_study(tmp_path)
    prepared = patient.prepare(study, PRESETS["wang2020"])
    inside = np.flatnonzero(prepared.made.mask)
    lesion = np.zeros(prepared.made.mask.shape, bool)
    lesion.flat[inside[: round(fill * len(inside))]] = True
    prediction = patient.Prediction(lesion, lesion.astype(np.float32), None)
    doubts = patient.doubts_about(prediction, prepared.made.mask)
    doubtful = patient.with_warnings(prepared, doubts)
    result = patient_result.describe_result({}, study, doubtful, prediction)
    assert [said in line for line in result["warnings"]] == ([True] if said else [])
    page = Page("a", [], [], True, doubtful.warnings)
    figure = draw_page(page, doubtful, prediction, study.geometry, study.times_s)
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert any("WARNING: predicted lesion" in text for text in texts) == bool(said)
