"""The files of one case in ``nnUNet_raw``: images, label, target, and the record about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.channels import LESION
from nnunetv2_strokesynth.ctp.plausibility.brain import check_lesion
from nnunetv2_strokesynth.ctp.plausibility.finding import label, settle
from nnunetv2_strokesynth.dataset_conversion.job import (
    CaseJob,
    input_fingerprint,
)
from nnunetv2_strokesynth.dataset_conversion.placed_scan import PlacedScan
from nnunetv2_strokesynth.io.nifti import (
    Geometry,
    write_volume,
)

LESION_OUTSIDE, MUCH_LESION_OUTSIDE = 0.02, 0.1
"""Parts of the lesion's volume. A lesion that was drawn on another image crosses the brain's edge
by a little; more than a tenth outside means a wrong mask or images that do not fit together."""


class CaseVolumes(NamedTuple):
    """What is written of a case.

    Attributes:
        channels: C of (Z, Y, X), the images.
        mask: (Z, Y, X), bool, the brain.
        lesion: (Z, Y, X), bool; None for a case without one.
        geometry: where the voxels lie.
        target: (Z, Y, X), the DWI to be synthesised; None for a case without one.
    """

    channels: Sequence[np.ndarray]
    mask: np.ndarray
    lesion: np.ndarray | None
    geometry: Geometry
    target: np.ndarray | None = None


def write_case(
    job: CaseJob,
    placed: PlacedScan,
    volumes: CaseVolumes,
    row: dict[str, object] | None = None,
) -> dict:
    """Mask and write a case's images, label and target; a rehearsal writes nothing.

    Args:
        job: the case.
        placed: the scan that was read.
        volumes: what is written. Images and target become 0 outside the mask if the settings say
            so; the label never does.
        row: further cells of the case's line in the report.

    Returns:
        The case's record, see ``job.convert_case``.
    """
    outputs = [] if job.is_rehearsal else _write_volumes(job, volumes)
    voxel_ml = float(np.prod(volumes.geometry.spacing_zyx_mm)) / 1000
    measured = _measured_ml(volumes, voxel_ml)
    warnings = [f"{job.scan.case_id}: {note}" for note in placed.notes]
    if volumes.lesion is not None:
        image = label("lesion", job.scan.files[LESION].name)
        doubts = settle(check_lesion(image, volumes.lesion, volumes.mask))
        warnings += [f"{job.scan.case_id}: {doubt}" for doubt in doubts]
        if job.settings.brain_mask:
            warnings += _outside_warning(job.scan.case_id, measured)
    return {
        "case_id": job.scan.case_id,
        "settings": job.settings.of_voxels,
        "inputs": input_fingerprint(job.scan),
        "outputs": {p.relative_to(job.folder).as_posix(): p.stat().st_size for p in outputs},
        "row": {
            "orientation": placed.stored_order,
            "shape_zyx": list(volumes.mask.shape),
            "spacing_zyx_mm": [round(size, 6) for size in volumes.geometry.spacing_zyx_mm],
            **(row or {}),
            **{name: round(float(volume), 6) for name, volume in measured.items()},
        },
        "warnings": warnings,
    }


def _write_volumes(job: CaseJob, volumes: CaseVolumes) -> list[Path]:
    """Write images, target and label; returns their paths."""
    images = {job.output("images", f"_{i:04d}"): image for i, image in enumerate(volumes.channels)}
    if volumes.target is not None:
        images[job.output("targets")] = volumes.target
    for path, image in images.items():  # masked one by one, to save memory
        if job.settings.brain_mask:
            image = np.where(volumes.mask, image, np.float32(0))
        write_volume(path, image, volumes.geometry)
    outputs = list(images)
    if volumes.lesion is not None:
        outputs.append(job.output("labels"))
        write_volume(outputs[-1], volumes.lesion.astype(np.uint8), volumes.geometry)
    return outputs


def _measured_ml(volumes: CaseVolumes, voxel_ml: float) -> dict[str, float]:
    """Volume of the brain, and of the lesion inside and outside the brain, in mL."""
    mask, lesion = volumes.mask, volumes.lesion
    found = {"brain_volume_ml": mask.sum() * voxel_ml}
    if lesion is not None:
        found["lesion_volume_ml"] = lesion.sum() * voxel_ml
        found["lesion_outside_mask_ml"] = (lesion & ~mask).sum() * voxel_ml
    return found


def _outside_warning(case_id: str, measured: dict[str, float]) -> list[str]:
    outside, lesion = measured["lesion_outside_mask_ml"], measured["lesion_volume_ml"]
    if outside <= LESION_OUTSIDE * lesion:
        return []
    warnings = [
        f"{case_id}: {outside:.2f} of {lesion:.2f} mL of lesion lie outside the brain mask, "
        "where the images are 0 unless --no-brain-mask is given; the label keeps them"
    ]
    if outside > MUCH_LESION_OUTSIDE * lesion:
        warnings.append(
            f"{case_id}: {outside / lesion:.0%} OF THE LESION LIES WHERE THE NETWORK SEES NOTHING. "
            "Look at this case before training: do the maps' background, the position of lesion "
            "and CT, and the brain's volume fit? --brain-masks takes masks from elsewhere"
        )
    return warnings
