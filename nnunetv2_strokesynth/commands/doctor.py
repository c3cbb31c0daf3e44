"""``strokesynth doctor``: what is missing, damaged or odd in a download, before converting it."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nnunetv2_strokesynth.commands.convert import kind_arguments
from nnunetv2_strokesynth.commands.next_step import say_next
from nnunetv2_strokesynth.dataset_conversion.registry import KINDS

if TYPE_CHECKING:
    from nnunetv2_strokesynth.dataset_conversion.findings import Diagnosis

EXAMPLE = "strokesynth doctor /data/ISLES2024 --json doctor.json"

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The folder, how thoroughly it is read, and with which options it would be converted."""
    parser.description = (
        "Rehearses the conversion of a data set: every file is read and checked as `strokesynth "
        "convert` does, and nothing is written. Exit code 0: nothing has to be decided; 1: a scan "
        "is refused, or converts with a warning; 2: the command cannot be used."
    )
    add = parser.add_argument
    add("src", metavar="SRC", type=Path, help="folder of the data set, as for `convert`")
    add("--kind", choices=list(KINDS), help="its kind (default: recognised by the layout)")
    add("--json", metavar="FILE", type=Path, help="write all findings as JSON, too")
    add("--overwrite", action="store_true", help="replace FILE")
    add("--quick", action="store_true", help="read headers only: minutes become seconds")
    add(
        "-np",
        "--workers",
        dest="workers",
        metavar="N",
        type=int,
        default=2,
        help="scans examined at a time (default: %(default)s)",
    )
    add(
        "--convert",
        dest="options",
        metavar="OPTION",
        nargs=argparse.REMAINDER,
        default=[],
        help="options that you will give to `convert`, such as --compute-maps; comes last",
    )


def run(args: argparse.Namespace) -> int:
    """Examine, show the table, write the JSON; 1 if something needs a decision."""
    from nnunetv2_strokesynth.dataset_conversion.doctor import diagnose, recognised_kind
    from nnunetv2_strokesynth.dataset_conversion.findings_table import table
    from nnunetv2_strokesynth.io.atomic import write_json

    _check_json(args.json, overwrite=args.overwrite)
    kind = args.kind or recognised_kind(args.src)
    words = [str(args.src), *args.options, "--workers", str(args.workers)]
    options = kind_arguments(kind, words)
    found = diagnose(kind, options, options=args.options, is_quick=args.quick)
    sys.stdout.flush()
    logger.info("%s", table(found))
    if args.json:
        write_json(args.json, found.content())
        logger.info("%s is written", args.json)
    _say_next(found)
    return int(found.needs_decision)


def _check_json(path: Path | None, *, overwrite: bool) -> None:
    """Refuse before hours of reading what could not be written after them."""
    if path is None:
        return
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists; choose another --json, or add --overwrite")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"--json {path}: there is no folder {path.parent}")


def _say_next(found: Diagnosis) -> None:
    """The conversion; where it would stop at scans, the one that leaves them out."""
    from nnunetv2_strokesynth.dataset_conversion.findings import Level

    command = ["strokesynth", "convert", found.kind, found.src, *found.options]
    if not found.stops:
        say_next(command)
    elif not any(finding.level == Level.REFUSED for finding in found.findings):
        logger.info("repair the refused scans or copy them again; to leave them out:")
        say_next([*command, "--skip-broken"])
