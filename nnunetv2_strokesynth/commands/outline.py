"""``strokesynth outline``: networks that read the DWI outline the scans that have no label."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nnunetv2_strokesynth.commands.fingerprint import plan_command, renew
from nnunetv2_strokesynth.commands.model_options import DEVICES
from nnunetv2_strokesynth.commands.next_step import open_page, say_next
from nnunetv2_strokesynth.commands.submit_options import (
    add_submit_options,
    check_options,
    command_again,
    is_submitted,
    submit_jobs,
)
from nnunetv2_strokesynth.nnunet_commands import run_command, users_environment

if TYPE_CHECKING:
    import numpy as np

    from nnunetv2_strokesynth.outlining.new_data import Written
    from nnunetv2_strokesynth.outlining.outlines import ScanOutlines
    from nnunetv2_strokesynth.outlining.reader_data import Scans
    from nnunetv2_strokesynth.outlining.reader_quality import ReaderQuality
    from nnunetv2_strokesynth.outlining.readers import Readers
    from nnunetv2_strokesynth.outlining.steps import ReaderRun
    from nnunetv2_strokesynth.reporting.outline_sheet import SheetRow
    from nnunetv2_strokesynth.reproduction.data_set import DataSet

EXAMPLE = "strokesynth outline -d 18 -o 118"
STOCK, SHORTENED_STOCK = "nnUNetTrainer", "StrokeSynthTrainer_Stock"
DEFAULT_AGREEMENT = 0.7  # docs/how-to/few-outlines.md has what was measured
DEFAULT_DICE = 0.5  # outlining/reader_quality.py says why

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The data sets, the readers, and which outlines are trusted."""
    parser.description = (
        "Trains networks that read the DWI on the scans with an outline, by nnU-Net's own "
        "commands, and lets them outline the scans of `strokesynth convert --unoutlined`. No "
        "outline that a fold trains on was made by a network that has seen an outline on which "
        "the fold validates. It goes on where an earlier run was cut off."
    )
    add = parser.add_argument
    add("-d", dest="source", metavar="ID", type=int, required=True, help="data set with the scans")
    add("-o", dest="new", metavar="ID", type=int, required=True, help="id of the data set to write")
    add("--name", help="its name (default: that of the source and _outlined)")
    add("--reader-id", metavar="ID", type=int, help="id of the readers' data set (default: -o + 1)")
    add("-c", dest="configuration", default="2d", choices=("2d", "3d_fullres", "3d_lowres"),
        help="of the readers (default: %(default)s)")  # fmt: skip
    add(
        "-tr",
        dest="trainer",
        default=f"{STOCK}_250epochs",
        help="nnU-Net's trainer of the readers (default: %(default)s)",
    )
    add(
        "--folds",
        metavar="F",
        type=int,
        nargs="+",
        help="folds that get outlines; fewer need fewer readers (default: all)",
    )
    add(
        "--readers",
        metavar="N",
        type=int,
        help="readers that outline for a fold, at least 2: with 5 folds, 2 need 5 trainings in "
        "all (default: those of all pairs of folds, 4 for each of 5 folds, 10 trainings)",
    )
    add(
        "--min-agreement",
        metavar="A",
        type=float,
        default=DEFAULT_AGREEMENT,
        help="mean Dice between the readers from which an outline is used (default: %(default)s)",
    )
    add(
        "--min-dice",
        metavar="D",
        type=float,
        default=DEFAULT_DICE,
        help="readers whose Dice on outlined scans that they have not seen is lower are refused; "
        "0 takes any (default: %(default)s)",
    )
    add(
        "--corrections",
        metavar="DIR",
        type=Path,
        help="masks that a person drew, called like the scans; they replace the readers'",
    )
    add("-device", choices=DEVICES, default="cuda", help="default: cuda")
    add("--overwrite", action="store_true", help="write the data set -o anew; readers stay")
    add("--new-readers", action="store_true", help="delete the readers and train new ones")
    add_submit_options(parser)


