"""Computed maps as NIfTI files, in the geometry of the series they come from, and their record."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from nnunetv2_strokesynth.ctp.compute_maps import ComputedMaps
from nnunetv2_strokesynth.ctp.time_steps import TIME_UNITS
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.nifti import raw_header

RECORD = "maps.json"
UNITS = {"cbf": "mL/100 g/min", "cbv": "mL/100 g", "mtt": "s", "tmax": "s"}
FILES = (*(f"{name}.nii.gz" for name in (*UNITS, "brain_mask", "baseline_ct")), RECORD)


def write_maps(folder: Path, computed: ComputedMaps, source: Path) -> None:
    """Write maps, mask, plain CT and record into an existing folder.

    Args:
        folder: where ``FILES`` are written.
        computed: from ``compute_maps``.
        source: the 4-D NIfTI file of the series; its geometry is kept.
    """
    header = _volume_header(source)
    for name in UNITS:
        _write_volume(folder / f"{name}.nii.gz", getattr(computed.maps, name), header)
    _write_volume(folder / "brain_mask.nii.gz", computed.brain.astype(np.uint8), header)
    _write_volume(folder / "baseline_ct.nii.gz", computed.baseline_hu, header)
    record = {
        "source": str(source),
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
