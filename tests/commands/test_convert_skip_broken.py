"""``convert --skip-broken``: what cannot be used is left out and listed, and can come back."""

import csv
import json
import pickle
import shutil

import numpy as np
import pytest

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.dataset_conversion.faults import Fault

SCANS = {"isles2018": "scans", "isles2017": "mri_scans", "isles2024": "bids_scans"}
FOLDERS = {
    "isles2018": "Dataset018_ISLES2018",
    "isles2017": "Dataset017_ISLES2017",
    "isles2024": "Dataset024_ISLES2024",
}
BROKEN = 2


def truncated(path):
    """Long enough for a whole header, so that only reading the voxels tells."""
    share = 0.5 if path.suffix == ".gz" else 0.9
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def no_header(path):
    path.write_bytes(b"<html>please log in</html>" * 50)


def empty(path):
    path.write_bytes(b"")


def missing(path):
    path.unlink()


@pytest.fixture(params=SCANS)
def release(request, nnunet_raw):
    """Three scans of one kind: its name, the scans and the data set's folder."""
    scans = request.getfixturevalue(SCANS[request.param])
    for number in (1, 2, 3):
        scans.add(number)
    return request.param, scans, nnunet_raw / FOLDERS[request.param]


def convert(release, *options):
    kind, scans, _ = release
    words = ["--folds", "2", "--workers", "1", *options]
    return main(["convert", kind, str(scans.root), *words])


def contents(folder):
    """Relative path -> bytes, but for the records, which hold times of files."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in files
        if path.parent.name != "conversion"
    }


def left_of(folder, case_id):
    return [path for path in folder.rglob("*") if path.name.startswith(case_id)]


def case_of(release):
    return "case_0002" if release[0] == "isles2024" else "case_002"


@pytest.mark.parametrize("damage", [truncated, no_header, empty, missing])
@pytest.mark.parametrize("modality", ["Tmax", "OT"])
def test_left_out_listed_and_added_when_mended(
    release, damage, modality, capsys, caplog, tmp_path, request
):
    kind, scans, folder = release
    if damage is missing and modality == "OT" and kind == "isles2024":
        pytest.skip("a patient without a lesion is a test scan there")
    path, case_id = scans.path(BROKEN, modality), case_of(release)
    shutil.copy2(path, tmp_path / "sound")
    damage(path)
    assert convert(release) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert case_id in message and "--skip-broken leaves out scans that cannot be used" in message
    assert not (folder / "dataset.json").exists()
    with caplog.at_level("WARNING"):
        assert convert(release, "--skip-broken") == 0
    assert any("1 of 3 scans cannot be used and were left out" in m for m in caplog.messages)
    assert any(m.startswith(f"  {case_id} (") for m in caplog.messages)
    assert not left_of(folder, case_id)
    described = json.loads((folder / "dataset.json").read_text())
    assert described["numTraining"] == 2
    (skipped,) = described["skipped"]
    assert skipped["case"] == case_id and skipped["why"]
    assert skipped["file"] == ("" if damage is missing else path.name)
    with (folder / "conversion_report.csv").open(newline="") as file:
        rows = {row["case_id"]: row for row in csv.DictReader(file)}
    assert len(rows) == 3 and rows[case_id]["skipped"] == skipped["why"]
    assert not rows[case_id]["fold"] and not rows[case_id]["patient"]
    splits = json.loads((folder / "splits_final.json").read_text())
    assert not any(case_id in part for split in splits for part in split.values())

    shutil.copy2(tmp_path / "sound", path)
    assert convert(release) == 0
    added = contents(folder)
    assert convert(release, "--overwrite") == 0
    assert contents(folder) == added
    assert "skipped" not in json.loads((folder / "dataset.json").read_text())


def test_a_refusal_of_one_case(release, tmp_path):
    """Sound headers; the voxels are refused after the others were converted."""
    *_, scans, folder = release
    label = scans.path(BROKEN, "OT")
    shutil.copy2(scans.path(BROKEN, "Tmax"), label)
    assert convert(release, "--skip-broken") == 0
    assert not left_of(folder, case_of(release))
    (skipped,) = json.loads((folder / "dataset.json").read_text())["skipped"]
    assert "expected 0 and 1" in skipped["why"] and skipped["file"] == label.name


@pytest.mark.parametrize("damage", [truncated, no_header])
def test_a_case_that_breaks_later_leaves_the_data_set(release, damage, capsys):
    """Converted once: nothing of it stays, neither with nor without the option half of it."""
    *_, scans, folder = release
    assert convert(release) == 0
    (folder / "curves").mkdir()
    (folder / "curves" / f"{case_of(release)}.png").write_bytes(b"its curve")
    damage(scans.path(BROKEN, "Tmax"))
    assert convert(release) == 2
    described = folder / "dataset.json"
    assert not described.exists() or json.loads(described.read_text())["numTraining"] == 3
    complete = len(left_of(folder, case_of(release)))
    assert complete == 0 or described.exists()
    assert convert(release, "--skip-broken") == 0
    assert not left_of(folder, case_of(release))
    assert json.loads(described.read_text())["numTraining"] == 2
    before = contents(folder)
    assert convert(release, "--skip-broken") == 0  # nothing changes any more
    assert contents(folder) == before
    assert convert(release, "--skip-broken", "--overwrite") == 0
    assert json.loads(described.read_text())["numTraining"] == 2


def test_all_or_too_many_are_broken(release, capsys):
    *_, scans, folder = release
    for number in (1, 2):
        empty(scans.path(number, "Tmax"))
    assert convert(release, "--skip-broken") == 2
    assert "1 training patient, folds need at least 2" in capsys.readouterr().err
    empty(scans.path(3, "Tmax"))
    assert convert(release, "--skip-broken") == 2
    assert "none of the 3 scans can be used: case_" in capsys.readouterr().err
    assert not (folder / "dataset.json").exists()


def test_doubles_are_left_out(scans, mri_scans, bids_scans, nnunet_raw):
    for number in (1, 2, 3, 4):
        scans.add(number)
        bids_scans.add(number)
    scans.add("04")
    scans.write(2, "CT_CBF", np.zeros((18, 16, 2)))
    bids_scans.write(2, "DWI", np.ones((18, 16, 2), np.float32), session="ses-03")
    wanted = {"isles2018": {"case_002", "case_004"}, "isles2024": {"case_0002"}}
    for kind, source in (("isles2018", scans), ("isles2024", bids_scans)):
        folder = nnunet_raw / FOLDERS[kind]
        assert convert((kind, source, folder), "--skip-broken") == 0
        skipped = json.loads((folder / "dataset.json").read_text())["skipped"]
        assert {one["case"] for one in skipped} == wanted[kind]
        for case_id in wanted[kind]:
            assert not left_of(folder, case_id)


def test_a_fault_survives_the_way_between_processes():
    fault = Fault("case_002", "TRAINING/case_2", "CBF: truncated", "cbf.nii")
    copy = pickle.loads(pickle.dumps(ValueError(fault))).args[0]
    assert copy == fault == "case_002 (TRAINING/case_2): CBF: truncated"
    assert copy.row == {
        "case": "case_002",
        "source": "TRAINING/case_2",
        "file": "cbf.nii",
        "why": "CBF: truncated",
    }
