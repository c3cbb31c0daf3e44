"""One CT perfusion scan of a data set: read, checked, turned into channels and written."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.channels import (
    CT,
    CTP,
    DWI,
    LESION,
    PERFUSION_MAPS,
    PRESETS,
)
from nnunetv2_strokesynth.ctp.compute_maps import compute_maps
from nnunetv2_strokesynth.ctp.input_channels import (
    CtpImages,
    make_channels,
)
from nnunetv2_strokesynth.ctp.time_steps import frame_s_of
from nnunetv2_strokesynth.dataset_conversion.downsampling import (
    block_majority,
    block_mean,
    coarser,
)
from nnunetv2_strokesynth.dataset_conversion.job import (
    CaseJob,
    read_lesion,
    write_case,
)
from nnunetv2_strokesynth.dataset_conversion.scans import read_headers
from nnunetv2_strokesynth.io.nifti import (
    Geometry,
    read_geometry,
    read_header,
    read_volume,
    require_finite,
)
from nnunetv2_strokesynth.io.series import NiftiSeries


def convert_ctp(job: CaseJob) -> dict:
    """Read a CT perfusion scan and write its case.

    The series is walked through frame by frame and never in memory as a whole: the peak is about
    twice the channels' size and a few frames.

    Returns:
        The record, see ``job.convert_case``, with ``curve``, q(t), for the plots.

    Raises:
        ValueError: the voxels cannot be used.
    """
    files, preset = job.scan.files, PRESETS[job.preset]
    geometry = coarser(_geometry(job), job.downsample)
    series = NiftiSeries(files[CTP], partial(block_mean, factor=job.downsample))
    maps, warnings = _maps(job, series, geometry)
    lesion = read_lesion(files.get(LESION))
    dwi = _read_dwi(job)
    images = CtpImages(
        _read(job, CT), maps, series, files[CTP].name, geometry.spacing_zyx_mm, dwi=dwi
    )
    made = make_channels(preset, images)
    record = write_case(
        job,
        read_headers(job.scan),
        channels=made.channels,
        mask=made.mask,
        lesion=None if lesion is None else block_majority(lesion, job.downsample),
        target=None if DWI in preset.names else dwi,
        geometry=geometry,
        row={
            **made.row,
            "maps": "released" if _has_maps(job) else "computed",
            "dwi_present": dwi is not None,
        },
    )
    lines = [*warnings, *made.warnings]
    return {
        **record,
        "curve": made.curve.tolist(),
        "warnings": [*record["warnings"], *(f"{job.scan.case_id}: {line}" for line in lines)],
    }


def _has_maps(job: CaseJob) -> bool:
    return all(name in job.scan.files for name in PERFUSION_MAPS)


def _maps(job: CaseJob, series: NiftiSeries, geometry: Geometry) -> tuple[np.ndarray, list[str]]:
    """(4, Z, Y, X), in the order of ``PERFUSION_MAPS``, read or computed; and warnings."""
    if _has_maps(job):
        return np.stack([_read(job, name) for name in PERFUSION_MAPS]), []
    frame_s = frame_s_of(series.path, job.frame_s)
    computed = compute_maps(
        series,
        spacing_zyx_mm=geometry.spacing_zyx_mm,
        times_s=frame_s * np.arange(len(series)),
    )
    found = f"artery at {computed.row['aif_voxels_xyz'].split(';')[0]} (x y z)"
    said = f"CBF, CBV, MTT and Tmax were computed from the series, {found}"
    return np.stack(computed.maps), [said, *computed.warnings]


def _geometry(job: CaseJob) -> Geometry:
    """Of the reference, where its header can be trusted; else its voxel sizes alone."""
    path = job.scan.files[job.scan.reference]
    if job.scan.keeps_geometry:
        return read_geometry(path)
    return Geometry(read_header(path).spacing_zyx_mm)


def _read(job: CaseJob, name: str) -> np.ndarray:
    """(Z, Y, X), require_finite, of the resolution that is written."""
    return block_mean(require_finite(name, read_volume(job.scan.files[name])), job.downsample)


def _read_dwi(job: CaseJob) -> np.ndarray | None:
    """(Z, Y, X), as ``_read``; None without a file."""
    path: Path | None = job.scan.files.get(DWI)
    if path is None:
        return None
    dwi = _read(job, DWI)
    if dwi.min() == dwi.max():
        raise ValueError(
            f"the DWI in {path.name} is {dwi.min():g} everywhere; remove or replace it"
        )
    return dwi
