"""``strokesynth score-maps``: perfusion maps of a simulated scan against its truth."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnunetv2_strokesynth.phantom.map_scores import MapScore

EXAMPLE = "strokesynth score-maps maps phantom/perfusion_truth/TRAINING/case_1"
HEADER = (
    "scan",
    "vendor",
    "map",
    "r",
    "ratio",
    "difference",
    "error",
    "Tmax > 6 s, Dice",
    "voxels",
)

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The maps, the truth, and a file for the table."""
    parser.description = (
        "Compares maps of any software with what `strokesynth phantom --truth` has written, in "
        "grey and white matter: Pearson's r, medians of ratio, difference and absolute "
        "difference, Dice of Tmax > 6 s, and the share of the tissue that has a value."
    )
    add = parser.add_argument
    add(
        "maps",
        type=Path,
        metavar="MAPS",
        help="folder with cbf, cbv, mtt, tmax or delay as NIfTI files, in mL/100 g/min, mL/100 g "
        "and s; or with such a folder for each scan",
    )
    add(
        "truth",
        type=Path,
        metavar="TRUTH",
        help="the scan's folder in perfusion_truth; or the folder with all scans",
    )
    add("-o", "--output", type=Path, metavar="FILE", help="write the figures as CSV, too")
    add("--overwrite", action="store_true", help="replace FILE")


def run(args: argparse.Namespace) -> None:
    """Score, print the table, write the file."""
    from nnunetv2_strokesynth.evaluation.tables import markdown_grid
    from nnunetv2_strokesynth.io.output_folder import refuse_existing_file
    from nnunetv2_strokesynth.phantom.map_scores import score_scan, scored_scans

    if args.output:
        refuse_existing_file(args.output, args.overwrite)
    pairs = scored_scans(args.maps, args.truth)
    scores = [score for maps, truth in pairs for score in score_scan(maps, truth)]
    for note in dict.fromkeys(note for score in scores for note in score.notes):
        logger.warning("warning: %s", note)
    logger.info("%s", markdown_grid(HEADER, map(_cells, scores)))
    if args.output:
        _write(args.output, scores)
        logger.info("wrote %s", args.output)


def _cells(score: MapScore) -> list[str]:
    from nnunetv2_strokesynth.phantom.truth import TRUTH_UNITS

    return [
        *(score.scan, score.vendor, score.map),
        *(f"{score.correlation:.2f}", f"{score.ratio:.2f}"),
        f"{score.difference:+.2f} {TRUTH_UNITS[score.map]}",
        f"{score.error:.2f}",
        "" if score.late_dice != score.late_dice else f"{score.late_dice:.2f}",
        f"{100 * score.covered:.0f} %",
    ]


def _write(path: Path, scores: list[MapScore]) -> None:
    import csv

    from nnunetv2_strokesynth.io.atomic import atomic_file

    with (
        atomic_file(path) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(scores[0]._fields)
        writer.writerows([*score[:-1], "; ".join(score.notes)] for score in scores)
