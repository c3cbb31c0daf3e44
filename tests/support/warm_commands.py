"""Console scripts without their start-up: a process that has imported nnU-Net forks for each one.

A command of nnU-Net spends most of a test in its imports. The server imports once and forks for
each command (``benchmarks.forked_commands``); ``CLIENT`` hands it a command line, the environment,
the folder and its own output, and ends with its exit code. The curves of a training are not drawn;
the demo of ``conftest.py`` draws them.
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
from pathlib import Path

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
    sys.path.append(str(Path(__file__).parents[2]))  # where ``benchmarks`` lies
    from benchmarks.forked_commands import ForkedCommands
    from nnunetv2_strokesynth.commands import outline

    commands = ForkedCommands()
    outline.run_command = commands.run  # it runs nnU-Net's commands
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    while True:
        link, _ = listener.accept()
        header, descriptors, _, _ = socket.recv_fds(link, 4, 2)
        text = b""
        while len(text) < int.from_bytes(header, "big"):
            text += link.recv(1 << 16)
        call = json.loads(text)
        code = commands.call(call["argv"], call["env"], tuple(descriptors), call["cwd"])
        for descriptor in descriptors:
            os.close(descriptor)
        link.sendall(bytes([code & 0xFF]))
        link.close()


if __name__ == "__main__":
    serve(sys.argv[1])
