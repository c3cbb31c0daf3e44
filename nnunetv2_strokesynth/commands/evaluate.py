"""``strokesynth evaluate``: metrics per case, summary tables, figures, comparison of two sets."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nnunetv2_strokesynth.commands.left_out import warn_of_left_out
from nnunetv2_strokesynth.commands.next_step import Words, open_page, say_next
from nnunetv2_strokesynth.commands.trained_models import model_of_predictions

if TYPE_CHECKING:
    import pandas as pd

    from nnunetv2_strokesynth.evaluation.matching import CasePair, Matched

EXAMPLE = (
    "strokesynth evaluate --gt $nnUNet_raw/Dataset018_ISLES2018/labelsTr "
    "--pred $nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d -o evaluation"
)
logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``strokesynth evaluate``."""
    add = parser.add_argument
    add("--gt", type=Path, required=True, help="folder of true lesions (labelsTr, labelsTs)")
    add("--pred", type=Path, required=True, help="folder of predictions, or a trained model's "
        "folder: then fold_*/validation of all folds")  # fmt: skip
    add("-f", "--folds", type=int, nargs="+", help="only the validation cases of these folds of a "
        "trained model (default: all folds and all true lesions)")  # fmt: skip
    add("--compare", type=Path, help="a second folder of predictions or model; differences are "
        "--pred minus --compare, case by case")  # fmt: skip
    add("--names", nargs="+", metavar="NAME", help="how to call --pred (and --compare)")
    add("--dwi", type=Path, help="folder of DWI volumes named as the labels (targetsTr)")
    add("--pseudo-dwi", type=Path, help="folder that `strokesynth synthesize` wrote for --pred")
    add("--images", type=Path, help="folder of the scans (imagesTr), whose perfusion maps show the "
        "brain of the pseudo-DWI (default: the folder beside --gt)")  # fmt: skip
    add("-o", "--output", type=Path, required=True, help="folder for the results: cases.csv, "
        "summary.md, figures. The lesion-wise F1 is there by any overlap (lesion_f1) and as ISLES "
        "2024 matches lesions, one to one at IoU 0.2 (lesion_f1_isles2024)")  # fmt: skip
    add("--allow-missing", action="store_true", help="leave out cases without prediction")
    add("--workers", type=int, default=2, help="processes (default: 2)")
    add("--seed", type=int, default=0, help="seed of the bootstrap (default: 0)")
    add("--overwrite", action="store_true", help="replace earlier results")


def run(args: argparse.Namespace) -> None:
    """Evaluate one folder of predictions, or two against each other."""
    import pandas as pd

    from nnunetv2_strokesynth.evaluation.measure import measure_cases
    from nnunetv2_strokesynth.evaluation.results import describe_set, is_output, write_tables
    from nnunetv2_strokesynth.io.output_folder import refuse_existing_folder, result_folder

    if (args.dwi is None) != (args.pseudo_dwi is None):
        raise ValueError("--dwi and --pseudo-dwi go together: give both or neither")
    refuse_existing_folder(args.output, args.overwrite, is_output)
    folders = [folder for folder in (args.pred, args.compare) if folder is not None]
    # All folders are checked before the first case is measured.
    matched = [_matched(args, folder) for folder in folders]
    pairs = [_pairs(args, found, images=k == 0) for k, found in enumerate(matched)]
    frames, sets = [], {}
    cautions = [_caution(args), ""]  # of --pred, to which the pseudo-DWI belongs
    for k, (name, folder) in enumerate(zip(_names(args), folders, strict=True)):
        frames.append(measure_cases(pairs[k], predictions=name, workers=args.workers))
        sets[name] = describe_set(folder, matched[k], caution=cautions[k])
    cases = pd.concat(frames, ignore_index=True)
    with result_folder(args.output, overwrite=args.overwrite, is_ours=is_output) as folder:
        write_tables(folder, cases, sets, seed=args.seed)
        _draw(folder, cases)
    _summarise(cases)
    logger.info("results: %s", args.output / "summary.md")
    say_next(*next_commands(args), link="or")


def _names(args: argparse.Namespace) -> list[str]:
    folders = [folder for folder in (args.pred, args.compare) if folder is not None]
    if args.names is None:
        names = [folder.resolve().name for folder in folders]
        # Two models of the same trainer, or two folders called "validation".
        return names if len(set(names)) == len(names) else ["A", "B"]
    if len(args.names) != len(folders) or len(set(args.names)) != len(args.names):
        raise ValueError(
            f"--names has {len(args.names)} names ({', '.join(args.names)}), expected "
            f"{len(folders)} different ones, for {' and '.join(str(f) for f in folders)}"
        )
    return args.names