def run(args: argparse.Namespace) -> None:
    """Train the readers, outline, write the new data set, and say what to look at."""
    from nnunetv2_strokesynth.dataset_conversion.planned_before import outdated_plans
    from nnunetv2_strokesynth.dataset_conversion.raw_folder import dataset_folder
    from nnunetv2_strokesynth.io.output_folder import refuse_existing_folder
    from nnunetv2_strokesynth.outlining.new_data import OUTLINES_TABLE, is_ours, training_cases
    from nnunetv2_strokesynth.outlining.outlines import find_corrections
    from nnunetv2_strokesynth.outlining.reader_data import scans_of, write_reader_data
    from nnunetv2_strokesynth.outlining.readers import plan_readers
    from nnunetv2_strokesynth.outlining.steps import ReaderRun
    from nnunetv2_strokesynth.reproduction.data_set import find_data_set, nnunet_roots

    _check_options(args)
    roots = nnunet_roots()
    data = find_data_set(args.source, roots)
    name = args.name or f"{data.name.split('_', 1)[1]}_outlined"
    reader_id = args.new + 1 if args.reader_id is None else args.reader_id
    folder = dataset_folder(args.new, name)
    reader_folder = dataset_folder(reader_id, f"{name}_readers")
    if len({args.source, args.new, reader_id}) < 3:
        raise ValueError(f"-d {args.source}, -o {args.new} and --reader-id {reader_id} must differ")
    scans = scans_of(data)
    corrections = find_corrections(args.corrections, scans.unoutlined)
    refuse_existing_folder(folder, args.overwrite, is_ours, record=OUTLINES_TABLE)
    readers = plan_readers(
        data.splits, scans.outlined, data.patients, folds=args.folds, per_fold=args.readers
    )
    own = ReaderRun(
        reader_id, reader_folder.name, roots, args.trainer, args.configuration, args.device
    )
    if is_submitted(args):
        check_options(args, own.raw)
    if args.new_readers:
        own.remove()
    recipe = {"trainer": args.trainer, "configuration": args.configuration}
    write_reader_data(data, own.raw, scans, readers.all, recipe)
    _say_plan(scans, readers)
    if is_submitted(args):
        _submit(own, scans, readers, args)
        return
    _train_and_predict(own, scans, readers)
    quality = _measure(data, own, readers, scans, args)
    written = _write(data, own, readers, scans, folder=folder, args=args,
                     corrections=corrections, quality=quality)  # fmt: skip
    renew(folder, roots.preprocessed)
    for sentence in outdated_plans(folder, training_cases(folder)):
        logger.warning("warning: %s", sentence)
    _say_result(args, folder, written, quality)


def _check_options(args: argparse.Namespace) -> None:
    for option in ("min_agreement", "min_dice"):
        value = getattr(args, option)
        if not 0 <= value <= 1:
            name = option.replace("_", "-")
            raise ValueError(f"--{name} {value}: expected a number from 0 to 1")
    if not args.trainer.startswith((STOCK, SHORTENED_STOCK)):
        raise ValueError(
            f"-tr {args.trainer}: readers are trained by nnU-Net's own trainers ({STOCK}, "
            f"{STOCK}_250epochs, ...). Ours choose a threshold on the validation scans, whose "
            "outlines the readers must not know"
        )


def _say_plan(scans: Scans, readers: Readers) -> None:
    logger.info(
        "%d scans with an outline and a DWI train %d readers, which outline %d scans",
        len(scans.outlined),
        len(readers.all),
        len(scans.unoutlined),
    )
    for fold, own in readers.of_fold.items():
        numbers = ", ".join(str(reader.number) for reader in own)
        logger.info("fold %d: readers %s have not seen its validation", fold, numbers)


def _train_and_predict(run: ReaderRun, scans: Scans, readers: Readers) -> None:
    """Run nnU-Net's commands that are not done yet."""
    from nnunetv2_strokesynth.outlining.steps import open_steps

    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        logger.info("export %s=%s", name, getattr(run.roots, name.removeprefix("nnUNet_")))
    renew(run.raw, run.roots.preprocessed)
    for step in open_steps(run, scans, readers.all):
        log_file = run.raw / "logs" / f"{step.name}.txt"
        run_command(step.command, users_environment(), log_file=log_file, shown={})


def _submit(run: ReaderRun, scans: Scans, readers: Readers, args: argparse.Namespace) -> None:
    """Hand the readers to a cluster; the last job is this command, which finds them trained."""
    from nnunetv2_strokesynth.outlining.steps import reader_jobs

    write = command_again("outline", add_arguments, args, without=["new_readers"])
    submit_jobs(args, reader_jobs(run, scans, readers.all, write), run.raw)


