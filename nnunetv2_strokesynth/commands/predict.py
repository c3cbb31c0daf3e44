"""``strokesynth predict``: one patient's CT perfusion scan to a lesion, a volume and a picture.

For many scans, convert them and use ``nnUNetv2_predict``; the steps are the same.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.channels import (
    CT,
    PERFUSION_MAPS,
)
from nnunetv2_strokesynth.commands.synthesize import (
    add_model_options,
    load_predictor,
    model_options,
)
from nnunetv2_strokesynth.inference.patient import (
    Prediction,
    Prepared,
    model_preset,
    predict_patient,
    prepare,
)
from nnunetv2_strokesynth.inference.study import (
    Study,
    find_study,
)
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.nifti import (
    Geometry,
    write_volume,
)
from nnunetv2_strokesynth.io.output_folder import (
    refuse_existing_folder,
    result_folder,
)

HELP = "one patient's CT perfusion scan (NIfTI or DICOM): lesion, volume and a picture"
EXAMPLE = (
    "strokesynth predict patient_7/ -o patient_7_lesion "
    "-m $nnUNet_results/Dataset018_ISLES2018/StrokeSynthTrainer__nnUNetPlans__2d"
)
RESULT_FILE = "result.json"
_WRITTEN = frozenset(
    "lesion.nii.gz probability.nii.gz pseudo_dwi.nii.gz brain_mask.nii.gz inputs report.png "
    "report.pdf".split()
) | {RESULT_FILE}
_DISCLAIMER = "Research only. Not a medical device; not for diagnosis or treatment."
logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to read and write; the model's options are those of ``nnUNetv2_predict``."""
    add = parser.add_argument
    add("case", metavar="CASE", type=Path, help="folder of NIfTI or DICOM files, or a 4-D NIfTI")
    add_model_options(parser)
    add("-o", dest="output", type=Path, required=True, help="output folder")
    add("--series", metavar="UID", help="SeriesInstanceUID, where DICOM files hold several series")
    add(
        "--frame-s",
        metavar="S",
        type=float,
        help="seconds between frames, where the files do not say or say it wrongly",
    )
    for name, vessel in (("--aif", "artery"), ("--vof", "vein")):
        add(
            name,
            nargs=3,
            type=int,
            metavar=("X", "Y", "Z"),
            help=f"voxel of the {vessel}, counted from 0, where maps are computed",
        )
    add("--pdf", action="store_true", help="the picture as PDF, too")
    add("--overwrite", action="store_true", help="replace what this command wrote to the folder")


def run(args: argparse.Namespace) -> None:
    """Find the images, compute what is missing, predict, and write everything at once."""
    options = model_options(args)
    refuse_existing_folder(args.output, args.overwrite, _is_ours, record=RESULT_FILE)
    study = find_study(args.case, series_uid=args.series, frame_s=args.frame_s)
    predictor = load_predictor(args.model, **options)
    preset = model_preset(predictor.dataset_json, args.model)
    prepared = prepare(
        study,
        preset,
        brain_mask=predictor.dataset_json.get("brain_mask", True),
        aif_at=args.aif and tuple(args.aif),
        vof_at=args.vof and tuple(args.vof),
    )
    for note in prepared.notes:
        logger.info("%s", note)
    spacing = study.geometry.spacing_zyx_mm
    prediction = predict_patient(predictor, prepared.made.channels, spacing)
    result = _result(args, study, prepared, prediction)
    with result_folder(
        args.output, overwrite=args.overwrite, is_ours=_is_ours, record=RESULT_FILE
    ) as folder:
        _write_images(folder, prepared, prediction, study.geometry)
        _write_page(folder, args, study, prepared, prediction, result)
        write_json(folder / RESULT_FILE, result)
    logger.info("lesion: %.1f mL; see %s", result["lesion_ml"], args.output / "report.png")


def _is_ours(name: str) -> bool:
    return name in _WRITTEN


def _result(
    args: argparse.Namespace, study: Study, prepared: Prepared, prediction: Prediction
) -> dict[str, object]:
    """Content of ``result.json``; nothing in it comes from tags that name a patient."""
    voxel_ml = float(np.prod(study.geometry.spacing_zyx_mm)) / 1000
    return {
        "case": str(args.case),
        "model": str(args.model),
        "folds": args.folds or "all trained",
        "checkpoint": args.checkpoint,
        "lesion_ml": round(float(prediction.lesion.sum()) * voxel_ml, 3),
        "brain_ml": round(float(prepared.made.mask.sum()) * voxel_ml, 1),
        "highest_probability": round(float(prediction.probability.max()), 4),
        "shape_zyx": list(study.shape_zyx),
        "spacing_zyx_mm": [round(size, 4) for size in study.geometry.spacing_zyx_mm],
        "given": sorted(study.files),
        "maps": prepared.computed.row if prepared.computed else "given",
        **prepared.made.row,
        "notes": list(prepared.notes),
        "disclaimer": _DISCLAIMER,
    }


def _write_images(
    folder: Path, prepared: Prepared, prediction: Prediction, geometry: Geometry
) -> None:
    volumes = {
        "lesion": prediction.lesion.astype(np.uint8),
        "probability": prediction.probability,
        "pseudo_dwi": prediction.pseudo_dwi,
        "brain_mask": prepared.made.mask.astype(np.uint8),
    }
    if prepared.computed is not None:
        maps = zip(PERFUSION_MAPS, prepared.images.maps, strict=True)
        volumes |= {f"inputs/{name.lower()}": volume for name, volume in maps}
        volumes[f"inputs/{CT.lower()}"] = prepared.images.ct
    for name, volume in volumes.items():
        if volume is not None:
            write_volume(folder / f"{name}.nii.gz", volume, geometry)


def _write_page(
    folder: Path,
    args: argparse.Namespace,
    study: Study,
    prepared: Prepared,
    prediction: Prediction,
    result: dict[str, object],
) -> None:
    # Here, because matplotlib takes longer to import than everything else.
    from nnunetv2_strokesynth.reporting.patient_page import (
        Page,
        draw_page,
    )

    lines = [
        f"Predicted lesion: {result['lesion_ml']:.1f} mL of {result['brain_ml']:.0f} mL brain in "
        "the scan",
        f"Model: {args.model.parent.name}/{args.model.name}",
        _DISCLAIMER,
    ]
    page = Page(
        "/".join(args.case.resolve().parts[-2:]), lines, prepared.notes, study.orientation_known
    )
    figure = draw_page(page, prepared, prediction, study.geometry, study.times_s)
    figure.savefig(folder / "report.png", dpi=150)
    if args.pdf:
        # Without a date, so that the same input gives the same bytes.
        figure.savefig(folder / "report.pdf", metadata={"CreationDate": None})
