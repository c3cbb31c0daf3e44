"""ISLES 2017 converted: files of the data set, channels, options, scans that are refused."""

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import binary_closing, binary_fill_holes

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.dataset_conversion.Dataset017_ISLES2017 import (
    ISLES2017,
    PRESET,
    find_scans,
)
from nnunetv2_strokesynth.dataset_conversion.job import (
    CaseJob,
    convert_case,
    finished_record,
)
from nnunetv2_strokesynth.dataset_conversion.mri_case import convert_mri
from nnunetv2_strokesynth.dataset_conversion.settings import Settings

MAPS = ("ADC", "rCBF", "rCBV", "MTT", "TTP", "Tmax")


@pytest.fixture
def convert(mri_scans, nnunet_raw):
    """Runs the command with one worker and two folds; returns the data set's folder."""

    def run(*options):
        arguments = [str(mri_scans.root), "--folds", "2", "--workers", "1", *options]
        assert main(["convert", "isles2017", *arguments]) == 0
        return nnunet_raw / "Dataset017_ISLES2017"

    return run


def read(folder, name):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(folder / name)))


def expected_mask(arrays):
    """Where any map is non-zero, closed by 3 pixels and hole-filled slice by slice."""
    found = np.any([arrays[name].T != 0 for name in MAPS], axis=0)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)
    planes = [np.pad(plane, 3) for plane in found]
    planes = [binary_fill_holes(binary_closing(p, cross, iterations=3)) for p in planes]
    return np.stack(planes)[:, 3:-3, 3:-3]


