"""``strokesynth predict``: one patient's CT perfusion scan to a lesion, a volume and a picture.

A folder of patients gives a folder of results each, and one table.
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
from nnunetv2_strokesynth.commands.patients import (
    add_dicom_option,
    add_scan_options,
    refuse_options_of_one_scan,
    run_patients,
)
from nnunetv2_strokesynth.commands.progress import frames_shown
from nnunetv2_strokesynth.commands.submit_options import (
    add_submit_options,
    check_options,
    command_again,
    is_submitted,
    submit_jobs,
)

if TYPE_CHECKING:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

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
    add(
        "case",
        metavar="CASE",
        type=Path,
        help="folder of NIfTI or DICOM files, a 4-D NIfTI file, or a folder of patients",
    )
    add_model_options(parser)
    add("-o", dest="output", type=Path, required=True, help="output folder")
    add_scan_options(parser)
    add_dicom_option(parser)
    add("--pdf", action="store_true", help="the picture as PDF, too")
    add("--overwrite", action="store_true", help="replace what this command wrote to the folder")
    add_submit_options(parser, unit="patient of a folder")


def run(args: argparse.Namespace) -> int | None:
    """Load the model, then find, compute, predict and write each scan."""
    from nnunetv2_strokesynth.inference.model_files import check_model_files

    if not is_submitted(args):
        check_model_files(args.model, args.folds, args.checkpoint)  # before PyTorch is imported

    from nnunetv2_strokesynth.inference.quick_imports import import_nnunet

    import_nnunet()

    from nnunetv2_strokesynth.inference import patient_result
    from nnunetv2_strokesynth.inference.predictor import load_predictor
    from nnunetv2_strokesynth.inference.study import patient_folders
    from nnunetv2_strokesynth.io.output_folder import refuse_existing_folder

    folders = patient_folders(args.case)
    refuse_options_of_one_scan(args, folders)
    record = patient_result.RESULT_FILE
    if is_submitted(args):
        _submit(args, folders, record)
        return None
    options = model_options(args)
    if folders:
        predictor = load_predictor(args.model, **options)

        def one(source: Path, output: Path) -> None:
            _predict(args, predictor, _find(args, source), output)

        keep = {"record": record, "overwrite": args.overwrite, "settings": _of_model(args)}
        return run_patients(folders, args.output, one=one, **keep)
    refuse_existing_folder(args.output, **_guard(args))  # before what takes long
    study = _find(args, args.case)
    logger.info("loading the model ...")
    _predict(args, load_predictor(args.model, **options), study, args.output)
    say_next(open_page(args.output / "report.html"))
    return None


def _submit(args: argparse.Namespace, folders: list[Path], record: str) -> None:
    """A job for each patient that has no result; the last is this command, for the table."""
    from nnunetv2_strokesynth.reproduction.steps import Job, Step

    if not folders:
        raise ValueError(f"{args.case} is one scan; --submit is for a folder of patients")
    beside = args.output.with_name(f"{args.output.name}_jobs")  # the output is for patients only
    check_options(args, beside)
    jobs = []
    for folder in folders:
        result = args.output / folder.name
        if args.overwrite or not (result / record).is_file():
            own = argparse.Namespace(**{**vars(args), "case": folder, "output": result})
            words = command_again("predict", add_arguments, own)
            jobs.append(Job(folder.name, [Step(folder.name, words, {})], []))
    table = command_again("predict", add_arguments, args, without=["overwrite"])
    names = [job.name for job in jobs]
    jobs.append(Job("write_table", [Step("write_table", table, {})], names, anyway=True))
    submit_jobs(args, jobs, beside)


def _find(args: argparse.Namespace, source: Path) -> Study:
    from nnunetv2_strokesynth.inference.study import find_study

    return find_study(source, series_uid=args.series, frame_s=args.frame_s)


def _guard(args: argparse.Namespace) -> dict[str, object]:
    from nnunetv2_strokesynth.inference import patient_result

    is_ours, record = patient_result.OUTPUTS.__contains__, patient_result.RESULT_FILE
    return {"overwrite": args.overwrite, "is_ours": is_ours, "record": record}


def _predict(
    args: argparse.Namespace, predictor: nnUNetPredictor, study: Study, output: Path
) -> None:
    """Compute what one scan lacks, predict, and write everything at once."""
    from nnunetv2_strokesynth.inference import patient, patient_result
    from nnunetv2_strokesynth.inference.calibration import read_calibration
    from nnunetv2_strokesynth.inference.dicom_result import check_dicom_possible, write_dicom
    from nnunetv2_strokesynth.inference.model_files import check_model_files
    from nnunetv2_strokesynth.inference.result_numbers import measure_patient
    from nnunetv2_strokesynth.io.atomic import write_json
    from nnunetv2_strokesynth.io.output_folder import refuse_existing_folder, result_folder
    from nnunetv2_strokesynth.reporting.result_table import lesion_volume

    refuse_existing_folder(output, **_guard(args))
    if args.dicom:
        check_dicom_possible(study)
    calibration = read_calibration(args.model)
    prepared = _prepared(args, predictor, study)
    logger.info("predicting the lesion ...")
    spacing = study.geometry.spacing_zyx_mm
    folds = check_model_files(args.model, args.folds, args.checkpoint)
    prediction = patient.predict_patient(predictor, prepared.made.channels, spacing, folds=folds)
    prepared = _with_what_was_found(prepared, prediction)
    numbers = measure_patient(prepared, spacing, known=study.orientation_known)
    about = {"case": str(study.source), **_of_model(args)}
    result = patient_result.describe_result(
        about, study, prepared, prediction, numbers=numbers, calibration=calibration
    )
    with result_folder(output, **_guard(args)) as folder:
        patient_result.write_images(folder, prepared, prediction, study.reference)
        _write_page(folder, args, study, prepared, prediction, result)
        if args.dicom:
            picture = folder / "report.png"
            write_dicom(folder, study, numbers, picture=picture, lesion=prediction.lesion)
        write_json(folder / patient_result.RESULT_FILE, result)
    logger.info("lesion: %s; see %s", lesion_volume(result), output / "report.html")


def _prepared(args: argparse.Namespace, predictor: nnUNetPredictor, study: Study) -> Prepared:
    """The scan as the model reads it, with what is doubtful about scan and model; all is logged."""
    from nnunetv2_strokesynth.inference import patient
    from nnunetv2_strokesynth.inference.model_doubts import with_model_doubts
    from nnunetv2_strokesynth.inference.model_files import threshold_note
    from nnunetv2_strokesynth.inference.orientation_check import orientation_notes

    model, order = predictor.dataset_json, study.reference.stored.order
    study.notes.extend(orientation_notes(model, args.model, scan=study.series_name, order=order))
    with frames_shown() as watch:
        prepared = patient.prepare(
            study,
            patient.model_preset(model, args.model),
            brain_mask=model.get("brain_mask", True),
            brain_file=args.brain_mask,
            aif_at=args.aif and tuple(args.aif),
            vof_at=args.vof and tuple(args.vof),
            correct_motion=not args.no_motion_correction,
            watch=watch,
        )
    prepared = with_model_doubts(prepared, model)
    uncalibrated = threshold_note(args.model, args.checkpoint)
    prepared = patient.with_warnings(prepared, [uncalibrated] if uncalibrated else [])
    for note in prepared.notes:
        if note in prepared.warnings:
            logger.warning("warning: %s", note)
        else:
            logger.info("%s", note)
    return prepared


def _with_what_was_found(prepared: Prepared, prediction: Prediction) -> Prepared:
    """The scan with what is doubtful about its prediction, which is logged, too."""
    from nnunetv2_strokesynth.inference import patient

    if prediction.caution:
        note = f"no pseudo-DWI: {prediction.caution}"
        prepared = prepared._replace(notes=[*prepared.notes, note])
        logger.warning("%s", note)
    doubts = patient.doubts_about(prediction, prepared.made.mask)
    for warning in doubts:
        logger.warning("warning: %s", warning)
    return patient.with_warnings(prepared, doubts)


def _of_model(args: argparse.Namespace) -> dict[str, object]:
    return {
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
    from nnunetv2_strokesynth.reporting.result_table import lesion_volume
    from nnunetv2_strokesynth.reporting.scan_page import prediction_page

    title, model = "/".join(study.source.resolve().parts[-2:]), "/".join(args.model.parts[-2:])
    html = prediction_page(title, study, prepared, prediction, model=model, result=result)
    write_text(folder / "report.html", html)
    voxel_ml = float(np.prod(study.geometry.spacing_zyx_mm)) / 1000
    missed = near_miss(prediction.lesion, prediction.probability, voxel_ml)
    lines = [
        f"Predicted lesion: {lesion_volume(result)} of {result['brain_ml']:.0f} mL brain in the "
        "scan",
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