def _measure(
    data: DataSet, run: ReaderRun, readers: Readers, scans: Scans, args: argparse.Namespace
) -> ReaderQuality:
    """How good the readers are on outlined scans that they have not seen; refuses poor ones."""
    from nnunetv2_strokesynth.outlining.outlines import measure_readers
    from nnunetv2_strokesynth.outlining.reader_quality import ReaderQuality

    measured = measure_readers(data, run, readers, scans)
    quality = ReaderQuality.of(measured, args.min_agreement)
    quality.check(args.min_dice)
    logger.info("%s", quality.sentence)
    return quality


def _write(
    data: DataSet,
    run: ReaderRun,
    readers: Readers,
    scans: Scans,
    *,
    folder: Path,
    args: argparse.Namespace,
    corrections: dict[str, Path],
    quality: ReaderQuality,
) -> Written:
    """The new data set, completely or not at all, with its contact sheets."""
    from nnunetv2_strokesynth.io.output_folder import result_folder
    from nnunetv2_strokesynth.io.progress import progress
    from nnunetv2_strokesynth.outlining.new_data import OUTLINES_TABLE, is_ours, write_new_data
    from nnunetv2_strokesynth.outlining.outlines import outline_scan
    from nnunetv2_strokesynth.reporting.outline_sheet import write_sheets

    rows: list[SheetRow] = []

    def look(scan: str, made: ScanOutlines, drawn: np.ndarray | None) -> None:
        rows.append(sheet_row(data, scan, made, drawn))

    with result_folder(
        folder, overwrite=args.overwrite, is_ours=is_ours, record=OUTLINES_TABLE
    ) as temporary:
        found = (
            (scan, outline_scan(data, run, readers, scan, args.min_agreement))
            for scan in progress(scans.unoutlined, desc="outlines", unit="scan")
        )
        written = write_new_data(
            data,
            temporary,
            found,
            name=folder.name.split("_", 1)[1],
            corrections=corrections,
            quality=quality,
            look=look,
        )
        write_sheets(rows, temporary, quality.warnings)
    return written


def sheet_row(data: DataSet, scan: str, made: ScanOutlines, drawn: np.ndarray | None) -> SheetRow:
    """The row of one scan on the contact sheet."""
    from nnunetv2_strokesynth.io.orientation import CANONICAL, ORIENTATION_KEY
    from nnunetv2_strokesynth.outlining.outlines import USED
    from nnunetv2_strokesynth.reporting.outline_sheet import SheetRow, sheet_slice

    overall = made.overall
    z = sheet_slice(overall.outline, overall.probability)
    used = [str(one.fold) for one, _ in made.proposals if one.verdict == USED]
    folds = f"folds {' '.join(used)}" if used else "left out"
    if drawn is not None:
        folds = "corrected"
    return SheetRow(
        f"{scan}\nagreement {overall.agreement:.2f}\n{folds}",
        overall.agreement,
        made.dwi.array[z],
        overall.probability[z],
        overall.outline[z],
        None if drawn is None else drawn[z],
        data.content.get(ORIENTATION_KEY) == CANONICAL,
        made.dwi.spacing_mm[1] / made.dwi.spacing_mm[2],
    )


def _say_result(
    args: argparse.Namespace, folder: Path, written: Written, quality: ReaderQuality
) -> None:
    """How many outlines are used, what to look at, and how to train."""
    from nnunetv2_strokesynth.outlining.outlines import CORRECTED, USED, summary

    for word, number in summary(written.proposals).items():
        logger.info("%d outlines %s", number, word)
    if not any(one.verdict in (USED, CORRECTED) for one in written.proposals):
        logger.warning(
            "warning: no outline is used, so that the new data set is the outlined scans alone; "
            "look at the readers' outlines, train the readers longer (-tr), correct outlines, or "
            "lower --min-agreement"
        )
    for warning in quality.warnings:
        logger.warning("warning: %s", warning)
    logger.info("%s", folder)
    logger.info(
        "look at outlines_01.png, in which the readers agree least. To correct an outline, copy "
        "its mask from %s, repair it, and type the same command with --overwrite --corrections DIR",
        folder / "outlines",
    )
    fold = args.folds[0] if args.folds else 0
    say_next(
        open_page(folder / "outlines_01.png"),
        plan_command(args.new),
        ["nnUNetv2_train", args.new, "2d", fold, "-tr", "StrokeSynthTrainer", "--npz"],
    )
