"""``strokesynth fingerprint``, and what ``strokesynth convert`` does of it by itself."""

import json
import logging

import pytest
from next_commands import next_commands

from nnunetv2_strokesynth.cli import main

NAME = "Dataset018_ISLES2018"
PLAN = "nnUNetv2_plan_and_preprocess -d 18 -c 2d -np 2".split()


@pytest.fixture
def convert(scans, nnunet_raw, caplog):
    """Runs ``convert`` with one worker and two folds; returns what it says."""
    caplog.set_level(logging.INFO)
    scans.add(1).add(2, lesion=6)

    def run(*options):
        caplog.clear()
        arguments = [str(scans.root), "--folds", "2", "--workers", "1", *options]
        assert main(["convert", "isles2018", *arguments]) == 0
        return caplog.text

    return run


@pytest.fixture
def path(nnunet_raw):
    """Where nnU-Net looks for the fingerprint."""
    return nnunet_raw.parent / "nnUNet_preprocessed" / NAME / "dataset_fingerprint.json"


def test_convert_writes_it_once_and_renews_it(convert, path, scans):
    assert f"{path} is written" in convert()
    first = path.read_bytes()
    assert f"{path} is up to date" in convert() and path.read_bytes() == first
    scans.replace(2, "CT", scans.arrays(2)["CT"] + 7)
    assert f"{path} is written" in convert()
    second = path.read_bytes()
    assert second != first
    assert f"{path} is written" in convert("--overwrite", "--no-brain-mask")
    assert path.read_bytes() != second


def test_without_the_folder_the_next_command_is_fingerprint(convert, path, monkeypatch, caplog):
    monkeypatch.delenv("nnUNet_preprocessed")
    convert()
    fingerprint, plan, _ = next_commands("\n".join(caplog.messages))
    assert fingerprint == "strokesynth fingerprint -d 18".split() and plan == PLAN
    assert not path.exists()
    monkeypatch.setenv("nnUNet_preprocessed", str(path.parents[1]))
    caplog.clear()
    assert main(fingerprint[1:]) == 0
    assert f"{path} is written" in caplog.text
    assert next_commands("\n".join(caplog.messages)) == [PLAN]


def test_after_outdated_plans_are_deleted_it_is_written_again(convert, path, caplog):
    convert()
    (path.parent / "splits_final.json").write_text("[]")
    assert f"delete {path.parent}, then plan" in convert()
    assert next_commands("\n".join(caplog.messages))[0] == "strokesynth fingerprint -d 18".split()


def test_a_case_that_was_removed_by_hand_is_gone_from_it(convert, path, nnunet_raw, caplog):
    convert()
    for file in nnunet_raw.rglob("case_002*.nii.gz"):
        file.unlink()
    assert main(["fingerprint", "-d", "18"]) == 0
    assert len(json.loads(path.read_text())["spacings"]) == 1
    caplog.clear()
    assert main(["fingerprint", "-d", "18"]) == 0
    assert f"{path} is up to date" in caplog.text


def test_scans_without_any_lesion_are_converted_with_a_warning(convert, path, scans):
    for number in (1, 2):
        scans.replace(number, "OT", 0 * scans.arrays(number)["OT"])
    assert "warning: none of the 2 labels" in convert()
    assert not path.exists()


@pytest.mark.parametrize("variable", ["nnUNet_raw", "nnUNet_preprocessed"])
def test_variables_that_are_not_set_are_named(nnunet_raw, monkeypatch, capsys, variable):
    monkeypatch.delenv(variable)
    assert main(["fingerprint", "-d", "18"]) == 2
    assert f"{variable} is not set" in capsys.readouterr().err


def test_unknown_data_set_is_named(nnunet_raw, capsys):
    assert main(["fingerprint", "-d", "18", "19"]) == 2
    assert "there is no data set 18 in" in capsys.readouterr().err


def test_the_demo_plans_with_it(pipeline):
    content = json.loads((pipeline.preprocessed / "dataset_fingerprint.json").read_text())
    assert content["made_from"]["cases"] == len(content["spacings"]) == 10
    assert "Extracting dataset fingerprint" not in (pipeline.out / "logs/plan.txt").read_text()
