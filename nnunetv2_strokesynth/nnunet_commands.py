"""Run nnU-Net's own commands as a user would, and say which ones."""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

logger = logging.getLogger(__name__)
EXT_TRAINER = "nnUNet_extTrainer"
FOLDER_VARIABLES = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")
# A bar of nnU-Net's redraws itself once a minute in the log file, not ten times a second.
_QUIET_BARS = {"TQDM_MININTERVAL": "60", "TQDM_MAXINTERVAL": "0"}
# Without the working directory on the search path, as a console script has it.
_CALL_ENTRY_POINT = """
import sys
sys.path[:] = [path for path in sys.path if path]
from importlib import import_module
module, function = sys.argv.pop(1).split(":")
sys.argv[0] = function
sys.exit(getattr(import_module(module), function)())
"""


def trainers_folder() -> Path:
    """The folder that ``nnUNet_extTrainer`` must name."""
    return Path(__file__).resolve().parent / "nnunet_ext"


def users_environment() -> dict[str, str]:
    """The environment of a child process: this one's, with our trainers where nnU-Net looks."""
    variables = dict(os.environ)
    paths = [path for path in variables.get(EXT_TRAINER, "").split(os.pathsep) if path]
    if str(trainers_folder()) not in paths:  # an editable install does not set it
        variables[EXT_TRAINER] = os.pathsep.join([*paths, str(trainers_folder())])
    return variables


def environment(base: Path, **extra: str) -> dict[str, str]:
    """``users_environment`` with nnU-Net's folders in ``base``.

    Args:
        base: holds (or will hold) nnUNet_raw, nnUNet_preprocessed and nnUNet_results.
        extra: further variables.
    """
    folders = {name: str(base / name) for name in FOLDER_VARIABLES}
    return users_environment() | folders | extra


def command_path(name: str) -> str:
    """The console script beside this interpreter, else on the PATH.

    Raises:
        FileNotFoundError: it is in neither place.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"the command {name} is not installed; `pip install nnunetv2`")
    return found


def command_words(name: str) -> list[str]:
    """What starts a command: its console script, else its entry point in this interpreter.

    Without a script (packages that were unpacked into a folder of ``PYTHONPATH``), the entry point
    is looked up in the metadata of the installed packages.

    Raises:
        FileNotFoundError: there is neither.
    """
    try:
        return [command_path(name)]
    except FileNotFoundError:
        found = metadata.entry_points(group="console_scripts", name=name)
        if not found:
            raise
        return [sys.executable, "-c", _CALL_ENTRY_POINT, next(iter(found)).value]


def run_command(
    command: list[str], variables: dict[str, str], *, log_file: Path, shown: dict[str, str]
) -> None:
    """Run one command; its output goes to ``log_file``.

    Args:
        command: name and arguments.
        variables: the environment.
        log_file: where the output goes.
        shown: variables to print in front of the command, so that it can be repeated.

    Raises:
        ValueError: the command failed; the message gives the last line that it wrote.
    """
    prefix = "".join(f"{name}={shlex.quote(value)} " for name, value in shown.items())
    logger.info("$ %s%s", prefix, shlex.join(command))
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("w", encoding="utf-8") as log:
        result = subprocess.run(
            [*command_words(command[0]), *command[1:]],
            env={**_QUIET_BARS, **variables, **shown},
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    if result.returncode != 0:
        lines = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ValueError(
            f"{command[0]} failed with exit code {result.returncode}: "
            f"{lines[-1] if lines else 'no output'} (all of it in {log_file})"
        )