@pytest.mark.parametrize("options", [[], ["--no-brain-mask"]])
def test_channels_and_label(mri_scans, convert, options):
    """Every channel against the arrays as written, transposed to (z, y, x) and masked."""
    mri_scans.add(1, lesion=9).add(2)
    folder = convert(*options)
    arrays = mri_scans.arrays(1, lesion=9)
    mask = True if options else expected_mask(arrays)
    for index, name in enumerate(MAPS):
        image = read(folder, f"imagesTr/case_001_{index:04d}.nii.gz")
        assert image.dtype == np.float32
        np.testing.assert_array_equal(image, arrays[name].T * mask)
    label = sitk.ReadImage(str(folder / "labelsTr/case_001.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(label), arrays["OT"].T)
    assert label.GetSpacing() == pytest.approx(mri_scans.spacing_zyx_mm[::-1])


def test_files_of_the_data_set(mri_scans, convert, caplog):
    caplog.set_level("INFO")
    for number in (1, 2, 5, 9):
        mri_scans.add(number, lesion=number % 4 + 1)
    folder = convert()
    mri_scans.add(3, "testing")
    assert convert() == folder
    description = json.loads((folder / "dataset.json").read_text())
    assert description["channel_names"] == {str(i): name for i, name in enumerate(MAPS)}
    assert description["preset"] == "isles2017" and description["brain_mask"] is True
    assert description["numTraining"] == 4 and description["origin"] == "ISLES 2017"
    assert description["description"] == ISLES2017.description["description"]
    assert sorted(path.name for path in (folder / "imagesTs").iterdir()) == [
        f"test_003_{index:04d}.nii.gz" for index in range(6)
    ]
    assert not (folder / "labelsTs").exists() and not (folder / "targetsTr").exists()
    splits = json.loads((folder / "splits_final.json").read_text())
    assert len(splits) == 2, "the folds of patients alone"
    assert sorted(sum((split["val"] for split in splits), [])) == [
        f"case_{number:03d}" for number in (1, 2, 5, 9)
    ]
    log = caplog.text
    assert "4 training scans of 4 patients and 1 testing scans" in log
    assert (
        "nnUNetv2_plan_and_preprocess -d 17 -c 2d -np 2\n" in log
        and "-tr Gomez2023Trainer_MRI --npz\n" in log
    )
    for word in ("DWI", "window", "Wang", "sidecar", "unknown", "warning"):
        assert word not in log


def test_report(mri_scans, convert):
    mri_scans.add(1, lesion=3).add(2)
    with open(convert() / "conversion_report.csv", newline="") as file:
        row, _ = csv.DictReader(file)
    mask = expected_mask(mri_scans.arrays(1))
    assert (row["case_id"], row["patient"]) == ("case_001", "case_001")
    assert (row["source"], row["shape_zyx"]) == ("training/training_1", "2x16x18")
    assert float(row["lesion_volume_ml"]) == pytest.approx(9 * 0.72, abs=1e-3)
    assert float(row["brain_volume_ml"]) == pytest.approx(mask.sum() * 0.72, abs=1e-3)
    for name in ("n_frames", "t_start", "t_end", "window_rule", "dwi_present", "paper_split"):
        assert row[name] == ""


def test_a_subset_of_the_channels(mri_scans, convert, capsys):
    """In the preset's order; the brain is the same as with all maps."""
    mri_scans.add(1).add(2)
    folder = convert("--channels", "Tmax", "TTP")
    description = json.loads((folder / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "TTP", "1": "Tmax"}
    assert description["preset"] == "isles2017"
    assert len(list((folder / "imagesTr").iterdir())) == 4
    arrays = mri_scans.arrays(1)
    for index, name in enumerate(("TTP", "Tmax")):
        image = read(folder, f"imagesTr/case_001_{index:04d}.nii.gz")
        np.testing.assert_array_equal(image, arrays[name].T)
    record = json.loads((folder / "conversion/case_001.json").read_text())
    voxel_ml = np.prod(mri_scans.spacing_zyx_mm) / 1000
    volume = record["row"]["brain_volume_ml"]
    assert volume == pytest.approx(expected_mask(arrays).sum() * voxel_ml)
    arguments = [str(mri_scans.root), "--folds", "2", "--workers", "1"]
    assert main(["convert", "isles2017", *arguments, "--channels", "ADC", "TTP"]) == 2
    error = capsys.readouterr().err
    assert "channels ['TTP', 'Tmax'], now ['ADC', 'TTP']" in error and "--overwrite" in error
    assert len(json.loads((convert("--overwrite") / "dataset.json").read_text())["labels"]) == 2
    assert len(list((folder / "imagesTr").iterdir())) == 12


def test_a_case_of_other_channels_is_not_finished(mri_scans, tmp_path):
    mri_scans.add(1)
    (scan,), _ = find_scans(mri_scans.root)
    chosen = [Settings(PRESET, True, 5, 0, channels=c) for c in (("ADC", "TTP"), ("ADC", "Tmax"))]
    jobs = [CaseJob(scan, tmp_path / "out", settings, convert_mri) for settings in chosen]
    record = convert_case(jobs[0])
    assert finished_record(jobs[0]) == record and finished_record(jobs[1]) is None


def test_only_what_is_missing_or_changed_is_done_again(mri_scans, convert, caplog):
    caplog.set_level("INFO")
    for number in (1, 2, 3):
        mri_scans.add(number)
    folder = convert()
    files = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.glob("labelsTr/*")}
    (folder / "imagesTr" / "case_002_0004.nii.gz").unlink()
    mri_scans.replace(3, "TTP", mri_scans.arrays(3)["TTP"] * 2)
    convert()
    assert "1 of 3 cases were up to date" in caplog.text
    assert all(path.read_bytes() == content for path, (content, _) in files.items())
    redone = {p.name for p, (_, time) in files.items() if p.stat().st_mtime_ns != time}
    assert redone == {"case_002.nii.gz", "case_003.nii.gz"}
    ttp = read(folder, "imagesTr/case_003_0004.nii.gz")
    np.testing.assert_array_equal(ttp, mri_scans.arrays(3)["TTP"].T * 2)


def spoil_missing(scans):
    scans.remove(2, "Tmax")


def spoil_no_lesion(scans):
    scans.remove(2, "OT")


def spoil_shape(scans):
    scans.replace(2, "TTP", np.ones((18, 15, 2), np.float32))


def spoil_series(scans):
    scans.replace(2, "rCBV", np.ones((18, 16, 2, 3), np.float32))


def spoil_nan(scans):
    array = scans.arrays(2)["ADC"]
    array[:9, :, 1] = np.where(array[:9, :, 1] > 0, np.nan, 0)
    scans.replace(2, "ADC", array)


def spoil_label(scans):
    scans.replace(2, "OT", scans.arrays(2)["OT"] * 2)


def spoil_empty(scans):
    for name in MAPS:
        scans.replace(2, name, np.zeros((18, 16, 2), np.float32))


SPOILT = {
    spoil_missing: "no file for Tmax (found: ",
    spoil_no_lesion: "no file for OT (found: ",
    spoil_shape: "has shape (2, 15, 18) (z, y, x), the ADC has (2, 16, 18)",
    spoil_series: "is a series, expected a 3-D image",
    spoil_nan: "ADC holds no measurement in 15% of the brain",
    spoil_label: "holds the values 0, 2, expected 0 and 1",
    spoil_empty: "ADC, rCBF, rCBV, MTT, TTP, Tmax hold nothing but background",
}


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda spoil: spoil.__name__.removeprefix("spoil_"))
def test_spoilt_scan(mri_scans, nnunet_raw, capsys, spoil):
    mri_scans.add(1).add(2)
    spoil(mri_scans)
    arguments = [str(mri_scans.root), "--folds", "2", "--workers", "1", "--channels", "ADC"]
    assert main(["convert", "isles2017", *arguments]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "1 problem in the scans: case_002 (training/training_2): " in message
    assert SPOILT[spoil] in message
    assert not list(nnunet_raw.rglob("dataset.json"))


def test_other_voxel_sizes_are_reported(mri_scans, convert, caplog):
    mri_scans.add(1).add(2)
    mri_scans.replace(1, "TTP", mri_scans.arrays(1)["TTP"], spacing=(1, 1, 1))
    convert()
    assert "MR_TTP" in caplog.text and "the ADC's are used" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--preset", "isles2017"], "unrecognized arguments: --preset"),
        (["--patients", "p.csv"], "unrecognized arguments: --patients"),
        (["--plots"], "unrecognized arguments: --plots"),
        (["--channels", "CT"], "invalid choice: 'CT'"),
        (["--channels"], "expected at least one argument"),
    ],
)
def test_options_that_make_no_sense_are_not_offered(mri_scans, capsys, options, message):
    with pytest.raises(SystemExit) as stopped:
        main(["convert", "isles2017", str(mri_scans.root), *options])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_isles2018_does_not_offer_the_maps_of_an_mri(mri_scans, capsys):
    with pytest.raises(SystemExit):
        main(["convert", "isles2018", str(mri_scans.root), "--preset", "isles2017"])
    assert "invalid choice: 'isles2017'" in capsys.readouterr().err
