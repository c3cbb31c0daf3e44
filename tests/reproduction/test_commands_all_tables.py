"""Every row of every paper's table is a list of commands that trains, predicts and measures it."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from reproduction_world import REAL_DWI

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.papers.tables import TABLES


@pytest.mark.parametrize("name", TABLES)
def test_every_row_is_commands(world, caplog, capsys, name):
    caplog.set_level("INFO", logger="nnunetv2_strokesynth.commands.reproduce")
    for other in (REAL_DWI, "Dataset025_Ünit_windowed"):
        world.add_data_set(other)
    labels = world.raw / "Dataset018_Ünit" / "labelsTs"
    labels.mkdir()
    (labels / "test_001.nii.gz").touch()
    words = ["reproduce", name, "--dry-run", "-device", "cpu", "-o", str(world.out)]
    assert main(words) == 0, capsys.readouterr().err
    lines = caplog.messages
    assert subprocess.run(["bash", "-n", "-c", "\n".join(lines)], check=False).returncode == 0
    table, found = TABLES[name], {}
    for line in lines:
        if line.startswith("# ") and ", " in line:
            found[line.rpartition(": ")[2]] = []
        elif found:
            found[next(reversed(found))].append(shlex.split(line))
    assert list(found) == list(table.names)
    for row in (row for row in table.rows if row.name):
        verbs = [
            " ".join(words[: 2 if words[0] == "strokesynth" else 1]) for words in found[row.name]
        ]
        assert verbs.count("strokesynth evaluate") == 1 and verbs[-1] == "strokesynth evaluate"
        assert ("strokesynth tune" in verbs) == table.tuned
        assert "nnUNetv2_predict" in verbs if table.on_test_set else "nnUNetv2_train" in verbs
        if len(row.members) > 1:
            assert "nnUNetv2_ensemble" in verbs


def test_ensemble_of_ten_networks(world, caplog):
    caplog.set_level("INFO", logger="nnunetv2_strokesynth.commands.reproduce")
    words = ["reproduce", "abulnaga2018_test", "--dry-run", "-device", "cpu", "-o", str(world.out)]
    assert main(words) == 0
    lines = [shlex.split(line) for line in caplog.messages if line.startswith("nnUNetv2_")]
    assert [words[0] for words in lines] == (
        ["nnUNetv2_train"] * 10 + ["nnUNetv2_predict"] * 10 + ["nnUNetv2_ensemble"]
    )
    outputs = [words[words.index("-o") + 1] for words in lines[10:20]]
    ensemble = lines[-1]
    assert ensemble[ensemble.index("-i") + 1 : ensemble.index("-o")] == outputs
    assert len(set(outputs)) == 10 and all("--save_probabilities" in w for w in lines[10:20])
    trainers = {words[words.index("-tr") + 1] for words in lines[:20]}
    assert trainers == {"Abulnaga2018Trainer_Pretrained", "Abulnaga2018Trainer_PretrainedCE"}


def test_rows_without_weights_are_left_out_or_refused(world, monkeypatch, capsys, caplog):
    absent = world.root / "absent.pth"
    monkeypatch.setenv("strokesynth_pretrained", str(absent))
    ran = []
    monkeypatch.setattr(
        "nnunetv2_strokesynth.commands.reproduce.run_command",
        lambda command, *_, **__: ran.append(command),
    )
    words = ["reproduce", "abulnaga2018_folds", "-device", "cpu", "-o", str(world.out)]
    assert main(words) == 0
    assert ran == [] and f"no weights to start from at {absent}" in caplog.text
    assert main([*words, "--rows", "Abulnaga2018Trainer_PretrainedCE"]) == 2
    assert str(absent) in capsys.readouterr().err
    absent.touch()
    assert main(words) == 0
    assert {command[command.index("-tr") + 1] for command in ran if "-tr" in command} == {
        "Abulnaga2018Trainer_Pretrained",
        "Abulnaga2018Trainer_PretrainedCE",
    }
