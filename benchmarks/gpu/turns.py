"""How a part and the process that started it talk: through files in one folder.

``NAME.ready``: the part has warmed up. ``NAME.go``: it may measure. ``NAME.json``: what it found.
"""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nnunetv2_strokesynth.io.atomic import write_json

POLL_S = 0.05
ERROR_LINES = 12


class Turn:
    """The part's side.

    Attributes:
        folder: where all parts keep their files.
        name: of the part.
        result: what it has found so far; written by ``save``.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.result: dict[str, Any] = {}

    def wait(self) -> None:
        """Says that the part has warmed up, and returns when it may measure."""
        (self.folder / f"{self.name}.ready").touch()
        while not (self.folder / f"{self.name}.go").exists():
            time.sleep(POLL_S)

    def save(self, **found: Any) -> None:
        """Adds to the result, and writes it."""
        self.result.update(found)
        write_json(self.folder / f"{self.name}.json", self.result)


@contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Raises ``TimeoutError`` in the main thread when the block takes longer."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"{what} took more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def last_lines(text: str, count: int = ERROR_LINES) -> str:
    """The end of a log or of a traceback."""
    return "\n".join(text.strip().splitlines()[-count:])


def described(error: BaseException) -> str:
    """The last lines of an exception's traceback."""
    return last_lines("".join(traceback.format_exception(error)))
