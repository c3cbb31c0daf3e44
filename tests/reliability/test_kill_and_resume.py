"""A command that is killed and run again gives the result of a run that was not disturbed.

``STROKESYNTH_KILL_ROUNDS`` sets how often each test kills.
"""

import csv
import os
import shutil
import sys
import time

import pytest
import torch

from nnunetv2_strokesynth.dataloading.targets import targets_folder
from nnunetv2_strokesynth.nnunet_commands import (
    command_path,
    environment,
    users_environment,
)

N_SCANS = 8
FOLD = "nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d/fold_0"


@pytest.fixture
def start_conversion(folders, writers, children):
    """Function: start converting eight scans into ``base/nnUNet_raw``, with two workers."""
    scans = writers.Scans(folders.src)
    for number in range(1, N_SCANS + 1):
        scans.add(number, dwi=number % 2 == 0)

    def run(base):
        base.mkdir(exist_ok=True)
        command = [command_path("strokesynth"), "convert", "isles2018", str(folders.src)]
        command += ["--workers", "2", "--plots"]
        variables = users_environment() | {"nnUNet_raw": str(base / "nnUNet_raw")}
        return children.start(command, variables, folders.base / "convert.log")

    return run


def test_conversion(folders, children, digests, leftovers, start_conversion):
    log = folders.base / "convert.log"
    children.finish(start_conversion(folders.base / "undisturbed"), log)
    expected = digests(folders.base / "undisturbed")
    n_files = len(expected)
    assert n_files > N_SCANS * 14
    for number, rng in enumerate(children.rounds()):
        base = folders.base / f"killed_{number}"
        for _ in range(2):
            wanted = rng.randrange(_entries(base), n_files)
            children.kill_when(start_conversion(base), lambda: _entries(base) > wanted)  # noqa: B023
            print(f"round {number}: killed when there were {wanted} of {n_files} files")
        children.finish(start_conversion(base), log)
        assert digests(base) == expected
        assert leftovers(base) == []
        shutil.rmtree(base)


def _entries(folder):
    return sum(1 for _ in folder.rglob("*"))


def test_targets(target_inputs, children, digests, leftovers, tmp_path):
    ready, go = tmp_path / "ready", tmp_path / "go"
    go.touch()
    undisturbed = target_inputs.folder("undisturbed")
    children.finish(target_inputs.start(undisturbed, ready=ready, go=go), target_inputs.log)
    expected = digests(targets_folder(undisturbed))
    assert len(expected) == 20  # ten scans, a volume and a record of each
    for number, rng in enumerate(children.rounds()):
        preprocessed = target_inputs.folder(f"killed_{number}")
        targets = targets_folder(preprocessed)
        n_renames = rng.randrange(len(expected))
        first = children.DIE_AT_RENAME.format(n_renames=n_renames)
        killed = target_inputs.start(preprocessed, ready=ready, go=go, first=first)
        assert killed.wait(children.TIMEOUT_S) == -9
        print(f"round {number}: killed at rename {n_renames} of {len(expected)}")
        (half,) = leftovers(targets)
        assert len(digests(targets)) == n_renames + 1
        two_hours_ago = time.time() - 7200
        os.utime(half, (two_hours_ago, two_hours_ago))  # a younger one may be another training's
        children.finish(target_inputs.start(preprocessed, ready=ready, go=go), target_inputs.log)
        assert digests(targets) == expected


def test_cases_in_hu_and_seconds(target_inputs, children, digests, leftovers, tmp_path):
    ready, go = tmp_path / "ready", tmp_path / "go"
    go.touch()
    undisturbed = tmp_path / "undisturbed" / "nnUNetPlans_2d_physical"
    children.finish(target_inputs.start_cases(undisturbed, ready=ready, go=go), target_inputs.log)
    expected = digests(undisturbed)
    assert len(expected) == 41  # ten scans: image, labels, properties, record; a folder
    for number, rng in enumerate(children.rounds()):
        folder = tmp_path / f"killed_{number}" / "nnUNetPlans_2d_physical"
        n_renames = rng.randrange(40)
        first = children.DIE_AT_RENAME.format(n_renames=n_renames)
        killed = target_inputs.start_cases(folder, ready=ready, go=go, first=first)
        assert killed.wait(children.TIMEOUT_S) == -9
        print(f"round {number}: killed at rename {n_renames} of 40")
        for half in leftovers(folder):
            os.utime(half, (0, 0))  # a younger one may be another training's
        children.finish(target_inputs.start_cases(folder, ready=ready, go=go), target_inputs.log)
        assert digests(folder) == expected


@pytest.fixture
def start_training(pipeline, tmp_path, children):
    """Function: start a training of three short epochs that goes on from a checkpoint."""

    def run(first=""):
        entry = "from nnunetv2.run.run_training import run_training_entry\nrun_training_entry()"
        options = "18 2d 0 -tr StrokeSynthTrainer -device cpu --c".split()
        variables = environment(
            pipeline.out,
            nnUNet_results=str(tmp_path / "nnUNet_results"),
            strokesynth_num_epochs="3",
            strokesynth_num_iterations_per_epoch="2",
            strokesynth_num_val_iterations_per_epoch="1",
        )
        return children.start(
            [sys.executable, "-c", first + entry, *options], variables, tmp_path / "train.log"
        )

    return run


def check_training(fold, leftovers):
    """Three epochs, each once, and a final checkpoint that loads."""
    with open(fold / "loss_terms.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert all(row["train/L_s"] != "nan" for row in rows)
    final = torch.load(fold / "checkpoint_final.pth", map_location="cpu", weights_only=False)
    assert final["current_epoch"] == 3
    assert len(final["logging"]["mean_fg_dice"]) == 3
    assert leftovers(fold) == []


@pytest.mark.long
def test_training(start_training, children, leftovers, tmp_path):
    """Killed in the middle of a checkpoint, then about when an epoch ends, then left alone."""
    fold, log = tmp_path / FOLD, tmp_path / "train.log"
    for number, rng in enumerate(children.rounds()):
        shutil.rmtree(tmp_path / "nnUNet_results", ignore_errors=True)
        n_saves = rng.choice([0, 1, 1])
        dying = start_training(children.DIE_IN_TORCH_SAVE.format(n_saves=n_saves))
        assert dying.wait(children.TIMEOUT_S) == -9, log.read_text()[-3000:]
        assert len(leftovers(fold)) == 1
        whole = list(fold.glob("checkpoint_*.pth"))
        assert len(whole) == n_saves
        for path in whole:
            torch.load(path, map_location="cpu", weights_only=False)
        seen, delay_s = _epoch_mark(fold), rng.uniform(0, 0.5)
        children.kill_when(start_training(), lambda: _epoch_mark(fold) != seen, delay_s)  # noqa: B023
        print(f"round {number}: killed in checkpoint {n_saves + 1}, {delay_s:.2f} s after an epoch")
        children.finish(start_training(), log)
        check_training(fold, leftovers)


def _epoch_mark(fold):
    """Changes whenever an epoch ends."""
    table = fold / "loss_terms.csv"
    return table.stat().st_ino if table.exists() else None
