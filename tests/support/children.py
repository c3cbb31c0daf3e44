"""Child processes that are killed: by the test at a chosen moment, or by themselves in some call.

A process that kills itself in the middle of a rename or of a write dies at the worst moment, which
a kill from outside meets only by luck.

A program that needs nnU-Net spends seconds in its imports. ``start_forked`` runs it in a child of
a process that has imported it, multiprocessing's fork server.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

ROUNDS = int(os.environ.get("STROKESYNTH_KILL_ROUNDS", "1"))
TIMEOUT_S = 900  # far more than anything takes: a machine may be busy

DIE_AT_RENAME = """
import os, signal
_replace, _left = os.replace, [{n_renames}]
def _dying_replace(source, target, **options):
    if _left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    _left[0] -= 1
    return _replace(source, target, **options)
os.replace = _dying_replace
"""
DIE_IN_TORCH_SAVE = """
import io, os, signal, torch
_save, _left = torch.save, [{n_saves}]
def _dying_save(content, path, *args, **options):
    if _left[0]:
        _left[0] -= 1
        return _save(content, path, *args, **options)
    whole = io.BytesIO()
    _save(content, whole)
    with open(path, "wb") as file:
        file.write(whole.getvalue()[: whole.tell() // 2])
    os.kill(os.getpid(), signal.SIGKILL)
torch.save = _dying_save
"""
PREPARE_TARGETS = """
import json, sys, time
from pathlib import Path
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from nnunetv2_strokesynth.dataloading.targets import prepare_targets

raw, preprocessed, plans, ready, go = map(Path, sys.argv[1:6])
manager = PlansManager(load_json(str(plans)))
case_ids = sorted(path.stem for path in preprocessed.glob("*.pkl"))
ready.touch()
while not go.exists():
    time.sleep(0.001)
found = prepare_targets(
    raw, preprocessed, case_ids, manager, manager.get_configuration("2d"), ".nii.gz"
)
assert found == case_ids
"""

PREPARE_CASES = """
import sys, time
from pathlib import Path
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.normalization import with_fixed_intensities
from nnunetv2_strokesynth.dataloading.own_cases import prepare_cases

raw, folder, plans, ready, go = map(Path, sys.argv[1:6])
plans = with_fixed_intensities(load_json(str(plans)), "2d", PRESETS["wang2020"].names)
manager = PlansManager(plans)
dataset = load_json(str(raw / "dataset.json"))
ready.touch()
while not go.exists():
    time.sleep(0.001)
prepare_cases(raw, folder, manager, manager.get_configuration("2d"), dataset, workers=1)
"""


def rounds() -> list[random.Random]:
    """A generator of random numbers for each round of kills, the same in every run."""
    return [random.Random(f"round {number}") for number in range(ROUNDS)]


def start(command: list[str], variables: dict[str, str], log: Path) -> subprocess.Popen:
    """Start a command in a session of its own, so that its children can be killed with it."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


_IMPORTED_ONCE = [
    "pytest",  # each child looks at pytest's own script
    "nnunetv2.preprocessing.preprocessors.default_preprocessor",
    "nnunetv2_strokesynth.dataloading.targets",
    "nnunetv2_strokesynth.dataloading.own_cases",
]


class ForkedProgram:
    """A program in a forked child, to be waited for like a ``subprocess.Popen``."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        """Its exit code, below 0 for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """The exit code at its end."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("a forked program", timeout)
        return code


def start_forked(program: str, arguments: Sequence[str], log: Path) -> ForkedProgram:
    """Start a Python program, given as its text, in a session of its own."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED_ONCE)
    process = context.Process(target=_run_program, args=(program, list(arguments), log))
    process.start()
    return ForkedProgram(process)


def _run_program(program: str, arguments: list[str], log: Path) -> None:
    os.setsid()
    with log.open("ab") as output:
        for number in (1, 2):
            os.dup2(output.fileno(), number)
    sys.argv = ["-c", *arguments]
    exec(compile(program, "program", "exec"), {"__name__": "__main__"})


def kill_when(
    process: subprocess.Popen, condition: Callable[[], bool], delay_s: float = 0.0
) -> bool:
    """SIGKILL a process and its children, ``delay_s`` after a condition holds for the first time.

    Returns:
        Whether it was still running.
    """
    deadline = time.monotonic() + TIMEOUT_S
    while process.poll() is None and not condition():
        if time.monotonic() > deadline:
            os.killpg(process.pid, signal.SIGKILL)
            raise TimeoutError(f"{process.args}: the moment for the kill never came")
        time.sleep(0.001)
    time.sleep(delay_s)
    was_running = process.poll() is None
    if was_running:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(TIMEOUT_S)
    return was_running


def finish(process: subprocess.Popen | ForkedProgram, log: Path) -> None:
    """Wait for a process that has to succeed."""
    try:
        code = process.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert code == 0, f"exit code {code}\n{log.read_text(errors='replace')[-3000:]}"
