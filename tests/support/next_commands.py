"""Read the commands that a command names at its end, and prove that they can be typed."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

from nnunetv2_strokesynth.cli import COMMANDS, build_parser
from nnunetv2_strokesynth.nnunet_commands import command_path

_LINE = re.compile(r"^(?:next|then|or): (.+)$", re.MULTILINE)


def next_commands(console: str) -> list[list[str]]:
    """The commands on the lines ``next: ...``, ``then: ...`` and ``or: ...``, in order.

    Each is checked: ``strokesynth COMMAND`` must parse, and every other program must exist.
    """
    found = [shlex.split(line) for line in _LINE.findall(console)]
    assert found, f"no next command in:\n{console}"
    for words in found:
        check_command(words)
    return found


def check_command(words: list[str]) -> None:
    """Fail unless these words are a command that exists, with options that it knows."""
    words[0] = Path(words[0]).name
    if words[0] != "strokesynth":
        assert shutil.which(words[0]) or command_path(words[0])
        return
    assert words[1] in COMMANDS
    if words[2:] != ["--help"]:
        build_parser(words[1]).parse_args(words[2:])
