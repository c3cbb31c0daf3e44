"""One command of a reproduction, and whether its results are newer than what they are made from."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Step(NamedTuple):
    """One command.

    Attributes:
        name: of its log file.
        command: name and arguments; ``bash -c LINE`` for a line that needs a shell.
        shown: variables in front of it.
    """

    name: str
    command: list[str]
    shown: dict[str, str]

    @property
    def text(self) -> str:
        """The line to paste into bash."""
        if self.command[:2] == ["bash", "-c"]:
            return self.command[2]
        prefix = "".join(f"{name}={shlex.quote(value)} " for name, value in self.shown.items())
        return prefix + shlex.join(self.command)


class Job(NamedTuple):
    """Commands that a cluster runs one after the other on one machine.

    Attributes:
        name: unique among the jobs that are submitted together.
        steps: the commands, in order.
        after: names of the jobs that must have ended well before it starts.
        anyway: whether it also starts when they have failed.
    """

    name: str
    steps: list[Step]
    after: list[str]
    anyway: bool = False


def up_to_date(results: Iterable[Path], made_from: Iterable[Path]) -> bool:
    """Whether all results are there and none is older than anything it was made from."""
    results, made_from = list(results), list(made_from)
    if not all(path.is_file() for path in (*results, *made_from)):
        return False
    newest = max(path.stat().st_mtime for path in made_from)
    return all(path.stat().st_mtime >= newest for path in results)


def replacing(command: list[str], folder: Path) -> list[str]:
    """A command of ours that writes into a folder, with ``--overwrite`` if there is anything."""
    return [*command, "--overwrite"] if folder.is_dir() and any(folder.iterdir()) else command
