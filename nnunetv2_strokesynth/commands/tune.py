"""``strokesynth tune``: the threshold and minimum lesion size that suit a model best."""

from __future__ import annotations

import argparse
import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.evaluation.cases import (
    case_files,
    gather,
    label_beside,
    match_cases,
)
from nnunetv2_strokesynth.evaluation.components import (
    CONNECTIVITY,
    min_voxels,
)
from nnunetv2_strokesynth.evaluation.grid import (
    GridScores,
    best_combination,
    mean_ranks,
    score_case,
)
from nnunetv2_strokesynth.evaluation.statistics import spread
from nnunetv2_strokesynth.evaluation.volumes import (
    check_probability_matches_label,
    check_same_grid,
    read_lesion_probability,
    read_mask,
)
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.output_folder import (
    refuse_existing_file,
    strict_json,
)
from nnunetv2_strokesynth.io.process_pool import map_cases

HELP = "choose threshold and minimum lesion size on the cross-validation's probabilities"
EXAMPLE = (
    "strokesynth tune --gt $nnUNet_raw/Dataset018_ISLES2018/labelsTr "
    "-m $nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d "
    "-o postprocessing_strokesynth.json"
)

FORMAT_VERSION = 1
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# Clerigues et al. 2019 name the ends of this list, 10 and 500, and six values; the rest is ours.
SIZES_VOXELS = (10, 50, 100, 200, 300, 500)
ARGMAX_THRESHOLD = 0.5
CRITERION = (
    "best mean rank over cases, Dice and HD (mm) counting the same; ties: higher mean Dice, then "
    "lower threshold, then smaller size"
)
logger = logging.getLogger(__name__)


class TuneCase(NamedTuple):
    """Files of one case."""

    case_id: str
    npz: Path
    gt: Path


