"""One CT perfusion scan of a data set: read, checked, turned into channels and written."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.channels import (
    BRAIN_MASK,
    CT,
    CTP,
    DWI,
    LESION,
    PERFUSION_MAPS,
    PRESETS,
)
from nnunetv2_strokesynth.ctp.background import (
    clear_background,
    constant_surroundings,
    name_backgrounds,
)
from nnunetv2_strokesynth.ctp.brain_mask_file import read_brain_mask
from nnunetv2_strokesynth.ctp.compute_maps import compute_maps
from nnunetv2_strokesynth.ctp.frame_times import frame_times_of
from nnunetv2_strokesynth.ctp.input_channels import (
    CtpImages,
    make_channels,
)
from nnunetv2_strokesynth.dataset_conversion.case_files import (
    CaseVolumes,
    read_lesion,
    scan_geometry,
    write_case,
)
from nnunetv2_strokesynth.dataset_conversion.downsampling import (
    BlockMean,
    block_majority,
    block_mean,
    coarser,
)
from nnunetv2_strokesynth.dataset_conversion.job import CaseJob
from nnunetv2_strokesynth.io.nifti import (
    Geometry,
    read_header,
    read_volume,
    require_finite,
)
from nnunetv2_strokesynth.io.series import NiftiSeries


def convert_ctp(job: CaseJob) -> dict:
    """Read a CT perfusion scan and write its case.

    The series is read frame by frame and is never in memory as a whole: the peak is about twice
    the channels' size and a few frames.

    Returns:
        The record, see ``job.convert_case``, with ``curve``, q(t), for the plots.

    Raises:
        ValueError: the voxels cannot be used.
    """
    files, preset = job.scan.files, PRESETS[job.settings.preset]
    factor = job.settings.downsample
    geometry = coarser(scan_geometry(job.scan), factor)
    series = _series(files[CTP], factor)
    brain = _given_brain(job)
    maps, of_maps, warnings = _maps(job, series, geometry, brain)
    lesion = read_lesion(files.get(LESION))
    dwi = _read_dwi(job)
    images = CtpImages(
        _read(job, CT), maps, series, files[CTP].name, geometry.spacing_zyx_mm, dwi, brain
    )
    made = make_channels(preset, images)
    volumes = CaseVolumes(
        made.channels,
        made.mask,
        None if lesion is None else block_majority(lesion, factor),
        geometry,
        None if DWI in preset.names else dwi,
    )
    record = write_case(job, volumes, {**made.row, **of_maps, "dwi_present": dwi is not None})
    lines = [f"{job.scan.case_id}: {line}" for line in (*warnings, *made.warnings)]
    return {
        **record,
        "curve": made.curve.tolist(),
        "warnings": [*record["warnings"], *lines],
    }


def _has_maps(job: CaseJob) -> bool:
    return all(name in job.scan.files for name in PERFUSION_MAPS)


def _series(path: Path, factor: int) -> NiftiSeries:
    """The series at the resolution that is written."""
    if factor == 1:
        return NiftiSeries(path)
    outside = constant_surroundings(np.nan_to_num(next(iter(NiftiSeries(path)))))
    return NiftiSeries(path, BlockMean(factor, outside))


def _given_brain(job: CaseJob) -> np.ndarray | None:
    """The mask of ``--brain-masks`` at the resolution that is written; None without one."""
    path = job.scan.files.get(BRAIN_MASK)
    if path is None:
        return None
    shape = read_header(job.scan.files[job.scan.reference]).shape_zyx
    return block_majority(read_brain_mask(path, shape), job.settings.downsample)


def _maps(
    job: CaseJob, series: NiftiSeries, geometry: Geometry, brain: np.ndarray | None
) -> tuple[np.ndarray, dict[str, object], list[str]]:
    """The maps, read or computed; cells of the case's line in the report; and warnings.

    Returns:
        (4, Z, Y, X), in the order of ``PERFUSION_MAPS``, 0 where nothing was computed.
    """
    if _has_maps(job):
        read = [read_volume(job.scan.files[name]) for name in PERFUSION_MAPS]
        cleared = clear_background(read)
        maps = np.stack(
            [
                block_mean(require_finite(name, volume), job.settings.downsample, volume == 0)
                for name, volume in zip(PERFUSION_MAPS, cleared.maps, strict=True)
            ]
        )
        background = name_backgrounds(PERFUSION_MAPS, cleared.constants)
        return maps, {"maps": "released", "map_background": background}, []
    times = frame_times_of(series.path, len(series), job.settings.frame_s)
    computed = compute_maps(
        series,
        spacing_zyx_mm=geometry.spacing_zyx_mm,
        times_s=times.times_s,
        brain=brain,
    )
    found = f"artery at {computed.row['aif_voxels_xyz'].split(';')[0]} (x y z)"
    said = f"CBF, CBV, MTT and Tmax were computed from the series, {found}"
    return np.stack(computed.maps), {"maps": "computed"}, [said, *times.notes, *computed.warnings]


def _read(job: CaseJob, name: str) -> np.ndarray:
    """(Z, Y, X), finite, at the resolution that is written."""
    volume = require_finite(name, read_volume(job.scan.files[name]))
    factor = job.settings.downsample
    return volume if factor == 1 else block_mean(volume, factor, constant_surroundings(volume))


def _read_dwi(job: CaseJob) -> np.ndarray | None:
    """The DWI as ``_read`` gives it; None without a file."""
    path = job.scan.files.get(DWI)
    if path is None:
        return None
    dwi = _read(job, DWI)
    if dwi.min() == dwi.max():
        raise ValueError(
            f"the DWI in {path.name} is {dwi.min():g} everywhere; remove or replace it"
        )
    return dwi
