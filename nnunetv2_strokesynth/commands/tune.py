"""``strokesynth tune``: the threshold and minimum lesion size that suit a model best."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from nnunetv2_strokesynth.commands.left_out import warn_of_left_out
from nnunetv2_strokesynth.commands.next_step import Words, say_next
from nnunetv2_strokesynth.commands.trained_models import data_set_folder, predict_command

EXAMPLE = (
    "strokesynth tune --gt $nnUNet_raw/Dataset018_ISLES2018/labelsTr "
    "-m $nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d "
    "-o postprocessing_strokesynth.json"
)
logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``strokesynth tune``."""
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("-m", "--model", type=Path, help="a trained model's folder, validated with "
                        "`nnUNetv2_train ... --npz`")  # fmt: skip
    source.add_argument("--prob", type=Path, help="a folder of .npz files in place of -m")
    add("-f", "--folds", type=int, nargs="+", help="only the validation cases of these folds of "
        "the model (default: all folds)")  # fmt: skip
    add("--gt", type=Path, required=True, help="folder of true lesions (labelsTr)")
    add("-o", "--output", type=Path, required=True, help="JSON to write; a picture of the grid "
        "goes beside it")  # fmt: skip
    add("--thresholds", type=float, nargs="+", help="default: 0.1 to 0.9")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--sizes-voxels", type=float, nargs="+", metavar="N",
                       help="default: 10 50 100 200 300 500")  # fmt: skip
    sizes.add_argument("--sizes-ml", type=float, nargs="+", metavar="ML",
                       help="sizes in mL, which mean the same in every scan")  # fmt: skip
    add("--allow-missing", action="store_true", help="leave out cases without probabilities")
    add("--workers", type=int, default=2, help="processes (default: 2)")
    add("--overwrite", action="store_true", help="replace an earlier result")


def run(args: argparse.Namespace) -> None:
    """Tune, write the JSON and the picture."""
    from nnunetv2_strokesynth.evaluation.matching import find_cases
    from nnunetv2_strokesynth.evaluation.tuning import TuneCase, search_grid, tune
    from nnunetv2_strokesynth.io.atomic import write_json
    from nnunetv2_strokesynth.io.figure_file import save_png
    from nnunetv2_strokesynth.io.output_folder import refuse_existing_file, strict_json
    from nnunetv2_strokesynth.reporting.tuning_figure import grid_heatmaps

    picture = args.output.with_suffix(".png")
    for path in (args.output, picture):
        refuse_existing_file(path, args.overwrite)
    if args.output.suffix != ".json":
        raise ValueError(f"-o {args.output} has to end in .json")
    grid = search_grid(args.thresholds, sizes_voxels=args.sizes_voxels, sizes_ml=args.sizes_ml)
    source = args.model or args.prob
    matched = find_cases(
        args.gt, source, endings=(".npz",), folds=args.folds, allow_missing=args.allow_missing
    )
    warn_of_left_out(source, matched)
    ids, gt, found = matched
    cases = [TuneCase(case_id, found.files[case_id], gt[case_id]) for case_id in ids]
    result = tune(cases, grid, workers=args.workers)
    result["tuned_on"] = {
        "probabilities": source,
        "gt": args.gt,
        "n_cases": len(ids),
        "cases": ids,
        "folds": sorted(set(found.folds.values())),
        "missing_cases": matched.missing,
        "missing_folds": found.missing_folds,
    }
    result = strict_json(result)
    save_png(grid_heatmaps(result), picture)
    write_json(args.output, result)
    for name in grid.at_edge(result):
        logger.info("the chosen %s, %g, is at the edge of the grid", name, result[name])
    _summarise(result)
    say_next(*next_commands(args))


def _summarise(result: dict) -> None:
    for name in ("argmax", "chosen"):
        row = result[name]
        hd = row["hausdorff_mm_mean"]
        logger.info(
            "%-7s T = %g, S_min = %g %s: Dice %.2f %%, HD %s mm (%d n.c.), on the cases tuned on",
            name, row["threshold"], row["min_size"], result["unit"], 100 * row["dice_mean"],
            "–" if hd is None else f"{hd:.2f}", row["hausdorff_not_countable"],
        )  # fmt: skip


def next_commands(args: argparse.Namespace) -> list[Words]:
    """Predict the test scans with probabilities and post-process them.

    Without test scans, or without a model, the probabilities that were tuned on are post-processed.
    """
    source, commands = args.model or args.prob, []
    raw = data_set_folder(args.model, args.gt) if args.model else None
    if raw is not None and (raw / "imagesTs").is_dir():
        predictions = Path("predictions")
        commands.append(
            predict_command(args.model, raw / "imagesTs", predictions, probabilities=True)
        )
        source = predictions
    rule = ["strokesynth", "postprocess", "-i", source, "-p", args.output]
    return [*commands, [*rule, "-o", "postprocessed"]]
