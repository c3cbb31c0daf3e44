"""One CT perfusion scan of a data set: read, checked, turned into channels and written."""

from __future__ import annotations

import numpy as np

from nnunetv2_strokesynth.channels import (
    CT,
    CTA,
    CTP,
    DWI,
    PERFUSION_MAPS,
)
from nnunetv2_strokesynth.ctp.background import constant_surroundings
from nnunetv2_strokesynth.ctp.compute_maps import compute_maps
from nnunetv2_strokesynth.ctp.frame_times import frame_times_of
from nnunetv2_strokesynth.ctp.input_channels import (
    CtpImages,
    make_channels,
)
from nnunetv2_strokesynth.ctp.unusable_voxels import Unusable, check_unusable, counted
from nnunetv2_strokesynth.dataset_conversion.case_files import (
    CaseVolumes,
    write_case,
)
from nnunetv2_strokesynth.dataset_conversion.downsampling import (
    BlockMean,
    block_majority,
    block_mean,
    coarser,
)
from nnunetv2_strokesynth.dataset_conversion.job import CaseJob
from nnunetv2_strokesynth.dataset_conversion.placed_scan import PlacedScan
from nnunetv2_strokesynth.io.nifti import Geometry, read_header
from nnunetv2_strokesynth.io.series import NiftiSeries


def convert_ctp(job: CaseJob) -> dict:
    """Read a CT perfusion scan and write its case.

    The series is read frame by frame and is never in memory as a whole: the peak is about twice
    the channels' size and a few frames.

    Returns:
        The record, see ``job.convert_case``, with ``curve``, q(t), ``curve_voxels``
        and ``curve_times_s`` for the plots.

    Raises:
        ValueError: the voxels cannot be used.
    """
    placed, preset = PlacedScan(job.scan), job.preset
    factor = job.settings.downsample
    geometry = coarser(placed.geometry, factor)
    series = _series(placed, factor)
    brain = _given_brain(job, placed)
    maps, of_maps, warnings = _maps(job, placed, geometry, brain)
    lesion = placed.lesion()
    dwi = _read_dwi(job, placed)
    ct = _read(job, placed, CT)
    cta = _read(job, placed, CTA) if preset.reads_cta else None
    spacing = geometry.spacing_zyx_mm
    files = _file_names(job)
    images = CtpImages(ct, maps, series, series.path.name, spacing, dwi, brain, files, cta)
    made = make_channels(preset, images)
    placed.add_unusable_of(series)
    warnings += check_unusable(_coarser_unusable(placed, factor), made.mask)
    volumes = CaseVolumes(
        made.channels,
        made.mask,
        None if lesion is None else block_majority(lesion, factor),
        geometry,
        None if DWI in preset.names else dwi,
    )
    row = {**made.row, **of_maps, "dwi_present": dwi is not None}
    row["unusable_voxels"] = counted(placed.unusable)
    record = write_case(job, placed, volumes, row)
    lines = [f"{job.scan.case_id}: {line}" for line in (*warnings, *made.warnings)]
    return {
        **record,
        "curve": made.curve.tolist(),
        "curve_voxels": int(made.mask.size),
        "curve_times_s": _times_s(job, series),
        "warnings": [*record["warnings"], *lines],
    }


def _times_s(job: CaseJob, series: NiftiSeries) -> list[float] | None:
    """Times of the frames for the plots; None where the file does not say."""
    try:
        times = frame_times_of(series.path, len(series), job.settings.frame_s)
    except ValueError:
        return None
    return [round(float(time), 3) for time in times.times_s]


def _file_names(job: CaseJob) -> dict[str, str]:
    """The names of the files of CT and maps; computed maps have none."""
    given = (CT, *PERFUSION_MAPS) if _has_maps(job) else (CT,)
    return {name: job.scan.files[name].name for name in given}


def _has_maps(job: CaseJob) -> bool:
    return all(name in job.scan.files for name in PERFUSION_MAPS)


def _series(placed: PlacedScan, factor: int) -> NiftiSeries:
    """The series at the resolution that is written."""
    return placed.series(_coarsening(placed, factor))


def _coarsening(placed: PlacedScan, factor: int) -> BlockMean | None:
    """What brings a frame to the resolution that is written; None if it is the scan's own."""
    if factor == 1:
        return None
    return BlockMean(factor, constant_surroundings(next(iter(placed.series()))))


def _given_brain(job: CaseJob, placed: PlacedScan) -> np.ndarray | None:
    """The mask of ``--brain-masks`` at the resolution that is written; None without one."""
    brain = placed.brain()
    return None if brain is None else block_majority(brain, job.settings.downsample)


def _maps(
    job: CaseJob, placed: PlacedScan, geometry: Geometry, brain: np.ndarray | None
) -> tuple[np.ndarray, dict[str, object], list[str]]:
    """The maps, read or computed; cells of the case's line in the report; and warnings.

    Returns:
        (4, Z, Y, X), in the order of ``PERFUSION_MAPS``, 0 where nothing was computed.
    """
    if _has_maps(job):
        maps, backgrounds = placed.maps(PERFUSION_MAPS)
        factor = job.settings.downsample
        if factor > 1:
            maps = np.stack([block_mean(volume, factor, volume == 0) for volume in maps])
        return maps, {"maps": "released", "map_background": backgrounds}, []
    path = placed.scan.files[CTP]
    times = frame_times_of(path, read_header(path).n_frames, job.settings.frame_s)
    series = placed.simultaneous_series(times, _coarsening(placed, job.settings.downsample))
    computed = compute_maps(
        series,
        spacing_zyx_mm=geometry.spacing_zyx_mm,
        times_s=times.times_s,
        brain=brain,
    )
    found = f"artery at {computed.row['aif_voxels_xyz'].split(';')[0]} (x y z)"
    said = f"CBF, CBV, MTT and Tmax were computed from the series, {found}"
    of_maps = {"maps": "computed", "map_method": computed.row["method"]}
    return np.stack(computed.maps), of_maps, [said, *times.notes, *computed.warnings]


def _read(job: CaseJob, placed: PlacedScan, name: str) -> np.ndarray:
    """(Z, Y, X), finite, at the resolution that is written."""
    volume = placed.image(name)
    factor = job.settings.downsample
    if factor == 1:
        return volume
    outside = constant_surroundings(volume)
    for found in placed.unusable:
        if found.name == name:
            outside |= found.where > 0
    return block_mean(volume, factor, outside)


def _coarser_unusable(placed: PlacedScan, factor: int) -> list[Unusable]:
    """The voxels that hold no measurement, at the resolution that is written."""
    return [
        one._replace(where=block_mean(one.where.astype(np.float32), factor))
        for one in placed.unusable
    ]


def _read_dwi(job: CaseJob, placed: PlacedScan) -> np.ndarray | None:
    """The DWI as ``_read`` gives it; None without a file."""
    path = job.scan.files.get(DWI)
    if path is None:
        return None
    dwi = _read(job, placed, DWI)
    if dwi.min() == dwi.max():
        raise ValueError(
            f"the DWI in {path.name} is {dwi.min():g} everywhere; remove or replace it"
        )
    return dwi
