"""Console scripts without their start-up: a process that has imported nnU-Net forks for each one.

A command of nnU-Net spends most of a test in its imports. The server imports once; ``CLIENT`` hands
it a command line, the environment, the folder and its own output, and ends with its exit code. What
runs is the console script's own function. The curves of a training are not drawn: that takes longer
than a short training, and the demo of ``conftest.py`` draws them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SCRIPTS: dict[str, Callable] = {}
CLIENT = """
import array, json, os, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
call = json.dumps({"argv": sys.argv[2:], "cwd": os.getcwd(), "env": dict(os.environ)}).encode()
link.sendmsg([len(call).to_bytes(4, "big")],
             [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [1, 2]).tobytes())])
link.sendall(call)
sys.exit(link.recv(1)[0])
"""


class WarmCommands:
    """The server's owner. It starts with the first command.

    Args:
        log: file for what the server itself prints.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._folder: Path | None = None
        self._process: subprocess.Popen | None = None

    @property
    def address(self) -> Path:
        """The socket; starts the server."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="warm"))  # a socket's path must be short
            with self._log.open("w") as log:
                command = [sys.executable, __file__, str(self._folder / "socket")]
                self._process = subprocess.Popen(command, stdout=log, stderr=log)
        address = self._folder / "socket"
        while not address.exists():
            assert self._process.poll() is None, self._log.read_text()
            time.sleep(0.05)
        return address

    def run(self, command: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess:
        """As ``subprocess.run``, with what the command printed as text."""
        client = [sys.executable, "-S", "-E", "-c", CLIENT, str(self.address)]
        return subprocess.run(
            [*client, *command], env=variables, capture_output=True, text=True, check=False
        )

    def close(self) -> None:
        """Ends the server, if there is one."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            shutil.rmtree(self._folder)


def serve(address: str) -> None:
    """Answer calls at a Unix socket, one at a time, until the process is ended."""
    _import_once()
    from importlib.metadata import entry_points

    from nnunetv2_strokesynth import cli

    SCRIPTS.update({script.name: script.load for script in entry_points(group="console_scripts")})
    SCRIPTS["strokesynth"] = lambda: cli.main  # also where the package is not installed
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    while True:
        link, _ = listener.accept()
        header, descriptors, _, _ = socket.recv_fds(link, 4, 2)
        call = b""
        while len(call) < int.from_bytes(header, "big"):
            call += link.recv(1 << 16)
        pid = os.fork()
        if pid == 0:
            _run(json.loads(call), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        link.sendall(bytes([os.waitstatus_to_exitcode(status) & 0xFF]))
        link.close()


def _import_once() -> None:
    import multiprocessing

    import torch

    torch.set_num_threads(1)
    torch.set_num_threads = lambda number: None  # threads and forked workers wait for each other
    # nnU-Net's worker processes are spawned, and import everything again.
    forked = multiprocessing.get_context("fork")
    multiprocessing.get_context = lambda method=None: forked
    for module in (
        "nnunetv2.experiment_planning.plan_and_preprocess_entrypoints",
        "nnunetv2.run.run_training",
        "nnunetv2.inference.predict_from_raw_data",
        "nnunetv2_strokesynth.nnunet_ext.strokesynth_trainers",
        "nnunetv2_strokesynth.cli",
    ):
        __import__(module)
    from nnunetv2.training.logging.nnunet_logger import LocalLogger

    from nnunetv2_strokesynth.trainers import stroke_trainer

    stroke_trainer.plot_terms = lambda folder, history: None
    LocalLogger.plot_progress_png = lambda self, output_folder: None
    from nnunetv2_strokesynth.commands import outline

    outline.run_command = _run_forked  # it runs nnU-Net's commands


def _run_forked(
    command: list[str], variables: dict[str, str], *, log_file: Path, shown: dict[str, str]
) -> None:
    """``nnunet_commands.run_command`` without the start-up."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    call = {"argv": command, "cwd": os.getcwd(), "env": variables | shown}
    with log_file.open("wb") as log:
        pid = os.fork()
        if pid == 0:
            _run(call, [log.fileno()] * 2)
        _, status = os.waitpid(pid, 0)
    if status:
        raise ValueError(f"{command[0]} failed: {log_file.read_text()[-2000:]}")


def _run(call: dict, descriptors: list[int]) -> None:
    """The command, in the forked process, which ends with it."""
    os.dup2(descriptors[0], 1)
    os.dup2(descriptors[1], 2)
    # New streams: the server's own remember that they can seek, which a pipe cannot.
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    os.chdir(call["cwd"])
    os.environ.clear()
    os.environ.update(call["env"])
    sys.argv = call["argv"]
    code = 1
    try:
        code = SCRIPTS[sys.argv[0]]()() or 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1])