def _matched(args: argparse.Namespace, folder: Path) -> Matched:
    from nnunetv2_strokesynth.evaluation.matching import find_cases

    matched = find_cases(args.gt, folder, folds=args.folds, allow_missing=args.allow_missing)
    warn_of_left_out(folder, matched)
    return matched


def _pairs(args: argparse.Namespace, matched: Matched, *, images: bool) -> list[CasePair]:
    from nnunetv2_strokesynth.dataloading.dwi_scaling import PAPER
    from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import read_record
    from nnunetv2_strokesynth.evaluation.matching import (
        CasePair,
        find_maps,
        images_beside,
        pair_images,
    )

    ids, gt, pred = matched
    by_case, maps, scale = {}, {}, PAPER
    if images and args.dwi is not None:
        by_case = pair_images(ids, args.dwi, args.pseudo_dwi, allow_missing=args.allow_missing)
        logger.info("%d of %d cases have a DWI", len(by_case), len(ids))
        maps = find_maps(ids, args.images or images_beside(args.gt))
        if len(maps) < len(by_case):
            logger.warning(
                "%d of %d cases have no perfusion maps at hand: their brain is the head as the DWI "
                "shows it; name the scans' folder with --images",
                len(by_case) - len(maps),
                len(by_case),
            )
        scale = read_record(args.pseudo_dwi).scale
    pairs = []
    for i in ids:
        dwi, pseudo_dwi = by_case.get(i, (None, None))
        images_of = {"dwi": dwi, "pseudo_dwi": pseudo_dwi}
        fold = pred.folds.get(i, "")
        pairs.append(
            CasePair(i, gt[i], pred.files[i], fold, maps=maps.get(i, ()), scale=scale, **images_of)
        )
    return pairs


def _caution(args: argparse.Namespace) -> str:
    """Why the images given as pseudo-DWI are none, as a warning, too; else empty."""
    from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import read_record

    caution = "" if args.pseudo_dwi is None else read_record(args.pseudo_dwi).caution
    if caution:
        logger.warning("%s: %s", args.pseudo_dwi, caution)
    return caution


def _draw(folder: Path, cases: pd.DataFrame) -> None:
    from nnunetv2_strokesynth.io.figure_file import save_png
    from nnunetv2_strokesynth.reporting import evaluation_figures as figures

    save_png(figures.volume_scatter(cases), folder / "volume_scatter.png")
    save_png(figures.bland_altman(cases), folder / "bland_altman.png")
    save_png(figures.size_group_boxes(cases), folder / "size_groups.png")


def _summarise(cases: pd.DataFrame) -> None:
    from nnunetv2_strokesynth.evaluation.columns import COLUMN_BY_KEY
    from nnunetv2_strokesynth.evaluation.tables import spread_cell, summarise

    for name, groups in summarise(cases).items():
        shown = [COLUMN_BY_KEY[key] for key in ("dice", "hausdorff_mm")]
        text = ", ".join(f"{c.heading} {spread_cell(groups['all'][c.key], c)}" for c in shown)
        n_cases = (cases["predictions"] == name).sum()
        logger.info("%s, %d cases: %s", name, n_cases, text)


def next_commands(args: argparse.Namespace) -> list[Words]:
    """The report about the model, or the tuning of its threshold; else a look at the results.

    The tuning needs the probabilities that ``nnUNetv2_train ... --npz`` writes.
    """
    from nnunetv2_strokesynth.evaluation.cases import is_model_folder

    is_model = is_model_folder(args.pred)
    model = args.pred if is_model else model_of_predictions(args.pred)
    raw = args.gt.parent
    shown = ["--pred", args.pred, "--gt", args.gt] if not is_model else []
    if model is None or not (raw / "dataset.json").is_file():
        return [open_page(args.output / "summary.md")]
    if args.pseudo_dwi is not None:
        shown += ["--pseudo-dwi", args.pseudo_dwi]
    report = ["strokesynth", "report", "-m", model, "--raw", raw, *shown, "-o", "report.html"]
    folds = [f"fold_{fold}" for fold in args.folds] if args.folds else ["fold_*"]
    if not any(npz for fold in folds for npz in args.pred.glob(f"{fold}/validation/*.npz")):
        return [report]
    tune = ["strokesynth", "tune", "-m", model, "--gt", args.gt, "-o", "postprocessing.json"]
    tune += ["-f", *args.folds] if args.folds else []
    return [report, tune + (["--allow-missing"] if args.allow_missing else [])]
