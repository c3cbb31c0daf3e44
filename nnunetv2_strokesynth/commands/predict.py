"""``strokesynth predict``: one patient's CT perfusion scan to a lesion, a volume and a picture.

For many scans, convert them and use ``nnUNetv2_predict``; the steps are the same.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nnunetv2_strokesynth.commands.model_options import (
    add_model_options,
    model_options,
)
from nnunetv2_strokesynth.commands.next_step import open_page, say_next

if TYPE_CHECKING:
    from nnunetv2_strokesynth.inference.patient import Prediction, Prepared
    from nnunetv2_strokesynth.inference.study import Study

EXAMPLE = (
    "strokesynth predict patient_7/ -o patient_7_lesion "
    "-m $nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d"
)
logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to read and write; the model's options are those of ``nnUNetv2_predict``."""
    add = parser.add_argument
    add("case", metavar="CASE", type=Path, help="folder of NIfTI or DICOM files, or a 4-D NIfTI")
    add_model_options(parser)
    add("-o", dest="output", type=Path, required=True, help="output folder")
    add("--series", metavar="UID", help="SeriesInstanceUID, if the DICOM files hold several series")
    add(
        "--frame-s",
        metavar="S",
        type=float,
        help="seconds between frames, if the files do not say, are wrong or contradict each other",
    )
    for name, vessel in (("--aif", "artery"), ("--vof", "vein")):
        add(
            name,
            nargs=3,
            type=int,
            metavar=("X", "Y", "Z"),
            help=f"voxel of the {vessel} as stored, counted from 0, for maps that are computed",
        )
    add(
        "--brain-mask",
        metavar="FILE",
        type=Path,
        help="NIfTI file that is 1 in the brain, on the series' grid (default: found)",
    )
    add("--pdf", action="store_true", help="the picture as PDF, too")
    add("--overwrite", action="store_true", help="replace what this command wrote to the folder")


def run(args: argparse.Namespace) -> None:
    """Find the images, compute what is missing, predict, and write everything at once."""
    from nnunetv2_strokesynth.inference import patient, patient_result
    from nnunetv2_strokesynth.inference.model_doubts import with_model_doubts
    from nnunetv2_strokesynth.inference.orientation_check import orientation_notes
    from nnunetv2_strokesynth.inference.predictor import load_predictor
    from nnunetv2_strokesynth.inference.study import find_study
    from nnunetv2_strokesynth.io.atomic import write_json
    from nnunetv2_strokesynth.io.output_folder import refuse_existing_folder, result_folder

    options = model_options(args)
    is_ours, record = patient_result.OUTPUTS.__contains__, patient_result.RESULT_FILE
    refuse_existing_folder(args.output, args.overwrite, is_ours, record=record)
    study = find_study(args.case, series_uid=args.series, frame_s=args.frame_s)
    predictor = load_predictor(args.model, **options)
    order = study.reference.stored.order
    study.notes.extend(
        orientation_notes(predictor.dataset_json, args.model, scan=study.series_name, order=order)
    )
    prepared = patient.prepare(
        study,
        patient.model_preset(predictor.dataset_json, args.model),
        brain_mask=predictor.dataset_json.get("brain_mask", True),
        brain_file=args.brain_mask,
        aif_at=args.aif and tuple(args.aif),
        vof_at=args.vof and tuple(args.vof),
    )
    prepared = with_model_doubts(prepared, predictor.dataset_json)
    for note in prepared.notes:
        if note in prepared.warnings:
            logger.warning("warning: %s", note)
        else:
            logger.info("%s", note)
    spacing = study.geometry.spacing_zyx_mm
    prediction = patient.predict_patient(predictor, prepared.made.channels, spacing)
    if prediction.caution:
        note = f"no pseudo-DWI: {prediction.caution}"
        prepared.notes.append(note)
        logger.warning("%s", note)
    known = len(prepared.warnings)
    prepared = patient.with_doubts(prepared, prediction)
    for warning in prepared.warnings[: len(prepared.warnings) - known]:
        logger.warning("warning: %s", warning)
    result = patient_result.describe_result(_about(args), study, prepared, prediction)
    with result_folder(
        args.output, overwrite=args.overwrite, is_ours=is_ours, record=record
    ) as folder:
        patient_result.write_images(folder, prepared, prediction, study.reference)
        _write_page(folder, args, study, prepared, prediction, result)
        write_json(folder / patient_result.RESULT_FILE, result)
    logger.info("lesion: %.1f mL; see %s", result["lesion_ml"], args.output / "report.html")
    say_next(open_page(args.output / "report.html"))


def _about(args: argparse.Namespace) -> dict[str, object]:
    return {
        "case": str(args.case),
        "model": str(args.model),
        "folds": args.folds or "all trained",
        "checkpoint": args.checkpoint,
    }


def _write_page(
    folder: Path,
    args: argparse.Namespace,
    study: Study,
    prepared: Prepared,
    prediction: Prediction,
    result: dict[str, object],
) -> None:
    import numpy as np

    from nnunetv2_strokesynth.io.atomic import write_text
    from nnunetv2_strokesynth.io.figure_file import save_pdf, save_png
    from nnunetv2_strokesynth.reporting.near_miss import near_miss
    from nnunetv2_strokesynth.reporting.patient_page import Page, draw_page
    from nnunetv2_strokesynth.reporting.scan_page import prediction_page

    title, model = "/".join(args.case.resolve().parts[-2:]), "/".join(args.model.parts[-2:])
    html = prediction_page(title, study, prepared, prediction, model=model, result=result)
    write_text(folder / "report.html", html)
    voxel_ml = float(np.prod(study.geometry.spacing_zyx_mm)) / 1000
    missed = near_miss(prediction.lesion, prediction.probability, voxel_ml)
    lines = [
        f"Predicted lesion: {result['lesion_ml']:.1f} mL of {result['brain_ml']:.0f} mL brain in "
        "the scan",
        *([missed.sentence] if missed else []),
        f"Model: {model}",
        result["disclaimer"],
    ]
    page = Page(
        title,
        lines,
        [note for note in prepared.notes if note not in prepared.warnings],
        study.orientation_known,
        prepared.warnings,
    )
    figure = draw_page(page, prepared, prediction, study.geometry, study.times_s)
    save_png(figure, folder / "report.png")
    if args.pdf:
        save_pdf(figure, folder / "report.pdf")
