"""``strokesynth calibrate``: how far a model's volumes are off, for the interval of ``predict``."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnunetv2_strokesynth.commands.left_out import warn_of_left_out
from nnunetv2_strokesynth.commands.next_step import say_next

if TYPE_CHECKING:
    from nnunetv2_strokesynth.inference.calibration import PseudoDwiCut

EXAMPLE = (
    "strokesynth calibrate --gt $nnUNet_raw/Dataset018_ISLES2018/labelsTr "
    "-m $nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d"
)
logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``strokesynth calibrate``."""
    add = parser.add_argument
    add("-m", "--model", type=Path, required=True, help="trained model folder, which has validated")
    add("--gt", type=Path, required=True, help="folder of true lesions (labelsTr)")
    add("-f", "--folds", type=int, nargs="+", help="only the validation cases of these folds "
        "(default: all folds)")  # fmt: skip
    add("--coverage", type=float, default=0.9, help="share of scans inside (default: 0.9)")
    add("--pseudo-dwi", type=Path, metavar="DIR", help="pseudo-DWIs of the validation scans, of "
        "`strokesynth synthesize --validation`: choose the threshold on them, too")  # fmt: skip
    add("--allow-missing", action="store_true", help="leave out cases without prediction")
    add("--overwrite", action="store_true", help="replace an earlier calibration")


def run(args: argparse.Namespace) -> None:
    """Measure the validation's volumes and write the calibration into the model's folder."""
    from nnunetv2_strokesynth.evaluation.cases import is_model_folder
    from nnunetv2_strokesynth.evaluation.matching import find_cases
    from nnunetv2_strokesynth.evaluation.volume_interval import calibrate
    from nnunetv2_strokesynth.inference.calibration import (
        CALIBRATION_FILE,
        Calibration,
        write_calibration,
    )
    from nnunetv2_strokesynth.io.output_folder import refuse_existing_file

    refuse_existing_file(args.model / CALIBRATION_FILE, args.overwrite)
    if not is_model_folder(args.model):
        raise ValueError(
            f"{args.model} holds no fold, expected a trained model's folder like "
            "nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d"
        )
    matched = find_cases(args.gt, args.model, folds=args.folds, allow_missing=args.allow_missing)
    warn_of_left_out(args.model, matched)
    ids, gt, found = matched
    volumes = [_volumes_ml(case_id, gt[case_id], found.files[case_id]) for case_id in ids]
    true_ml, predicted_ml = zip(*volumes, strict=True)
    interval = calibrate(true_ml, predicted_ml, args.coverage)
    cut = _cut(args.pseudo_dwi, ids, gt, args.gt) if args.pseudo_dwi else None
    folds = sorted(set(found.folds.values()))
    path = write_calibration(args.model, Calibration(interval, cut), cases=ids, folds=folds)
    low, high = interval.around(10.0)
    logger.info(
        "wrote %s: %d scans; a predicted 10 mL means %.1f to %.1f mL in %g %% of such scans",
        path,
        len(ids),
        low,
        high,
        100 * args.coverage,
    )
    if cut:
        logger.info("pseudo-DWI over %g: Dice %.1f %%, in hindsight", cut.cut, 100 * cut.dice_mean)
    say_next(["strokesynth", "predict", "CASE", "-m", args.model, "-o", "OUT"])


def _volumes_ml(case_id: str, gt: Path, predicted: Path) -> tuple[float, float]:
    from nnunetv2_strokesynth.evaluation.metrics import volume_ml
    from nnunetv2_strokesynth.evaluation.volumes import on_voxels_of, read_mask

    try:
        true = read_mask(gt)
        other = on_voxels_of(true, read_mask(predicted))
    except (ValueError, OSError) as error:
        raise ValueError(f"case {case_id}: {error}") from error
    return volume_ml(true.array, true.spacing_mm), volume_ml(other.array, other.spacing_mm)


def _cut(
    folder: Path, ids: Sequence[str], gt: dict[str, Path], gt_folder: Path
) -> PseudoDwiCut | None:
    import numpy as np

    from nnunetv2_strokesynth.evaluation import lesion_visibility as visibility
    from nnunetv2_strokesynth.evaluation.cases import case_files
    from nnunetv2_strokesynth.evaluation.matching import find_maps, images_beside
    from nnunetv2_strokesynth.evaluation.volumes import on_voxels_of, read_image, read_mask
    from nnunetv2_strokesynth.inference.calibration import PseudoDwiCut

    images = case_files(folder)
    missing = [case_id for case_id in ids if case_id not in images]
    if missing:
        raise ValueError(
            f"{folder} lacks {len(missing)} of {len(ids)} cases, such as {missing[0]}; run "
            "`strokesynth synthesize ... --validation`"
        )
    maps = find_maps(ids, images_beside(gt_folder))
    curves = []
    for case_id in ids:
        true = read_mask(gt[case_id])
        image = on_voxels_of(true, read_image(images[case_id])).array
        brain = image != 0
        if case_id in maps:
            of_case = [on_voxels_of(true, read_image(path)).array for path in maps[case_id]]
            brain = np.any([values != 0 for values in of_case], axis=0)
        curves.append(visibility.dice_by_cut(image, true.array, brain))
    best = visibility.best_cut(np.array(curves))
    dice = float(np.mean(curves, axis=0)[best])
    return PseudoDwiCut(float(visibility.CUTS[best]), round(dice, 4), len(ids))
