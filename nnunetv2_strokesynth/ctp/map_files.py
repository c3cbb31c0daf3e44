"""Maps as NIfTI files: those that are given, and those that are computed, with their record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np

from nnunetv2_strokesynth.ctp.background import clear_background, name_backgrounds
from nnunetv2_strokesynth.ctp.compute_maps import ComputedMaps
from nnunetv2_strokesynth.ctp.scan_numbers import (
    DISCLAIMER,
    ScanNumbers,
    measure_scan,
    provenance,
)
from nnunetv2_strokesynth.ctp.time_steps import TIME_UNITS
from nnunetv2_strokesynth.ctp.unusable_voxels import Unusable, clear_unusable
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.nifti import raw_header, read_volume, write_volume
from nnunetv2_strokesynth.io.placement import Placement, Reference

RECORD = "maps.json"
UNITS = {"cbf": "mL/100 g/min", "cbv": "mL/100 g", "mtt": "s", "tmax": "s"}
FILES = (*(f"{name}.nii.gz" for name in (*UNITS, "brain_mask", "baseline_ct")), RECORD)


class ReadMaps(NamedTuple):
    """Given maps on the voxels of a scan, without what is no measurement.

    Attributes:
        maps: (M, Z, Y, X) float32; 0 where nothing was computed or measured.
        backgrounds: the constants that were background, as text; empty if all were 0.
        unusable: the voxels that held no measurement, of each map that has some.
    """

    maps: np.ndarray
    backgrounds: str
    unusable: list[Unusable]


def read_maps(placements: Mapping[str, Placement]) -> ReadMaps:
    """Maps on the voxels of a reference.

    Their backgrounds become 0, see ``clear_background``, and then what holds no measurement, see
    ``clear_unusable``. A map that has to be resampled is cleared first, because neither must be
    mixed with the values beside it.

    Args:
        placements: name of the map, such as ``MTT`` -> its file.

    Raises:
        ValueError: a map cannot be read, or holds no measurement at all.
    """
    volumes, unusable = [], []
    for name, placed in placements.items():
        volume = read_volume(placed.path)
        if placed.moved is not None:
            volume, found = clear_unusable(name, clear_background([volume]).maps[0])
            unusable += [on_reference(one, placed) for one in found]
        volumes.append(placed.image(volume))
    cleared = clear_background(volumes)
    del volumes
    for index, name in enumerate(placements):
        cleared.maps[index], found = clear_unusable(name, cleared.maps[index])
        unusable += found
    backgrounds = name_backgrounds(list(placements), cleared.constants)
    return ReadMaps(np.stack(cleared.maps), backgrounds, unusable)


def on_reference(found: Unusable, placed: Placement) -> Unusable:
    """The same voxels where they lie on the reference, as shares of its voxels."""
    return found._replace(where=placed.image(found.where.astype(np.float32)))


def write_maps(
    folder: Path,
    computed: ComputedMaps,
    source: Path,
    reference: Reference,
    nifti: Path | None,
    *,
    notes: Sequence[str] = (),
) -> dict[str, object]:
    """Write maps, mask, plain CT and record into an existing folder; returns the record.

    Args:
        folder: where ``FILES`` are written.
        computed: from ``compute_maps``.
        source: file or folder of the series.
        reference: its voxels, as stored and in the order in which the maps were computed.
        nifti: the 4-D NIfTI file whose header is kept; None to write the reference's geometry.
        notes: what was read and done; the record has them after the warnings.
    """
    header = None if nifti is None else _volume_header(nifti)
    volumes = {name: getattr(computed.maps, name) for name in UNITS}
    volumes["brain_mask"] = computed.brain.astype(np.uint8)
    volumes["baseline_ct"] = computed.baseline_hu
    for name, volume in volumes.items():
        stored = reference.reorientation.undo(volume)
        if header is None:
            write_volume(folder / f"{name}.nii.gz", stored, reference.stored.geometry)
        else:
            _write_volume(folder / f"{name}.nii.gz", stored, header)
    record = {**_record(computed, source, reference), "notes": [*computed.warnings, *notes]}
    write_json(folder / RECORD, record)
    return record


def measure_computed(computed: ComputedMaps, reference: Reference) -> ScanNumbers:
    """Midline and perfusion volumes of computed maps."""
    return measure_scan(
        computed.threshold_maps,
        computed.baseline_hu,
        computed.brain,
        spacing_zyx_mm=reference.grid.geometry.spacing_zyx_mm,
        known=reference.stored.known,
    )


def _record(computed: ComputedMaps, source: Path, reference: Reference) -> dict[str, object]:
    numbers = measure_computed(computed, reference)
    return {
        **provenance(),
        "source": str(source),
        "orientation": reference.stored.order,
        "units": {**UNITS, "baseline_ct": "HU"},
        **computed.row,
        "frame_times_s": [round(float(time), 3) for time in computed.times_s],
        "perfusion": numbers.record(),
        "other_artery": numbers.by_other_artery(computed.second),
        "warnings": computed.warnings,
        "disclaimer": DISCLAIMER,
    }


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
