"""Console scripts without their start-up: a process that has imported nnU-Net forks for each one.

On a small simulated scan, a command of nnU-Net spends most of its time in imports. What runs here
is the console script's own function with its own arguments, environment and output.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import shlex
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import torch
from nnunetv2.training.logging.nnunet_logger import LocalLogger

from nnunetv2_strokesynth import cli
from nnunetv2_strokesynth.trainers import stroke_trainer

logger = logging.getLogger(__name__)
_IMPORTED_ONCE = (
    "nnunetv2.experiment_planning.plan_and_preprocess_entrypoints",
    "nnunetv2.run.run_training",
    "nnunetv2.inference.predict_from_raw_data",
    "nnunetv2.ensembling.ensemble",
    "nnunetv2_strokesynth.nnunet_ext.strokesynth_trainers",
)


class ForkedCommands:
    """Runs console scripts in forked children of this process, one after another.

    nnU-Net's folders must be set in the environment before. One thread for each process: threads
    do not survive a fork. The curves of a training are not drawn, which would take longer than a
    training of one epoch.
    """

    def __init__(self) -> None:
        for module in _IMPORTED_ONCE:
            importlib.import_module(module)
        torch.set_num_threads(1)
        torch.set_num_threads = lambda number: None
        forked = multiprocessing.get_context("fork")  # nnU-Net spawns, and imports it all again
        multiprocessing.get_context = lambda method=None: forked
        stroke_trainer.plot_terms = lambda folder, history: None
        LocalLogger.plot_progress_png = lambda self, output_folder: None
        self._scripts = {s.name: s.load for s in entry_points(group="console_scripts")}
        self._scripts["strokesynth"] = lambda: cli.main  # also where the package is not installed

    def run(
        self, command: list[str], variables: dict[str, str], *, log_file: Path, shown: dict
    ) -> None:
        """As ``nnunet_commands.run_command``, which it stands in for.

        Args:
            command: name and arguments; ``bash -c LINE`` is run by bash.
            variables: the environment.
            log_file: where the output goes.
            shown: further variables.

        Raises:
            ValueError: the command failed.
        """
        logger.info("$ %s", shlex.join(command))
        log_file.parent.mkdir(parents=True, exist_ok=True)
        with log_file.open("wb") as log:
            code = self.call(command, {**variables, **shown}, (log.fileno(), log.fileno()))
        if code:
            last = log_file.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            raise ValueError(
                f"{shlex.join(command)} failed with exit code {code}: {''.join(last)} "
                f"(all of it in {log_file})"
            )

    def call(
        self,
        command: list[str],
        variables: dict[str, str],
        outputs: tuple[int, int],
        folder: str = ".",
    ) -> int:
        """Run a command to its end.

        Args:
            command: name and arguments.
            variables: the environment.
            outputs: descriptors of standard output and standard error.
            folder: the working directory.

        Returns:
            The exit code; below 0 for a signal.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if child == 0:
            self._run_and_exit(command, variables, outputs, folder)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _run_and_exit(
        self, command: list[str], variables: dict[str, str], outputs: tuple[int, int], folder: str
    ) -> None:
        """The command, in the forked process, which ends with it."""
        os.dup2(outputs[0], 1)
        os.dup2(outputs[1], 2)
        # New streams: this process's own remember whether they can seek.
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        os.chdir(folder)
        if command[0] not in self._scripts:
            os.execvpe(command[0], command, variables)
        os.environ.clear()
        os.environ.update(variables)
        sys.argv = command
        code = 1
        try:
            code = _exit_code(self._scripts[command[0]]())
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def _exit_code(script: Callable[[], object]) -> int:
    try:
        result = script()
    except SystemExit as stop:
        result = stop.code
    return result if isinstance(result, int) else int(result is not None)
