"""Runs the parts: each is a process with a time limit, and what it found is kept at once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.gpu.turns import POLL_S, last_lines

GRACE_S = 3.0  # for a part that is cut off to write what it has
DONE, FAILED, CUT_OFF, NOT_STARTED = "done", "failed", "cut off", "not started"


class Part(NamedTuple):
    """A measurement.

    Attributes:
        name: of its files.
        command: of its process.
        limit_s: from the start, or from its turn on if it warms up ahead.
        warm_up_s: how long it may warm up.
    """

    name: str
    command: Sequence[str]
    limit_s: float
    warm_up_s: float = 0.0


class Running(NamedTuple):
    """A part's process and when it was started."""

    part: Part
    process: subprocess.Popen
    started: float


class Rounds:
    """Starts parts and records how they ended.

    Args:
        folder: for the parts' files.
        deadline: on the monotonic clock, when everything must have ended.
        on_record: called after each record.
        variables: further variables of the parts' environment.

    Attributes:
        records: part -> status, seconds, error, result.
    """

    def __init__(
        self,
        folder: Path,
        deadline: float,
        on_record: Callable[[dict[str, dict]], None],
        *,
        variables: dict[str, str] | None = None,
    ) -> None:
        self.folder, self.deadline, self.on_record = folder, deadline, on_record
        self.variables = variables or {}
        self.records: dict[str, dict[str, Any]] = {}
        self._alive: list[Running] = []

    def start(self, part: Part) -> Running | None:
        """Start a part's process; None, with a record, if the time is up."""
        if self._left_s() <= 0:
            self._record(part, NOT_STARTED, 0.0, "the total time limit was reached")
            return None
        with self._log(part).open("wb") as log:
            process = subprocess.Popen(
                part.command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.variables},
                start_new_session=True,
            )
        running = Running(part, process, time.monotonic())
        self._alive.append(running)
        return running

    def wait_ready(self, group: Sequence[Running]) -> None:
        """Return when all have warmed up, have ended, or have used up their time for it."""
        while self._left_s() > 0 and any(self._warms_up(running) for running in group):
            time.sleep(POLL_S)

    def finish(self, running: Running | None) -> None:
        """Let a part measure, wait for its end or its limit, and record what it found."""
        if running is None:
            return
        part, process, started = running
        if part.warm_up_s:
            if process.poll() is None and not self._is_ready(part):
                self._stop(running)
                self._record(
                    part, CUT_OFF, time.monotonic() - started, "it did not warm up in time"
                )
                return
            started = time.monotonic()
            (self.folder / f"{part.name}.go").touch()
        limit_s = min(part.limit_s - (time.monotonic() - started), self._left_s())
        try:
            process.wait(max(limit_s, 0.0))
            in_time = True
        except subprocess.TimeoutExpired:
            in_time = False
        self._stop(running)
        seconds = time.monotonic() - started
        if not in_time:
            self._record(part, CUT_OFF, seconds, f"stopped after {seconds:.0f} s")
        elif process.returncode:
            text = self._log(part).read_text(encoding="utf-8", errors="replace")
            self._record(part, FAILED, seconds, last_lines(text))
        else:
            self._record(part, DONE, seconds, "")

    def stop_all(self) -> None:
        """End the processes that still run."""
        for running in list(self._alive):
            self._stop(running)

    def _left_s(self) -> float:
        return self.deadline - time.monotonic()

    def _log(self, part: Part) -> Path:
        return self.folder / f"{part.name}.txt"

    def _is_ready(self, part: Part) -> bool:
        return (self.folder / f"{part.name}.ready").exists()

    def _warms_up(self, running: Running) -> bool:
        in_time = time.monotonic() < running.started + running.part.warm_up_s
        return in_time and running.process.poll() is None and not self._is_ready(running.part)

    def _stop(self, running: Running) -> None:
        """Ask the process to end, then end it and all it has started."""
        if running.process.poll() is None:
            running.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.process.wait(GRACE_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.process.pid, signal.SIGKILL)
        running.process.wait()
        if running in self._alive:
            self._alive.remove(running)

    def _record(self, part: Part, status: str, seconds: float, error: str) -> None:
        found: dict[str, Any] = {}
        with contextlib.suppress(FileNotFoundError):
            found = json.loads((self.folder / f"{part.name}.json").read_text(encoding="utf-8"))
        self.records[part.name] = {
            "status": status,
            "seconds": round(seconds, 1),
            "error": error,
            "result": found,
        }
        self.on_record(self.records)
