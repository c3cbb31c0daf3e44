"""nnU-Net finds the trainers right after `pip install`, with nothing exported."""

import os
import runpy
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import setuptools

from nnunetv2_strokesynth.nnunet_commands import trainers_folder

ROOT = Path(__file__).parents[1]
PTH = Path(sysconfig.get_path("purelib")) / "nnunetv2_strokesynth.pth"


@pytest.fixture(scope="module")
def start_up_line():
    """The line that the build writes, from setup.py run without building anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, "setup", lambda **kwargs: None)
        return runpy.run_path(str(ROOT / "setup.py"))["PTH_LINE"]


def _execute(line, sitedir, monkeypatch, before):
    monkeypatch.delenv("nnUNet_extTrainer", raising=False)
    if before is not None:
        monkeypatch.setenv("nnUNet_extTrainer", before)
    exec(line, {}, {"sitedir": str(sitedir)})
    return os.environ.get("nnUNet_extTrainer")


@pytest.mark.parametrize("before", [None, "", "/mine"])
def test_line_appends_and_keeps_what_is_set(start_up_line, tmp_path, monkeypatch, before):
    folder = tmp_path / "nnunetv2_strokesynth" / "nnunet_ext"
    folder.mkdir(parents=True)
    expected = os.pathsep.join(filter(None, (before, str(folder))))
    assert _execute(start_up_line, tmp_path, monkeypatch, before) == expected
    assert _execute(start_up_line, tmp_path, monkeypatch, expected) == expected, "added only once"


def test_line_does_nothing_when_the_package_is_gone(start_up_line, tmp_path, monkeypatch):
    assert _execute(start_up_line, tmp_path, monkeypatch, "/mine") == "/mine"


def test_line_is_one_line_that_python_executes(start_up_line):
    assert start_up_line.startswith("import ") and start_up_line.count("\n") == 1


@pytest.mark.skipif(not PTH.is_file(), reason="an editable install does not ship the file")
def test_fresh_interpreter_knows_the_trainers_folder():
    environment = {key: value for key, value in os.environ.items() if key != "nnUNet_extTrainer"}
    command = [sys.executable, "-c", "import os; print(os.environ['nnUNet_extTrainer'])"]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == str(trainers_folder())