class SearchGrid(NamedTuple):
    """What is tried; ``sizes`` in ``unit``, ``"voxels"`` or ``"mL"``."""

    thresholds: tuple[float, ...]
    sizes: tuple[float, ...]
    unit: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``strokesynth tune``."""
    add = parser.add_argument
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("-m", "--model", type=Path, help="a trained model's folder, validated with "
                        "`nnUNetv2_train ... --npz`: all folds are used")  # fmt: skip
    source.add_argument("--prob", type=Path, help="a folder of .npz files instead")
    add("--gt", type=Path, required=True, help="folder of true lesions (labelsTr)")
    add("-o", "--output", type=Path, required=True, help="JSON to write; a picture of the grid "
        "goes beside it")  # fmt: skip
    add("--thresholds", type=float, nargs="+", default=THRESHOLDS, help="default: 0.1 to 0.9")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--sizes-voxels", type=float, nargs="+", metavar="N",
                       help="default: 10 50 100 200 300 500")  # fmt: skip
    sizes.add_argument("--sizes-ml", type=float, nargs="+", metavar="ML",
                       help="sizes in mL, which mean the same in every scan")  # fmt: skip
    add("--allow-missing", action="store_true", help="leave out cases without probabilities")
    add("--workers", type=int, default=2, help="processes (default: 2)")
    add("--overwrite", action="store_true", help="replace an earlier result")


def search_grid(args: argparse.Namespace) -> SearchGrid:
    """The grid that the options describe, sorted, without doubles. Raises ``ValueError``."""
    unit = "mL" if args.sizes_ml else "voxels"
    sizes = args.sizes_ml or args.sizes_voxels or SIZES_VOXELS
    if not all(0 < threshold < 1 for threshold in args.thresholds):
        raise ValueError(f"--thresholds {args.thresholds} have to lie between 0 and 1")
    if not all(np.isfinite(size) and size >= 0 for size in sizes):
        raise ValueError(f"minimum sizes {sizes} have to be 0 or more")
    return SearchGrid(tuple(sorted(set(args.thresholds))), tuple(sorted(set(sizes))), unit)


def score_tune_case(case: TuneCase, grid: SearchGrid) -> GridScores:
    """Read one case, check that its files belong together, and score the grid."""
    try:
        label, gt = read_mask(label_beside(case.npz)), read_mask(case.gt)
        check_same_grid(gt, label)
        probs = read_lesion_probability(case.npz)
        check_probability_matches_label(probs, label, case.npz)
    except (ValueError, OSError) as error:
        raise ValueError(f"case {case.case_id}: {error}") from error
    smallest = [min_voxels(size, grid.unit, gt.spacing_mm) for size in grid.sizes]
    return score_case(probs, gt.array, gt.spacing_mm, grid.thresholds, smallest)


def _record(threshold: float, size: float, dice: np.ndarray, hd: np.ndarray) -> dict:
    """Means over cases of one combination."""
    of_dice, of_hd = spread(dice), spread(hd)
    return {
        "threshold": threshold,
        "min_size": size,
        "dice_mean": of_dice.mean,
        "dice_sd": of_dice.sd,
        "hausdorff_mm_mean": of_hd.mean,
        "hausdorff_mm_sd": of_hd.sd,
        "hausdorff_not_countable": of_hd.not_countable,
    }


def tune(cases: Sequence[TuneCase], grid: SearchGrid, *, workers: int = 1) -> dict:
    """Search the grid.

    Args:
        cases: at least one.
        grid: what to try.
        workers: processes.

    Returns:
        ``threshold``, ``min_size`` and ``unit``; ``chosen`` and ``grid`` with the means of every
        combination; ``argmax``, the same for nnU-Net's own labels (T = 0.5, nothing removed).
    """
    # The labels as they are come along as one more threshold and size, which are not candidates.
    wide = SearchGrid(
        tuple(sorted({*grid.thresholds, ARGMAX_THRESHOLD})),
        tuple(sorted({*grid.sizes, 0.0})),
        grid.unit,
    )
    score = functools.partial(score_tune_case, grid=wide)
    scores = map_cases(score, cases, workers=workers, description="score grid")
    dice, hd = (np.stack(each) for each in zip(*scores, strict=True))
    at_half, at_zero = wide.thresholds.index(ARGMAX_THRESHOLD), wide.sizes.index(0)
    argmax = _record(ARGMAX_THRESHOLD, 0, *(a[:, at_half, at_zero] for a in (dice, hd)))
    rows = [wide.thresholds.index(threshold) for threshold in grid.thresholds]
    columns = [wide.sizes.index(size) for size in grid.sizes]
    dice, hd = (a[:, rows][:, :, columns] for a in (dice, hd))
    ranks = mean_ranks(dice, hd)
    records = [
        _record(threshold, size, dice[:, i, j], hd[:, i, j]) | {"mean_rank": float(ranks[i, j])}
        for i, threshold in enumerate(grid.thresholds)
        for j, size in enumerate(grid.sizes)
    ]
    i, j = best_combination(ranks, dice.mean(axis=0))
    return {
        "strokesynth_postprocessing": FORMAT_VERSION,
        "threshold": grid.thresholds[i],
        "min_size": grid.sizes[j],
        "unit": grid.unit,
        "connectivity": CONNECTIVITY,
        "criterion": CRITERION,
        "chosen": records[i * len(grid.sizes) + j],
        "argmax": argmax,
        "grid": records,
    }


def _warn_at_edge(result: dict, grid: SearchGrid) -> None:
    for name, values in (("threshold", grid.thresholds), ("min_size", grid.sizes)):
        if len(values) > 1 and result[name] in (values[0], values[-1]):
            logger.info("the chosen %s, %g, is at the edge of the grid", name, result[name])


def run(args: argparse.Namespace) -> None:
    """Tune, write the JSON and the picture."""
    from nnunetv2_strokesynth.reporting import figures

    picture = args.output.with_suffix(".png")
    for path in (args.output, picture):
        refuse_existing_file(path, args.overwrite)
    if args.output.suffix != ".json":
        raise ValueError(f"-o {args.output} has to end in .json")
    grid = search_grid(args)
    source = args.model or args.prob
    found, gt = gather(source, (".npz",)), case_files(args.gt)
    ids = match_cases(gt, found, pred_folder=source, allow_missing=args.allow_missing)
    cases = [TuneCase(case_id, found.files[case_id], gt[case_id]) for case_id in ids]
    result = tune(cases, grid, workers=args.workers)
    result["tuned_on"] = {
        "probabilities": source,
        "gt": args.gt,
        "n_cases": len(ids),
        "cases": ids,
        "folds": sorted(set(found.folds.values())),
        "missing_folds": found.missing_folds,
    }
    result = strict_json(result)
    figures.save_png(figures.grid_heatmaps(result), picture)
    write_json(args.output, result)
    _warn_at_edge(result, grid)
    for name in ("argmax", "chosen"):
        row = result[name]
        hd = row["hausdorff_mm_mean"]
        logger.info(
            "%-7s T = %g, S_min = %g %s: Dice %.2f %%, HD %s mm (%d n.c.), on the cases tuned on",
            name, row["threshold"], row["min_size"], grid.unit, 100 * row["dice_mean"],
            "–" if hd is None else f"{hd:.2f}", row["hausdorff_not_countable"],
        )  # fmt: skip
