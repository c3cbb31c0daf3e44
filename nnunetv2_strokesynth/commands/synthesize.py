"""``strokesynth synthesize``: images that a network makes beside the lesion, as NIfTI."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from nnunetv2_strokesynth.commands.model_options import add_model_options, model_options
from nnunetv2_strokesynth.commands.next_step import Words, say_next
from nnunetv2_strokesynth.commands.trained_models import (
    data_set_folder,
    predict_command,
    validation_command,
)
from nnunetv2_strokesynth.inference.image_folders import FEATURE_FOLDER, UNCERTAINTY_FOLDER

EXAMPLE = (
    "strokesynth synthesize "
    "-m $nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d "
    "-i $nnUNet_raw/Dataset018_ISLES2018/imagesTs -o pseudo_dwi"
)
logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``nnUNetv2_predict`` that make sense here, under the same names."""
    add_model_options(parser)
    add = parser.add_argument
    add("-i", dest="images", type=Path, required=True, help="folder of scans")
    add("-o", dest="output", type=Path, required=True, help="output folder")
    add(
        "--validation",
        action="store_true",
        help="only the validation scans (-i is imagesTr), each by the fold that has not trained on "
        "it, as `strokesynth report` and `strokesynth evaluate` need them",
    )
    add("--feature", action="store_true", help=f"also write the feature F_h to {FEATURE_FOLDER}/")
    add(
        "--uncertainty",
        action="store_true",
        help=f"write {UNCERTAINTY_FOLDER}/ in place of the pseudo-DWI: how far passes with dropout "
        "differ (Clerigues2019Trainer)",
    )
    add("--overwrite", action="store_true", help="replace existing files")


def run(args: argparse.Namespace) -> None:
    """Synthesise every scan of the input folder."""
    from nnunetv2_strokesynth.inference.model_files import check_model_files

    check_model_files(args.model, args.folds, args.checkpoint)  # before PyTorch is imported

    from nnunetv2_strokesynth.inference import synthesis
    from nnunetv2_strokesynth.inference.validation_scans import synthesize_validation

    options = {**model_options(args), "uncertainty": args.uncertainty}
    wanted = {"with_feature": args.feature, "overwrite": args.overwrite}
    if args.validation:
        written = synthesize_validation(args.model, args.images, args.output, **wanted, **options)
    else:
        predictor = synthesis.build_predictor(args.model, **options)
        written = synthesis.synthesize_folder(predictor, args.images, args.output, **wanted)
    kind = "uncertainty" if args.uncertainty else "pseudo-DWI"
    logger.info("%d %s volumes in %s", len(written), kind, args.output)
    say_next(*next_commands(args))


def next_commands(args: argparse.Namespace) -> list[Words]:
    """The commands that use what was written.

    A report is about the validation scans. Other scans are shown with their predictions, if their
    true lesions are known.
    """
    raw = data_set_folder(args.model, args.images)
    lesions = predict_command(args.model, args.images, Path("predictions"), device=args.device)
    if args.uncertainty or raw is None:
        return [lesions]
    report = ["strokesynth", "report", "-m", args.model, "--raw", raw]
    page = ["-o", "report.html"]
    if args.validation or args.images.name == "imagesTr":
        return [[*report, "--pseudo-dwi", args.output, *page]]
    truth = raw / "labelsTs"
    if args.images.name == "imagesTs" and truth.is_dir():
        shown = ["--pred", "predictions", "--gt", truth, "--pseudo-dwi", args.output]
        return [lesions, [*report, *shown, *page]]
    folder = args.output.with_name(f"{args.output.name}_validation")
    validation = validation_command(args.model, raw, folder, device=args.device)
    return [validation, [*report, "--pseudo-dwi", folder, *page]]
