"""The command table: every command explains itself and refuses bad input in one line."""

import os
import shlex
import subprocess
import sys

import command_reference
import pytest

from nnunetv2_strokesynth import __version__, cli
from nnunetv2_strokesynth.commands import phantom
from nnunetv2_strokesynth.nnunet_commands import (
    command_path,
    environment,
    trainers_folder,
)
from nnunetv2_strokesynth.phantom.dataset import LAYOUTS


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_help_has_an_example(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    assert "example:" in capsys.readouterr().out


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_example_is_valid(name):
    """The printed example parses (up to the first shell operator)."""
    example = cli.command_module(name).EXAMPLE
    words = shlex.split(example, comments=True)
    if words[0] != "strokesynth":
        assert f"strokesynth {name}" in example
        return
    assert words[:2] == ["strokesynth", name]
    cli.build_parser(name).parse_args(words[2:])


def test_overview_lists_every_command(capsys):
    assert cli.main([]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {name}" in listed for name in cli.COMMANDS)


HEAVY = {"torch", "nnunetv2", "pandas", "matplotlib", "SimpleITK", "scipy", "nibabel"}
HELP = [["--help"], ["--version"], *([name, "--help"] for name in cli.COMMANDS)]


@pytest.mark.parametrize("words", HELP)
def test_help_loads_no_heavy_library(words, tmp_path):
    """A line of help must not wait seconds for PyTorch; which modules are loaded tells."""
    script = f"""
import sys
from nnunetv2_strokesynth.cli import main
try:
    main({words})
except SystemExit as stop:
    assert stop.code == 0
print("LOADED", *sys.modules)
"""
    # In another folder: Python looks in the current one first, and the checkout is not installed.
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split("LOADED ")[1].split())
    assert "argparse" in loaded and not loaded & HEAVY


def test_names_that_the_terminal_cannot_show_are_escaped(tmp_path, monkeypatch):
    """A folder whose name is no UTF-8, on a terminal that knows ASCII only: no traceback."""
    monkeypatch.setenv("nnUNet_raw", "/scans \udcff é")
    script = "import sys; from nnunetv2_strokesynth.installation import facts; "
    script += (
        "facts._PROBE = ''; from nnunetv2_strokesynth.cli import main; sys.exit(main(['info']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii:strict"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0 and result.stderr == ""
    assert r"/scans \udcff \xe9" in result.stdout


def test_version_is_the_packages(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"strokesynth {__version__}\n"


def test_choices_of_the_phantom_are_its_layouts():
    """The command's list stands beside its options, because the simulator takes long to import."""
    assert tuple(LAYOUTS) == phantom.LAYOUT_NAMES


def test_unknown_command_exits_2(capsys):
    assert cli.main(["segment"]) == 2
    assert "unknown command 'segment'" in capsys.readouterr().err


def test_bad_input_is_one_line_and_exit_2(tmp_path):
    result = subprocess.run(
        [command_path("strokesynth"), "synthesize", "-m", str(tmp_path), "-i", ".", "-o", "o"]
        + ["-device", "cpu"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "is no trained nnU-Net model" in result.stderr


def test_trainers_dir_is_importable_by_nnunet(capsys):
    assert cli.main(["trainers-dir"]) == 0
    assert capsys.readouterr().out.strip() == str(trainers_folder())
    assert (trainers_folder() / "strokesynth_trainers.py").is_file()


def test_child_environment_keeps_the_users_trainers(monkeypatch, tmp_path):
    monkeypatch.setenv("nnUNet_extTrainer", "/somebody/elses")
    paths = environment(tmp_path)["nnUNet_extTrainer"].split(os.pathsep)
    assert paths == ["/somebody/elses", str(trainers_folder())]
    monkeypatch.setenv("nnUNet_extTrainer", str(trainers_folder()))
    assert environment(tmp_path)["nnUNet_extTrainer"] == str(trainers_folder())


def test_the_reference_has_every_option():
    """After a change: ``python tests/support/command_reference.py``."""
    assert command_reference.PAGE.read_text(encoding="utf-8") == command_reference.page()
