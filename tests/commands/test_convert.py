"""What ``strokesynth convert`` says at its end: the commands that plan and train the data set."""

import pytest
from next_commands import next_commands

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.commands.convert import TRAININGS
from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers


@pytest.fixture
def convert(scans, nnunet_raw):
    """Runs the command with one worker and two folds; returns the data set's folder."""

    def run(*options):
        arguments = [str(scans.root), "--folds", "2", "--workers", "1", *options]
        assert main(["convert", "isles2018", *arguments]) == 0
        return nnunet_raw / "Dataset018_ISLES2018"

    return run


@pytest.mark.parametrize(
    ("preset", "with_dwi", "training"),
    [
        ("wang2020", False, "2d 0 -tr StrokeSynthTrainer_NoDWI"),
        ("wang2020", True, "2d 0 -tr StrokeSynthTrainer"),
        ("song2018", False, "2d 0 -tr Song2018Trainer_AUNetCEGD"),
        ("song2018", True, "2d 0 -tr Song2018Trainer"),
        ("clerigues2019", True, "2d_patch64 0 -tr Clerigues2019Trainer"),
        ("real_dwi", True, "2d 0 -tr StrokeSynthTrainer_RealDWI"),
    ],
)
def test_the_next_commands_name_the_right_trainer(
    scans, convert, caplog, preset, with_dwi, training
):
    caplog.set_level("INFO")
    scans.add(1, dwi=with_dwi).add(2, dwi=with_dwi and preset == "real_dwi")
    folder = convert("--preset", preset)
    console = "\n".join(record.getMessage() for record in caplog.records)
    assert next_commands(console) == [
        "nnUNetv2_plan_and_preprocess -d 18 -c 2d -np 2".split(),
        f"nnUNetv2_train 18 {training} --npz".split(),
    ]
    assert (folder / "targetsTr").exists() == (with_dwi and preset != "real_dwi")
    assert ("no training scan has a DWI" in console) == (not with_dwi)


def test_the_trainers_of_the_next_commands_read_the_presets():
    for preset, training in TRAININGS.items():
        for name in (training.with_dwi, training.without_dwi):
            # nnU-Net's own network reads any channels.
            assert getattr(getattr(strokesynth_trainers, name), "preset", preset) == preset
    assert TRAININGS.keys() == PRESETS.keys()
