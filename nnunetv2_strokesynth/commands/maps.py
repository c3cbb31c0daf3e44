"""``strokesynth maps``: perfusion maps of a raw CT perfusion series."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from nnunetv2_strokesynth.channels import DWI, PRESETS
from nnunetv2_strokesynth.commands.next_step import Words, say_next
from nnunetv2_strokesynth.commands.patients import (
    add_dicom_option,
    add_scan_options,
    refuse_options_of_one_scan,
    run_patients,
)
from nnunetv2_strokesynth.commands.progress import frames_shown
from nnunetv2_strokesynth.commands.trained_models import device_option, newest_model

if TYPE_CHECKING:
    from nnunetv2_strokesynth.ctp.compute_maps import ComputedMaps
    from nnunetv2_strokesynth.io.placement import Reference

EXAMPLE = "strokesynth maps ctp.nii.gz -o maps --frame-s 1.5"

PICTURE, PAGE = "vessels.png", "report.html"
_DPI = 110

logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "ctp",
        type=Path,
        metavar="SCAN",
        help="the series in HU: a folder of DICOM or NIfTI files, a 4-D NIfTI file, or a folder of "
        "patients",
    )
    add("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for the maps")
    add_scan_options(parser)
    add(
        "--no-aif-scaling",
        action="store_true",
        help="leave the artery's curve as measured: no correction for partial volume by the vein",
    )
    add(
        "--method",
        choices=("bayes", "svd", "tikhonov"),
        default="bayes",
        help="how curves become maps: a Bayesian fit of residues, with Tmax by Tikhonov's filter "
        "(default; for thresholds), the truncated block-circulant SVD as it is (what networks "
        "read), or Tikhonov's filter corrected for a single transit time",
    )
    add_dicom_option(parser)
    add("--overwrite", action="store_true", help="replace maps that this command wrote")


def run(args: argparse.Namespace) -> int | None:
    """Check the input, compute the maps, write them, and say what was found."""
    from nnunetv2_strokesynth.ctp.map_files import RECORD
    from nnunetv2_strokesynth.inference.study import patient_folders

    folders = patient_folders(args.ctp)
    refuse_options_of_one_scan(args, folders)
    if folders:

        def one(source: Path, output: Path) -> None:
            _compute(args, source, output)

        settings = {"method": args.method}
        keep = {"record": RECORD, "overwrite": args.overwrite, "settings": settings}
        return run_patients(folders, args.output, one=one, **keep)
    _compute(args, args.ctp, args.output)
    say_next(next_command(args))
    return None


def _compute(args: argparse.Namespace, source: Path, output: Path) -> None:
    """The maps of one scan."""
    from nnunetv2_strokesynth.ctp.check_computed import check_computed
    from nnunetv2_strokesynth.ctp.map_files import RECORD, measure_computed, write_maps
    from nnunetv2_strokesynth.ctp.plausibility.finding import settle
    from nnunetv2_strokesynth.ctp.unusable_voxels import check_unusable, series_unusable
    from nnunetv2_strokesynth.inference.dicom_result import check_dicom_possible, write_dicom
    from nnunetv2_strokesynth.inference.scan_maps import maps_of_study
    from nnunetv2_strokesynth.inference.study import brain_of_file, find_study
    from nnunetv2_strokesynth.io.output_folder import refuse_existing_folder, result_folder
    from nnunetv2_strokesynth.io.series import unusable_voxels

    guard = {"overwrite": args.overwrite, "is_ours": _is_ours, "record": RECORD}
    refuse_existing_folder(output, **guard)
    study = find_study(source, series_uid=args.series, frame_s=args.frame_s, series_only=True)
    if args.dicom:
        check_dicom_possible(study)
    brain, notes = brain_of_file(args.brain_mask, study)
    with frames_shown() as watch:
        computed = maps_of_study(
            study,
            brain=brain,
            aif_at=args.aif and tuple(args.aif),
            vof_at=args.vof and tuple(args.vof),
            scale_aif=not args.no_aif_scaling,
            method=args.method,
            correct_motion=not args.no_motion_correction,
            watch=watch,
            second_artery=True,
        )
    said = check_unusable(series_unusable(unusable_voxels(study.map_series)), computed.brain)
    doubts = settle(check_computed(computed, study.geometry.spacing_zyx_mm))
    computed = computed._replace(warnings=[*study.doubts, *computed.warnings, *said, *doubts])
    notes = [note for note in (*study.notes, *notes) if note not in study.doubts]
    with result_folder(output, **guard) as folder:
        record = write_maps(folder, computed, source, study.reference, study.nifti, notes=notes)
        _write_picture(folder, computed, source, study.reference)
        if args.dicom:
            numbers = measure_computed(computed, study.reference)
            write_dicom(folder, study, numbers, picture=folder / PICTURE)
        _write_page(folder, computed, source, study.reference, record=record, notes=notes)
    for note in notes:
        logger.info("%s", note)
    _report(output, computed)


def _is_ours(name: str) -> bool:
    from nnunetv2_strokesynth.ctp.map_files import FILES

    return name in FILES or name in (PICTURE, PAGE, "dicom")


def _write_picture(
    folder: Path, computed: ComputedMaps, source: Path, reference: Reference
) -> None:
    from nnunetv2_strokesynth.io.figure_file import save_png
    from nnunetv2_strokesynth.reporting.perfusion_figure import draw_perfusion

    figure = draw_perfusion(computed, reference, title=source.name)
    save_png(figure, folder / PICTURE, dpi=_DPI)


def _write_page(
    folder: Path,
    computed: ComputedMaps,
    source: Path,
    reference: Reference,
    *,
    record: dict[str, object],
    notes: list[str],
) -> None:
    from nnunetv2_strokesynth.io.atomic import write_text
    from nnunetv2_strokesynth.reporting.scan_page import maps_page

    page = maps_page(
        source.name,
        computed,
        reference.grid.geometry.spacing_zyx_mm,
        sides_known=reference.stored.known,
        result=record,
        notes=notes,
    )
    write_text(folder / PAGE, page)


def _report(folder: Path, computed: ComputedMaps) -> None:
    row = computed.row
    logger.info(
        "artery at %s (peak %.0f HU at %.1f s), scaled by %.2f; brain %.0f mL",
        row["aif_voxels_xyz"].split(";")[0],
        row["aif_peak_hu"],
        row["aif_peak_s"],
        row["aif_scale"],
        row["brain_ml"],
    )
    for warning in computed.warnings:
        logger.warning("warning: %s", warning)
    logger.info("wrote %s; look at %s first. For research only", folder, folder / PAGE)


def next_command(args: argparse.Namespace) -> Words:
    """Predict the lesion by the model trained last; without a model, how to come by one.

    The series is given, and not the maps: a model reads its frames, too, and computes the maps in
    the same way.
    """
    readable = [preset.names for preset in PRESETS.values() if preset.made_from_ctp]
    model = newest_model([names for names in readable if DWI not in names])
    if model is None:
        return ["strokesynth", "convert", "--help"]
    output = args.output.with_name(f"{args.output.name}_lesion")
    words: list[object] = ["strokesynth", "predict", args.ctp, "-m", model, "-o", output]
    for option, value in (("--aif", args.aif), ("--vof", args.vof)):
        words += [option, *value] if value else []
    for option, value in (("--frame-s", args.frame_s), ("--series", args.series)):
        words += [option, value] if value else []
    words += ["--no-motion-correction"] if args.no_motion_correction else []
    return [*words, *device_option(None)]
