"""One MRI scan of a data set: its maps are read, checked and written as channels."""

from __future__ import annotations

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.ctp.brain_mask import brain_of_maps
from nnunetv2_strokesynth.ctp.plausibility.brain import check_brain
from nnunetv2_strokesynth.ctp.plausibility.finding import settle
from nnunetv2_strokesynth.ctp.plausibility.perfusion_maps import check_maps
from nnunetv2_strokesynth.ctp.unusable_voxels import check_unusable, counted
from nnunetv2_strokesynth.dataset_conversion.case_files import (
    CaseVolumes,
    write_case,
)
from nnunetv2_strokesynth.dataset_conversion.job import CaseJob
from nnunetv2_strokesynth.dataset_conversion.placed_scan import PlacedScan


def convert_mri(job: CaseJob) -> dict:
    """Read an MRI scan and write its case.

    The brain is where any of the preset's maps is not background, closed and hole-filled. It is
    the same whichever of these maps are written.

    Returns:
        The record, see ``job.convert_case``.

    Raises:
        ValueError: the voxels cannot be used.

    Source: Gomez 2023, section 5.1, for the maps. The mask is our choice: the release is
    skull-stripped and has none.
    """
    placed = PlacedScan(job.scan)
    preset = PRESETS[job.settings.preset]
    maps, backgrounds = placed.maps(preset.names)
    mask = brain_of_maps(maps)
    if not mask.any():
        raise ValueError(
            f"{', '.join(preset.names)} hold nothing but background, so there is no brain"
        )
    files = {name: job.scan.files[name].name for name in preset.names}
    doubts = settle(
        [
            *check_brain(mask, placed.geometry.spacing_zyx_mm),
            *check_maps(preset.names, maps, mask, files=files, units_known=False),
        ]
    )
    channels = maps[preset.index(*(job.settings.channels or preset.names))]
    placed.notes += check_unusable(placed.unusable, mask)
    row: dict[str, object] = {
        "map_background": backgrounds,
        "unusable_voxels": counted(placed.unusable),
    }
    volumes = CaseVolumes(list(channels), mask, placed.lesion(), placed.geometry)
    record = write_case(job, placed, volumes, row)
    record["warnings"] += [f"{job.scan.case_id}: {doubt}" for doubt in doubts]
    if mask.all():
        record["warnings"].append(
            f"{job.scan.case_id}: no map has a background, so the whole image counts as brain"
        )
    return record
