"""What is kept of one patient's prediction: ``result.json`` and the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.channels import CT, PERFUSION_MAPS
from nnunetv2_strokesynth.ctp.scan_numbers import DISCLAIMER, ScanNumbers, provenance
from nnunetv2_strokesynth.inference.calibration import Calibration
from nnunetv2_strokesynth.inference.patient import Prediction, Prepared
from nnunetv2_strokesynth.inference.result_numbers import (
    answer_masks,
    describe_answers,
    describe_sensitivity,
    interval_of,
    measure_patient,
)
from nnunetv2_strokesynth.inference.study import Study
from nnunetv2_strokesynth.io.nifti import write_volume
from nnunetv2_strokesynth.io.placement import Reference

RESULT_FILE = "result.json"
# Files and folders in the output folder.
OUTPUTS = frozenset(
    "lesion.nii.gz probability.nii.gz pseudo_dwi.nii.gz brain_mask.nii.gz inputs report.html "
    "report.png report.pdf dicom".split()
) | {RESULT_FILE}


def describe_result(
    about: dict[str, object],
    study: Study,
    prepared: Prepared,
    prediction: Prediction,
    *,
    numbers: ScanNumbers | None = None,
    calibration: Calibration | None = None,
) -> dict[str, object]:
    """Content of ``result.json``; nothing in it comes from tags that name a patient.

    Args:
        about: what was asked for; it comes first.
        study, prepared, prediction: of the patient.
        numbers: of the scan, see ``measure_patient``; None to measure them.
        calibration: of the model; without one there is no interval.
    """
    stored, spacing = study.reference.stored, study.geometry.spacing_zyx_mm
    numbers = numbers or measure_patient(prepared, spacing, known=study.orientation_known)
    lesion_ml = numbers.lesion_ml(prediction.lesion)
    masks = answer_masks(numbers, prediction, calibration)
    times_s = study.times_s
    return {
        **provenance(),
        **about,
        "lesion_ml": lesion_ml,
        "lesion_interval": interval_of(lesion_ml, calibration, str(about.get("checkpoint"))),
        "lesion_side": numbers.side(prediction.lesion),
        "brain_ml": numbers.ml(prepared.made.mask),
        "highest_probability": round(float(prediction.probability.max()), 4),
        "shape_zyx": list(stored.shape_zyx),
        "spacing_zyx_mm": [round(size, 4) for size in stored.geometry.spacing_zyx_mm],
        "orientation": stored.order,
        "given": sorted(study.files),
        "maps": prepared.computed.row if prepared.computed else "given",
        "frame_times_s": None if times_s is None else [round(float(t), 3) for t in times_s],
        "perfusion": numbers.record(),
        **describe_answers(numbers, masks, calibration),
        "sensitivity": describe_sensitivity(numbers, prepared, prediction),
        **prepared.made.row,
        "warnings": list(prepared.warnings),
        "notes": list(prepared.notes),
        "disclaimer": DISCLAIMER,
    }


def write_images(
    folder: Path, prepared: Prepared, prediction: Prediction, reference: Reference
) -> None:
    """Write lesion, probability, pseudo-DWI and brain mask; computed images go to ``inputs/``.

    All lie on the voxels of the series, in its own order of axes.
    """
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
            stored = reference.reorientation.undo(volume)
            write_volume(folder / f"{name}.nii.gz", stored, reference.stored.geometry)
