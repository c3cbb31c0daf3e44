"""``strokesynth report``: one self-contained HTML page about a trained model."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nnunetv2_strokesynth.commands.next_step import Words, open_page, say_next
from nnunetv2_strokesynth.commands.trained_models import validation_command
from nnunetv2_strokesynth.inference.image_folders import FEATURE_FOLDER

if TYPE_CHECKING:
    from nnunetv2_strokesynth.reporting.report_content import Content, Sources
    from nnunetv2_strokesynth.reporting.side_by_side import SideBySide

EXAMPLE = (
    "strokesynth report "
    "-m $nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d "
    "--raw $nnUNet_raw/Dataset018_ISLES2018 -o report.html"
)
logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``strokesynth report``."""
    add = parser.add_argument
    add("-m", dest="models", type=Path, nargs="+", required=True, metavar="MODEL", help="trained "
        "model's folder; further ones are compared with the first on the scans that all have "
        "predicted")  # fmt: skip
    add("--names", nargs="+", metavar="NAME", help="how to call several models (default: their "
        "trainers)")  # fmt: skip
    add("--raw", type=Path, help="the data set's folder in nnUNet_raw: labels, images and DWI "
        "of the cross-validation")  # fmt: skip
    add("--pred", dest="preds", type=Path, nargs="+", metavar="PRED", help="folder of predictions "
        "of held-out scans for each model, in place of the cross-validation")  # fmt: skip
    add("--gt", type=Path, help="folder of their true lesions")
    add("--images", type=Path, help="folder of the scans (default: RAW/imagesTr, with --pred "
        "RAW/imagesTs)")  # fmt: skip
    add("--dwi", type=Path, help="folder of DWI volumes (default: RAW/targetsTr or targetsTs)")
    add("--pseudo-dwi", type=Path, help="folder that `strokesynth synthesize` wrote")
    add("--feature-dir", type=Path, help="folder of the feature (default: PSEUDO_DWI/feature)")
    add("-o", "--output", type=Path, required=True, help="the HTML file")
    add("--workers", type=int, default=2, help="processes (default: 2)")
    add("--overwrite", action="store_true", help="replace an earlier report")


def _folder(given: Path | None, option: str, default: Path | None) -> Path | None:
    """A folder that was named has to be there; a default may be absent."""
    if given is None:
        return default if default is not None and default.is_dir() else None
    if not given.is_dir():
        raise FileNotFoundError(f"{option} {given} is not a folder")
    return given


def find_sources(args: argparse.Namespace) -> Sources:
    """Fill in the defaults.

    Raises:
        ValueError: options that do not go together.
        FileNotFoundError: a folder that was named is not there.
    """
    from nnunetv2_strokesynth.reporting.report_content import CROSS_VALIDATION, HELD_OUT, Sources

    args.model, args.pred = args.models[0], args.preds[0] if args.preds else None
    if args.preds and len(args.preds) != len(args.models):
        raise ValueError(
            f"--pred names {len(args.preds)} folders for {len(args.models)} models; name one for "
            "each, in the same order"
        )
    if (args.pred is None) != (args.gt is None):
        raise ValueError("--pred and --gt go together: give both or neither")
    if args.raw is None and args.pred is None:
        raise ValueError("--raw is needed for the cross-validation; or give --pred and --gt")
    held_out = args.pred is not None
    part = "Ts" if held_out else "Tr"
    raw = _folder(args.raw, "--raw", None)
    images, dwi = (raw / f"images{part}", raw / f"targets{part}") if raw else (None, None)
    pseudo_dwi = _folder(args.pseudo_dwi, "--pseudo-dwi", None)
    feature = pseudo_dwi / FEATURE_FOLDER if pseudo_dwi else None
    return Sources(
        kind=HELD_OUT if held_out else CROSS_VALIDATION,
        gt=_folder(args.gt, "--gt", None) or raw / "labelsTr",
        pred=_folder(args.pred, "--pred", None) or args.model,
        images=_folder(args.images, "--images", images),
        dwi=_folder(args.dwi, "--dwi", dwi),
        pseudo_dwi=pseudo_dwi,
        feature=_folder(args.feature_dir, "--feature-dir", feature),
    )


def run(args: argparse.Namespace) -> None:
    """Measure, draw, write."""
    from nnunetv2_strokesynth.io.atomic import write_text
    from nnunetv2_strokesynth.io.output_folder import refuse_existing_file
    from nnunetv2_strokesynth.reporting.model_folder import read_model
    from nnunetv2_strokesynth.reporting.report_content import collect
    from nnunetv2_strokesynth.reporting.report_page import render

    refuse_existing_file(args.output, args.overwrite)
    if args.output.is_dir():
        raise IsADirectoryError(f"{args.output} is a folder, expected the name of an HTML file")
    sources = find_sources(args)
    model = read_model(args.model)
    only_test_scans = is_of_test_scans(sources.pseudo_dwi, args.raw, sources)
    if only_test_scans:
        logger.warning(
            "%s holds the pseudo-DWI of test scans; this report is about the validation scans and "
            "shows none",
            sources.pseudo_dwi,
        )
        feature = sources.feature if args.feature_dir else None
        sources = sources._replace(pseudo_dwi=None, feature=feature)
    content = collect(sources, model, workers=args.workers)
    others = _side_by_side(args, content) if len(args.models) > 1 else None
    write_text(args.output, render(content, model, others))
    logger.info("%s: %d cases, %s", content.sources.kind, len(content.cases), args.output)
    say_next(open_page(args.output))
    if only_test_scans:
        logger.info("with the pseudo-DWI of the validation scans:")
        say_next(*_with_pseudo_dwi(args))


def _side_by_side(args: argparse.Namespace, content: Content) -> SideBySide:
    """All models on the scans that all of them have predicted."""
    from nnunetv2_strokesynth.reporting.model_folder import read_model
    from nnunetv2_strokesynth.reporting.side_by_side import System, collect

    names = args.names or [read_model(folder).trainer for folder in args.models]
    if len(names) != len(args.models):
        raise ValueError(f"--names has {len(names)} names for {len(args.models)} models")
    folders = args.preds or args.models
    systems = [System(name, folder) for name, folder in zip(names, folders, strict=True)]
    truth = {case_id: case.gt for case_id, case in content.files.items()}
    return collect(systems, truth, workers=args.workers)


def is_of_test_scans(folder: Path | None, raw: Path | None, sources: Sources) -> bool:
    """Whether a folder has pseudo-DWI of the data set's test scans alone.

    It is what ``strokesynth synthesize -i imagesTs`` writes. A report about validation scans has
    no use for it; any other folder without a validation scan is a mistake.
    """
    from nnunetv2_strokesynth.evaluation.cases import case_files
    from nnunetv2_strokesynth.reporting.report_content import CROSS_VALIDATION

    if folder is None or raw is None or sources.kind != CROSS_VALIDATION:
        return False
    test_scans = {path.name.rpartition("_")[0] for path in (raw / "imagesTs").glob("*_0000.*")}
    found = set(case_files(folder))
    return bool(found) and found <= test_scans and not found & set(case_files(sources.gt))


def _with_pseudo_dwi(args: argparse.Namespace) -> list[Words]:
    folder = args.pseudo_dwi.with_name(f"{args.pseudo_dwi.name}_validation")
    report = ["strokesynth", "report", "-m", args.model, "--raw", args.raw, "--pseudo-dwi", folder]
    report += ["-o", args.output, "--overwrite"]
    return [validation_command(args.model, args.raw, folder), report]
