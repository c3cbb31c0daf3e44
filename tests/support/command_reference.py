"""Writes docs/reference/commands.md from the commands' own parsers; a test compares."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from nnunetv2_strokesynth.cli import COMMANDS, build_parser
from nnunetv2_strokesynth.commands.convert import kind_parser
from nnunetv2_strokesynth.dataset_conversion.registry import KINDS

PAGE = Path(__file__).parents[2] / "docs/reference/commands.md"
_HEAD = """# All commands and their options

`strokesynth COMMAND --help` says the same, with an example. What stands without an option's name
comes first; what must be given is bold. The page is written from the commands themselves
(`python tests/support/command_reference.py`).
"""


def page() -> str:
    """The page, as it has to be."""
    return "\n".join([_HEAD, *(line for name in COMMANDS for line in _command(name))])


def _command(name: str) -> Iterator[str]:
    parser = build_parser(name)
    yield f"## `{name}`\n"
    yield f"{_sentence(COMMANDS[name])}\n"
    if name != "convert":
        yield from _options(parser)
        return
    for kind, entry in KINDS.items():
        yield f"### `convert {kind}`\n"
        yield f"{_sentence(entry.summary)}\n"
        parser = kind_parser(kind)
        parser.parse_known_args(["SRC"])  # adds the kind's options
        yield from _options(parser)


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    formatter = argparse.HelpFormatter("")
    actions = [a for a in parser._actions if not isinstance(a, argparse._HelpAction)]
    if not actions:
        yield "No options.\n"
        return
    yield "| option | meaning |\n|---|---|"
    for action in sorted(actions, key=lambda action: bool(action.option_strings)):
        yield f"| {_name(action)} | {_cell(action, formatter)} |"
    yield ""


def _name(action: argparse.Action) -> str:
    """``-o`` and what follows it, or the metavar of what has no name; required ones are bold."""
    values = _values(action)
    names = [f"`{name}{values}`" for name in action.option_strings] or [f"`{values.strip()}`"]
    text = ", ".join(names)
    return f"**{text}**" if action.required and action.option_strings else text


def _values(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    metavar = action.metavar or ("\\|".join(map(str, action.choices or ())) or action.dest.upper())
    text = " ".join(metavar) if isinstance(metavar, tuple) else metavar
    return f" {text}{' ...' if action.nargs in ('+', '*', argparse.REMAINDER) else ''}"


def _cell(action: argparse.Action, formatter: argparse.HelpFormatter) -> str:
    text = formatter._expand_help(action) if action.help else ""
    return " ".join(text.split()).replace("|", "\\|")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
