"""``strokesynth fingerprint``: nnU-Net's planning without the 20 GB of memory that it takes."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from nnunetv2_strokesynth.commands.next_step import Words, say_next
from nnunetv2_strokesynth.reproduction.data_set import find_raw_folder

EXAMPLE = "strokesynth fingerprint -d 18"

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The data sets."""
    parser.description = (
        "Writes dataset_fingerprint.json, which nnUNetv2_plan_and_preprocess then reads instead of "
        "drawing 100 million voxels of every channel. `strokesynth convert` has done it; do it "
        "again after you have changed, added or removed a case by hand."
    )
    parser.add_argument(
        "-d",
        dest="dataset_ids",
        metavar="ID",
        type=int,
        nargs="+",
        required=True,
        help="nnU-Net data set ids",
    )


def run(args: argparse.Namespace) -> None:
    """Renew the fingerprints, and say how to plan."""
    raw, preprocessed = (_folder(name) for name in ("nnUNet_raw", "nnUNet_preprocessed"))
    for folder in [find_raw_folder(number, raw) for number in args.dataset_ids]:
        renew(folder, preprocessed)
    say_next(plan_command(*args.dataset_ids))


def renew(raw_folder: Path, preprocessed: Path) -> None:
    """Write the fingerprint of a data set, unless it is up to date, and say so.

    Args:
        raw_folder: ``nnUNet_raw/DatasetNNN_NAME``.
        preprocessed: ``nnUNet_preprocessed``.

    Raises:
        ValueError: a case cannot be used, or none has a labelled voxel.
        OSError: a file is missing, or cannot be read or written.
    """
    from nnunetv2_strokesynth.dataset_conversion.fingerprint import (
        FINGERPRINT_FILE,
        renew_fingerprint,
    )

    is_written = renew_fingerprint(raw_folder, preprocessed)
    path = preprocessed / raw_folder.name / FINGERPRINT_FILE
    logger.info("%s %s", path, "is written" if is_written else "is up to date")


def plan_command(*dataset_ids: int, configuration: str = "2d", planner: str = "") -> Words:
    """nnU-Net's command that plans and preprocesses data sets, by two processes and not by eight.

    Each takes half a gigabyte.

    Args:
        dataset_ids: of the data sets.
        configuration: to preprocess for.
        planner: of nnU-Net; empty for its standard one.
    """
    words: Words = ["nnUNetv2_plan_and_preprocess", "-d", *dataset_ids]
    words = [*words, *(["-pl", planner] if planner else [])]
    return [*words, "-c", configuration, "-np", 2]


def _folder(variable: str) -> Path:
    """One of nnU-Net's folders."""
    folder = os.environ.get(variable)
    if not folder:
        raise ValueError(
            f"the environment variable {variable} is not set; nnU-Net needs "
            f"`export {variable}=/path/to/{variable}`"
        )
    return Path(folder).resolve()
