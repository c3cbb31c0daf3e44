"""``strokesynth doctor``: exit code, table and JSON."""

import json

import numpy as np
import pytest

from nnunetv2_strokesynth.cli import main


@pytest.fixture
def doctor(capsys, caplog, tmp_path):
    """Runs the command; returns exit code, what it says, and the last line of its errors."""
    caplog.set_level("INFO")

    def run(*options):
        caplog.clear()
        convert = [] if "--convert" in options else ["--convert", "--folds", "2"]
        code = main(["doctor", *map(str, options), *convert])
        said = "\n".join(record.getMessage() for record in caplog.records)
        return code, said, (capsys.readouterr().err.splitlines() or [""])[-1]

    return run


def truncate(path):
    path.write_bytes(path.read_bytes()[:-30])


def test_everything_fine_is_one_line_and_the_conversion_is_next(bids_scans, doctor):
    bids_scans.add(1).add(2).add(3)
    code, said, _ = doctor(bids_scans.root, "-np", "1")
    assert code == 0
    assert "isles2024 in" in said and "3 scans (3 training, 0 testing)" in said
    assert "all 3 scans are fine" in said
    assert "REFUSED" not in said and "doubtful" not in said
    assert f"strokesynth convert isles2024 {bids_scans.root} --folds 2" in said
    # All three are stored alike: one line, not three.
    assert said.count("stored in LAS order") == 1


def test_the_worst_comes_first(bids_scans, doctor):
    bids_scans.add(1).add(2).add(3)
    bids_scans.write(1, "CT", bids_scans.arrays(1)["CT"].astype(np.int16) + 300)  # not in HU
    truncate(bids_scans.path(3, "CBV"))
    code, said, _ = doctor(bids_scans.root, "-np", "1")
    assert code == 1
    assert "1 refused, 1 doubtful, 1 fine" in said
    lines = said.splitlines()
    (first,) = [i for i, line in enumerate(lines) if line.startswith("REFUSED   case_0003")]
    (second,) = [i for i, line in enumerate(lines) if line.startswith("doubtful  case_0001")]
    assert first < second
    # The conversion would stop.
    command = f"convert isles2024 {bids_scans.root} --folds 2 --skip-broken"
    assert command in said and said.count("next: ") == 1
    options = ("--convert", "--folds", "2", "--skip-broken")
    code, said, _ = doctor(bids_scans.root, "-np", "1", *options)
    assert code == 1 and "1 refused, 1 doubtful, 1 fine" in said
    bids_scans.write(1, "CT", bids_scans.arrays(1)["CT"].astype(np.int16))
    code, said, _ = doctor(bids_scans.root, "-np", "1", *options)
    assert code == 0 and "1 refused, 0 doubtful, 2 fine" in said and command in said


def test_json(scans, doctor, tmp_path):
    scans.add(1, dwi=True).add(2).add(1, "TESTING")
    scans.remove(2, "CBV")
    path = tmp_path / "found.json"
    code, said, _ = doctor(scans.root, "--json", path, "-np", "1")
    assert code == 1 and str(path) in said
    content = json.loads(path.read_text())
    assert content["kind"] == "isles2018" and content["version"] == 1
    assert content["needs_decision"] and not content["quick"]
    assert content["counts"] == {"refused": 1, "doubtful": 0, "fine": 2}
    assert [scan["verdict"] for scan in content["scans"]] == ["fine", "refused", "fine"]
    finding = content["scans"][1]["findings"][0]
    assert finding["level"] == "refused" and finding["text"].startswith("no file for CBV")
    texts = [finding["text"] for finding in content["findings"]]
    assert any("1 of 2 training scans have no DWI" in text for text in texts)
    code, _, error = doctor(scans.root, "--json", path)
    assert code == 2 and "exists; choose another --json, or add --overwrite" in error
    assert doctor(scans.root, "--json", path, "--overwrite", "-np", "1")[0] == 1


def test_options_of_convert_change_the_verdict(bids_scans, doctor):
    bids_scans.add(1).add(2).add(3, maps=False)
    code, said, _ = doctor(bids_scans.root, "-np", "1", "--quick")
    assert code == 1 and "no file for CBF, CBV, MTT, Tmax" in said
    options = ("--convert", "--skip-incomplete", "--folds", "2")
    code, said, _ = doctor(bids_scans.root, "-np", "1", "--quick", *options)
    assert code == 0
    assert "(headers only; without --quick voxels are read, too; with --skip-incomplete" in said
    assert f"convert isles2024 {bids_scans.root} --skip-incomplete --folds 2" in said


def test_too_few_patients_for_the_folds(bids_scans, doctor):
    bids_scans.add(1).add(2)
    code, said, _ = doctor(bids_scans.root, "--quick", "-np", "1", "--convert")
    assert code == 1
    assert "REFUSED   data set   2 training patients cannot fill 5 folds" in said


def test_nothing_is_written_besides_the_json(bids_scans, doctor, tmp_path, monkeypatch):
    bids_scans.add(1).add(2)
    before = sorted(bids_scans.root.rglob("*"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.delenv("nnUNet_raw", raising=False)
    assert doctor(bids_scans.root, "-np", "1")[0] == 0
    assert list(work.iterdir()) == [] and sorted(bids_scans.root.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["photos"], "looks like none of isles2018, isles2017, isles2024 (found cat.jpg)"),
        (["both"], "holds isles2018 and isles2024: choose one with --kind"),
        (["ISLES2024", "--kind", "isles2018"], "It looks like isles2024: type"),
        (["ISLES2024", "--json", "no/such/folder.json"], "there is no folder"),
        (["ISLES2024", "-np", "0"], "expected 1 or more"),
    ],
)
def test_wrong_calls(scans, bids_scans, doctor, tmp_path, options, message):
    bids_scans.add(1).add(2)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("x")
    for writer, name in ((scans, "ISLES2018"), (bids_scans, "ISLES2024")):
        writer.root = tmp_path / "both" / name
        writer.add(1).add(2)
    code, _, error = doctor(tmp_path / options[0], *options[1:])
    assert code == 2 and error.startswith("strokesynth doctor: ")
    assert message in error
