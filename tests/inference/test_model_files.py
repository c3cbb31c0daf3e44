"""Damaged and incomplete models: one line that names the file and the way out, in every command."""

import json
import shutil
import zipfile

import pytest

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.inference.model_files import check_model_files, threshold_note

CHECKPOINT = "fold_0/checkpoint_final.pth"
PLANS = {
    "dataset_name": "Dataset018_ISLES2018",
    "transpose_backward": [0, 1, 2],
    "configurations": {"2d": {"data_identifier": "nnUNetPlans_2d"}},
}
DATASET = {"channel_names": {"0": "CT"}, "labels": {"background": 0}, "file_ending": ".nii.gz"}


@pytest.fixture
def model(tmp_path):
    """A model that is whole as far as this can be seen without reading its weights."""
    folder = tmp_path / "StrokeSynthTrainer__nnUNetPlans__2d"
    (folder / "fold_0").mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(PLANS))
    (folder / "dataset.json").write_text(json.dumps(DATASET))
    with zipfile.ZipFile(folder / CHECKPOINT, "w") as archive:
        archive.writestr("checkpoint/data.pkl", "weights" * 100)
    return folder


def without(name, key):
    """A damage: the JSON file lacks a key."""

    def apply(model):
        content = json.loads((model / name).read_text())
        del content[key]
        (model / name).write_text(json.dumps(content))

    return apply


def cut(name, share):
    """A damage: only the first part of the file was copied."""

    def apply(model):
        content = (model / name).read_bytes()
        (model / name).write_bytes(content[: int(share * len(content))])

    return apply


def replaced(name, content):
    return lambda model: (model / name).write_bytes(content)


def removed(name):
    return lambda model: (model / name).unlink()


def other_archive(model):
    with zipfile.ZipFile(model / CHECKPOINT, "w") as archive:
        archive.writestr("readme.txt", "no weights")


# Damage -> what does it, and what the line names.
DAMAGES = {
    "no plans": (removed("plans.json"), "plans.json"),
    "empty plans": (replaced("plans.json", b""), "plans.json"),
    "cut plans": (cut("plans.json", 0.5), "plans.json"),
    "plans are a list": (replaced("plans.json", b"[]"), "plans.json"),
    "plans are not text": (replaced("plans.json", b"\xff\xfe\x00"), "plans.json"),
    "plans without configurations": (without("plans.json", "configurations"), "plans.json"),
    "no description": (removed("dataset.json"), "dataset.json"),
    "empty description": (replaced("dataset.json", b""), "dataset.json"),
    "cut description": (cut("dataset.json", 0.7), "dataset.json"),
    "no channels": (without("dataset.json", "channel_names"), "dataset.json"),
    "no labels": (without("dataset.json", "labels"), "dataset.json"),
    "no fold": (lambda model: shutil.rmtree(model / "fold_0"), "has no fold"),
    "no checkpoint": (removed(CHECKPOINT), "checkpoint_final.pth"),
    "empty checkpoint": (replaced(CHECKPOINT, b""), CHECKPOINT),
    "cut checkpoint": (cut(CHECKPOINT, 0.9), CHECKPOINT),
    "another archive": (other_archive, CHECKPOINT),
    "no archive": (replaced(CHECKPOINT, b"not a checkpoint"), CHECKPOINT),
}
COMMANDS = {
    "predict": "predict {model} -m {model} -o {out} -device cpu",
    "synthesize": "synthesize -m {model} -i {model} -o {out} -device cpu",
    "report": "report -m {model} --raw {model} -o {out}",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", COMMANDS)
def test_damage_is_named_with_the_way_out(command, damage, model, tmp_path, capsys):
    apply, named = DAMAGES[damage]
    apply(model)
    words = [word.format(model=model, out=tmp_path / "out") for word in COMMANDS[command].split()]
    code, line = main(words), capsys.readouterr().err.strip()
    assert code == 2 and line.startswith(f"strokesynth {command}: ") and "\n" not in line, line
    assert not (tmp_path / "out").exists() and str(model) in line
    if command != "report":
        assert named in line
        assert any(way in line for way in ("copy", "expected a folder", "Go on")), line


def test_the_line_names_checkpoints_that_are_there(model):
    shutil.copy(model / CHECKPOINT, model / "fold_0" / "checkpoint_best.pth")
    (model / "fold_0" / "checkpoint_latest.pth").touch()  # empty: no way out
    (model / CHECKPOINT).unlink()
    with pytest.raises(FileNotFoundError, match=r"--c`; or predict with -chk checkpoint_best.pth$"):
        check_model_files(model, None, "checkpoint_final.pth")
    assert check_model_files(model, None, "checkpoint_best.pth") == ("0",)
    with pytest.raises(FileNotFoundError, match=r"fold_3 is missing; -f names one of 0"):
        check_model_files(model, ["3"], "checkpoint_final.pth")


def test_a_checkpoint_whose_threshold_is_not_calibrated_warns(model):
    assert threshold_note(model, "checkpoint_best.pth") == ""
    calibrated = {"configurations": {"2d": {"data_identifier": "nnUNetPlans_2d_physical"}}}
    (model / "plans.json").write_text(json.dumps({**PLANS, **calibrated}))
    assert "checkpoint_best.pth is not calibrated" in threshold_note(model, "checkpoint_best.pth")
    assert threshold_note(model, "checkpoint_final.pth") == ""
