"""The command ``strokesynth``: everything that comes before and after nnU-Net's own commands.

``COMMANDS`` is the whole command line as data. A command's module has ``HELP`` (one line),
``EXAMPLE`` (one command that works as printed), ``add_arguments(parser)`` and ``run(args)``; it is
imported only when its command is called, so ``strokesynth trainers-dir`` stays fast enough for a
shell profile.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys

COMMANDS: dict[str, str] = {
    "phantom": "nnunetv2_strokesynth.commands.phantom",
    "convert": "nnunetv2_strokesynth.commands.convert",
    "maps": "nnunetv2_strokesynth.commands.maps",
    "trainers-dir": "nnunetv2_strokesynth.commands.trainers_dir",
    "predict": "nnunetv2_strokesynth.commands.predict",
    "synthesize": "nnunetv2_strokesynth.commands.synthesize",
    "evaluate": "nnunetv2_strokesynth.commands.evaluate",
    "tune": "nnunetv2_strokesynth.commands.tune",
    "postprocess": "nnunetv2_strokesynth.commands.postprocess",
    "report": "nnunetv2_strokesynth.commands.report",
    "reproduce": "nnunetv2_strokesynth.commands.reproduce",
    "demo": "nnunetv2_strokesynth.commands.demo",
}


def build_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command, built from its module."""
    module = importlib.import_module(COMMANDS[name])
    parser = argparse.ArgumentParser(
        prog=f"strokesynth {name}",
        description=module.HELP,
        epilog=f"example:\n  {module.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    parser.set_defaults(run=module.run)
    return parser


def _overview() -> str:
    lines = ["usage: strokesynth COMMAND ...", "", "commands:"]
    lines += [
        f"  {name:<14}{importlib.import_module(path).HELP}" for name, path in COMMANDS.items()
    ]
    return "\n".join([*lines, "", "`strokesynth COMMAND --help` shows options and an example."])


class _Console(logging.StreamHandler):
    """Ends the command quietly when its output is piped into `head`."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            raise
        super().handleError(record)


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns 0, or 2 after one line on stderr for input that cannot be used."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ("-h", "--help"):
        sys.stdout.write(_overview() + "\n")
        return 0
    if argv[0] not in COMMANDS:
        sys.stderr.write(
            f"strokesynth: unknown command '{argv[0]}'; one of {', '.join(COMMANDS)}\n"
        )
        return 2
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_Console(sys.stdout)])
    logging.getLogger("numexpr").setLevel(logging.WARNING)  # it announces its number of threads
    try:
        args = build_parser(argv[0]).parse_args(argv[1:])
        args.run(args)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except MemoryError as error:
        sys.stderr.write(f"strokesynth {argv[0]}: out of memory ({error or 'no details'})\n")
        return 2
    except (ValueError, OSError) as error:
        sys.stderr.write(f"strokesynth {argv[0]}: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"strokesynth {argv[0]}: interrupted; run it again to go on\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
