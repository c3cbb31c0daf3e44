"""Commands start from their console script, or from their entry point where there is none."""

import subprocess

import pytest

from nnunetv2_strokesynth import nnunet_commands


def test_without_a_console_script_the_entry_point_is_called(monkeypatch, tmp_path):
    def no_script(name):
        raise FileNotFoundError(name)

    monkeypatch.setattr(nnunet_commands, "command_path", no_script)
    command = [*nnunet_commands.command_words("pytest"), "--version"]  # any one that is installed
    (tmp_path / "pytest.py").write_text("raise SystemExit('hidden by the folder')")
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert found.returncode == 0, found.stderr
    assert pytest.__version__ in found.stdout + found.stderr


def test_a_command_that_nobody_installed_is_named():
    with pytest.raises(FileNotFoundError, match="nnUNetv2_fly"):
        nnunet_commands.command_words("nnUNetv2_fly")
