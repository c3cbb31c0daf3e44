"""The exact command that comes next: every command ends with it, ready to paste.

``say_next(["strokesynth", "report", "-m", model, "-o", "report.html"])`` logs one line that begins
with ``next: ``. Arguments are quoted for the shell. A program that is not on the PATH, as in a
virtual environment that is not activated, is written with its folder.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

# Program and arguments; paths and numbers are turned into text at the end.
Words = Sequence[object]

logger = logging.getLogger(__name__)


def command_line(words: Words) -> str:
    """One command as a line for the shell."""
    program, *arguments = map(str, words)
    return shlex.join([_program(program), *arguments])


def say_next(first: Words, *further: Words, link: str = "then") -> None:
    """Log the commands that come next, one a line.

    Args:
        first: program and arguments of the next command.
        further: of the commands after it.
        link: how the further ones relate to the first: "then" for steps in order, "or" for a
            choice.
    """
    logger.info("next: %s", command_line(first))
    for words in further:
        logger.info("%s: %s", link, command_line(words))


def open_page(page: Path) -> list[str]:
    """The command that shows a page in the browser, the same on Linux, macOS and Windows."""
    python = "python" if os.name == "nt" else "python3"
    return [python, "-m", "webbrowser", "-t", page.resolve().as_uri()]


def _program(name: str) -> str:
    """The name where the shell finds it; else the script beside this interpreter."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if shutil.which(name) is None and beside.is_file() else name
