"""Maps as NIfTI files: those that are given, and those that are computed, with their record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np

from nnunetv2_strokesynth.ctp.background import clear_background
from nnunetv2_strokesynth.ctp.compute_maps import ComputedMaps
from nnunetv2_strokesynth.ctp.time_steps import TIME_UNITS
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.nifti import raw_header, read_volume, require_finite
from nnunetv2_strokesynth.io.placement import Placement, Reference

RECORD = "maps.json"
UNITS = {"cbf": "mL/100 g/min", "cbv": "mL/100 g", "mtt": "s", "tmax": "s"}
FILES = (*(f"{name}.nii.gz" for name in (*UNITS, "brain_mask", "baseline_ct")), RECORD)


def read_maps(placements: Sequence[Placement]) -> list[np.ndarray]:
    """Maps on the voxels of a reference, float32 (Z, Y, X) each.

    Their background is as stored, and may be NaN. Where a map has to be resampled it is cleared
    first, because it must not be mixed with the values beside it.
    """
    volumes = []
    for placed in placements:
        volume = read_volume(placed.path)
        if placed.moved is not None:
            volume = require_finite(placed.path.name, clear_background([volume]).maps[0])
        volumes.append(placed.image(volume))
    return volumes


def write_maps(folder: Path, computed: ComputedMaps, source: Path, reference: Reference) -> None:
    """Write maps, mask, plain CT and record into an existing folder.

    Args:
        folder: where ``FILES`` are written.
        computed: from ``compute_maps``.
        source: the 4-D NIfTI file of the series; its geometry is kept.
        reference: its voxels, as stored and in the order in which the maps were computed.
    """
    header = _volume_header(source)
    volumes = {name: getattr(computed.maps, name) for name in UNITS}
    volumes["brain_mask"] = computed.brain.astype(np.uint8)
    volumes["baseline_ct"] = computed.baseline_hu
    for name, volume in volumes.items():
        stored = reference.reorientation.undo(volume)
        _write_volume(folder / f"{name}.nii.gz", stored, header)
    record = {
        "source": str(source),
        "orientation": reference.stored.order,
        "units": {**UNITS, "baseline_ct": "HU"},
        **computed.row,
        "warnings": computed.warnings,
    }
    write_json(folder / RECORD, record)


def _volume_header(source: Path) -> nibabel.Nifti1Header:
    """The header of a 3-D volume in the place of the series."""
    header = raw_header(source)
    header["dim"] = (3, *header["dim"][1:4], 1, 1, 1, 1)
    header["pixdim"][4:] = 0
    header["xyzt_units"] = int(header["xyzt_units"]) & ~TIME_UNITS
    header["toffset"] = header["slice_duration"] = header["vox_offset"] = 0
    header["cal_min"] = header["cal_max"] = 0
    header["magic"] = b"n+1"
    header["descrip"] = b"strokesynth maps, research only"
    return header


def _write_volume(path: Path, volume: np.ndarray, header: nibabel.Nifti1Header) -> None:
    image = nibabel.Nifti1Image(np.ascontiguousarray(volume.T), None, header)
    image.set_data_dtype(volume.dtype)
    nibabel.save(image, path)
