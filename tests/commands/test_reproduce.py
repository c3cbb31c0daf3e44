"""The printed commands do what they say: pasted into bash they train, predict and measure."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import warm_commands

TRAINER = "StrokeSynthTrainer_SegUNet"
SHORT = "--epochs 1 --iterations 1 --base-features 4 -device cpu".split()


@pytest.fixture
def strokesynth(warm):
    """Function: what `strokesynth reproduce` prints."""

    def reproduce(*words: str, rc: int = 0) -> str:
        result = warm.run(["strokesynth", "reproduce", *words], dict(os.environ))
        assert result.returncode == rc, result.stderr
        return result.stdout

    return reproduce


@pytest.fixture
def scripts(warm, tmp_path) -> Path:
    """A folder with the console scripts by their names, without their start-up."""
    folder, client = tmp_path / "bin", tmp_path / "client.py"
    folder.mkdir()
    client.write_text(warm_commands.CLIENT)
    start = shlex.join([sys.executable, "-S", "-E", str(client), str(warm.address)])
    for name in ("strokesynth", "nnUNetv2_train"):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {start} {name} "$@"\n')
        script.chmod(0o755)
    return folder


@pytest.mark.usefixtures("nnunet_folders")
def test_printed_commands_produce_the_evaluation(strokesynth, scripts, tmp_path):
    """``nnunet_folders`` sets nnU-Net's variables, with results of this test's own."""
    out = tmp_path / "a table"
    words = ["table3", "--rows", TRAINER, "--folds", "0", *SHORT, "-o", str(out)]
    printed = strokesynth(*words, "--dry-run")
    assert not out.exists()
    bash = subprocess.run(
        ["bash", "-e"],
        input=printed,
        env=os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert bash.returncode == 0, bash.stdout[-3000:] + bash.stderr[-3000:]
    cases = pd.read_csv(out / TRAINER / "evaluation" / "cases.csv")
    assert len(cases) == 2 and cases["dice"].between(0, 1).all()
    # Nothing is left to be done: the table is written at once.
    assert "(finished)" in strokesynth(*words, "--dry-run")
    strokesynth(*words)
    page = (out / "table3.md").read_text(encoding="utf-8")
    assert "DIGITAL PHANTOM" in page and "2 scans measured" in page
    assert "finished: 1 of 7 rows" in page and not (out / "logs").exists()
    words[words.index("--epochs") + 1] = "2"
    strokesynth(*words, rc=2)
