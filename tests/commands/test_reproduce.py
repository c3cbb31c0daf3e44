"""The printed commands do what they say: pasted into bash they train, predict and measure."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pandas as pd

from nnunetv2_strokesynth.nnunet_commands import command_path

TRAINER = "StrokeSynthTrainer_SegUNet"
SHORT = "--epochs 1 --iterations 1 --base-features 4 -device cpu".split()


def _strokesynth(*words: str, rc: int = 0) -> str:
    result = subprocess.run(
        [command_path("strokesynth"), "reproduce", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == rc, result.stderr
    return result.stdout


def test_printed_commands_produce_the_evaluation(nnunet_folders, tmp_path):
    """``nnunet_folders`` sets nnU-Net's variables, with results of this test's own."""
    out = tmp_path / "a table"
    words = ["table3", "--rows", TRAINER, "--folds", "0", *SHORT, "-o", str(out)]
    printed = _strokesynth(*words, "--dry-run")
    assert not out.exists()
    beside = Path(command_path("strokesynth")).parent
    bash = subprocess.run(
        ["bash", "-e"],
        input=printed,
        env=os.environ | {"PATH": f"{beside}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert bash.returncode == 0, bash.stdout[-3000:] + bash.stderr[-3000:]
    cases = pd.read_csv(out / TRAINER / "evaluation" / "cases.csv")
    assert len(cases) == 2 and cases["dice"].between(0, 1).all()
    # Nothing is left to be done: the table is written at once.
    assert "(finished)" in _strokesynth(*words, "--dry-run")
    _strokesynth(*words)
    page = (out / "table3.md").read_text(encoding="utf-8")
    assert "DIGITAL PHANTOM" in page and "2 scans measured" in page
    assert "finished: 1 of 7 rows" in page and not (out / "logs").exists()
    words[words.index("--epochs") + 1] = "2"
    _strokesynth(*words, rc=2)
