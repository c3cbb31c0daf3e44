"""The command ``strokesynth``: everything that comes before and after nnU-Net's own commands.

``COMMANDS`` is the list of commands as data: name and one line of help. A command's module,
``commands/NAME.py``, has ``EXAMPLE`` (one command that works as printed), ``add_arguments(parser)``
and ``run(args)``, which may return an exit code. It is imported only when its command is called,
and what takes long to import it imports in ``run``: a line of help must not wait for PyTorch.
"""

from __future__ import annotations

import argparse
import importlib
import io
import logging
import os
import sys
import warnings
from types import ModuleType

from nnunetv2_strokesynth import __version__

COMMANDS: dict[str, str] = {
    "phantom": "simulate CT perfusion (or MRI) scans of strokes, in the layout of ISLES 2018, 2017 "
    "or 2024",
    "doctor": "say what is missing, damaged or odd in a downloaded data set, before converting it",
    "convert": "convert a public data set into nnU-Net's raw format",
    "fingerprint": "prepare nnU-Net's planning of a data set, in little memory",
    "maps": "compute CBF, CBV, MTT and Tmax from a raw CT perfusion series",
    "score-maps": "compare perfusion maps of a simulated scan, of any software, with the truth",
    "trainers-dir": "print the folder with our trainers, for the variable nnUNet_extTrainer",
    "outline": "outline scans that have a DWI and no label, and write a data set to train on",
    "predict": "one patient's CT perfusion scan (NIfTI or DICOM): lesion, volume and a picture",
    "synthesize": "write the pseudo-DWI (or the uncertainty) of scans in nnU-Net format",
    "evaluate": "metrics per case, summary tables, figures; compares two folders of predictions",
    "tune": "choose threshold and minimum lesion size on the cross-validation's probabilities",
    "postprocess": "apply what `strokesynth tune` chose to predicted probabilities",
    "calibrate": "measure how far a model's volumes are off on its cross-validation, for the "
    "interval of `predict`",
    "report": "one self-contained HTML page about a trained model: failures, tables, curves, "
    "pictures",
    "reproduce": "run a paper's table row by row; ours beside the published figures",
    "info": "versions, devices, folders and trainers found here, for bug reports",
    "demo": "phantom, conversion, training, prediction and a picture, in one command",
}


def command_module(name: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"nnunetv2_strokesynth.commands.{name.replace('-', '_')}")


def build_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command, built by its module."""
    module = command_module(name)
    parser = argparse.ArgumentParser(
        prog=f"strokesynth {name}",
        description=COMMANDS[name],
        epilog=f"example:\n  {module.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    parser.set_defaults(run=module.run)
    return parser


def _overview() -> str:
    lines = ["usage: strokesynth COMMAND ...", "       strokesynth --version", "", "commands:"]
    lines += [f"  {name:<14}{summary}" for name, summary in COMMANDS.items()]
    return "\n".join([*lines, "", "`strokesynth COMMAND --help` shows options and an example."])


class _Console(logging.StreamHandler):
    """Ends the command quietly when its output is piped into `head`."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (logging's name)
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            raise
        super().handleError(record)


def _show_everything(stream: object) -> None:
    """Characters that the terminal's encoding lacks become escapes, and no error.

    File names may hold bytes that are not UTF-8, and a terminal of Windows knows few characters.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after ``strokesynth``; None: those of the command line.

    Returns:
        0; 1 where `strokesynth doctor` finds something to decide; 2 after one line on stderr for
        input that cannot be used; 130 when interrupted.
    """
    argv = sys.argv[1:] if argv is None else argv
    _show_everything(sys.stdout)
    if not argv or argv[0] in ("-h", "--help"):
        sys.stdout.write(_overview() + "\n")
        return 0
    if argv[0] == "--version":
        sys.stdout.write(f"strokesynth {__version__}\n")
        return 0
    if argv[0] not in COMMANDS:
        sys.stderr.write(
            f"strokesynth: unknown command '{argv[0]}'; one of {', '.join(COMMANDS)}\n"
        )
        return 2
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[_Console(sys.stdout)])
    logging.getLogger("numexpr").setLevel(logging.WARNING)  # it announces its number of threads
    return _run(argv[0], argv[1:])


def _run(name: str, words: list[str]) -> int:
    """Run one command; an error that the user can act on becomes one line."""
    try:
        args = build_parser(name).parse_args(words)
        with warnings.catch_warnings():
            if not sys.warnoptions:  # libraries' warnings are for those who ask Python for them
                warnings.simplefilter("ignore")
            return args.run(args) or 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except MemoryError as error:
        sys.stderr.write(f"strokesynth {name}: out of memory ({error or 'no details'})\n")
        return 2
    except (ValueError, OSError) as error:
        sys.stderr.write(f"strokesynth {name}: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write(f"strokesynth {name}: interrupted; run it again to go on\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
