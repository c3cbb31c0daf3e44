"""One CT perfusion scan: read, checked, turned into the channels of a preset and written."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.channels import PERFUSION_MAPS, PRESETS, Preset
from nnunetv2_strokesynth.dataset_conversion import ctp as ctp_series
from nnunetv2_strokesynth.dataset_conversion.brain_mask import brain_mask
from nnunetv2_strokesynth.dataset_conversion.ctp import PerfusionWindow
from nnunetv2_strokesynth.dataset_conversion.downsampling import block_majority, block_mean, coarser
from nnunetv2_strokesynth.dataset_conversion.job import CaseJob, finite, read_lesion, write_case
from nnunetv2_strokesynth.dataset_conversion.mirror import find_mirror, mirrored
from nnunetv2_strokesynth.dataset_conversion.nifti import (
    Geometry,
    read_geometry,
    read_header,
    read_volume,
)
from nnunetv2_strokesynth.dataset_conversion.scans import CT, CTP, DWI, LESION, read_headers
from nnunetv2_strokesynth.dataset_conversion.series import NiftiSeries, Series

MIRRORED = (CT, *PERFUSION_MAPS)


def can_build(preset: Preset) -> bool:
    """Whether ``build_channels`` makes all channels of a preset."""
    single = {CT, *PERFUSION_MAPS, "MIP", "MIP_P", DWI, *(f"{name}_M" for name in MIRRORED)}
    return all(name in single or name.startswith("CTA_") for name in preset.names)


def is_mirrored(preset: Preset) -> bool:
    """Whether a preset has mirrored channels, ``CT_M`` and so on."""
    return any(name.endswith("_M") for name in preset.names)


def build_channels(
    preset: Preset,
    ct: np.ndarray,
    maps: np.ndarray,
    *,
    series: Series,
    mip: np.ndarray,
    window: PerfusionWindow,
    dwi: np.ndarray | None = None,
    mirror: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """The input channels of a preset.

    Args:
        preset: names and order.
        ct: (Z, Y, X), HU.
        maps: (4, Z, Y, X), in the order of ``PERFUSION_MAPS``.
        series: the CTP, frames (Z, Y, X) in HU.
        mip: (Z, Y, X), its maximum over time.
        window: where to take the frames.
        dwi: (Z, Y, X), as measured; a preset that reads the DWI needs it.
        mirror: lays the flipped volume over a volume; a preset with mirrored channels needs it.

    Returns:
        (C, Z, Y, X), float32.
    """
    channels = {CT: ct, **dict(zip(PERFUSION_MAPS, maps, strict=True))}
    channels["MIP"] = mip
    if dwi is not None:
        channels[DWI] = dwi
    if preset.n_frames:
        frames = ctp_series.sample_frames(series, window.t_start, window.t_end, preset.n_frames)
        channels["MIP_P"] = ctp_series.mip_time(frames)
        channels |= {f"CTA_{k}": frame for k, frame in enumerate(frames)}
    if mirror is not None:
        channels |= {f"{name}_M": mirror(channels[name]) for name in MIRRORED}
    return np.stack([channels[name] for name in preset.names]).astype(np.float32, copy=False)


def convert_ctp(job: CaseJob) -> dict:
    """Read a CT perfusion scan and write its case.

    The series is walked through frame by frame, once for its curve and once for its frames, and
    never in memory as a whole: the peak is about twice the channels' size and a few frames.

    Returns:
        The record, see ``job.convert_case``, with ``curve``, q(t), for the plots.

    Raises:
        ValueError: the voxels cannot be used.
    """
    files, headers = job.scan.files, read_headers(job.scan)
    geometry = coarser(_geometry(job), job.downsample)
    series = NiftiSeries(files[CTP], partial(block_mean, factor=job.downsample))
    maps, maps_row = _read_maps(job), {}
    mask = brain_mask(maps)
    if not mask.any():
        raise ValueError("CBF, CBV, MTT and Tmax are zero everywhere, so there is no brain")
    lesion = read_lesion(files.get(LESION))
    dwi = _read_dwi(files.get(DWI))
    summary = _summary(series)
    preset = PRESETS[job.preset]
    window = ctp_series.find_perfusion_window(summary.curve, smooth_first=preset.smooth_window)
    ct = _read(job, CT)
    spacing = geometry.spacing_zyx_mm
    mirror = find_mirror(ct, mask, spacing) if is_mirrored(preset) else None

    def lay_over(volume: np.ndarray) -> np.ndarray:
        """Skull-stripped first, or the skull of one side would lie on the other's brain."""
        return mirrored(np.where(mask, volume, 0), mirror.transform, spacing)

    dwi = None if dwi is None else block_mean(dwi, job.downsample)
    record = write_case(
        job,
        headers,
        channels=build_channels(
            preset,
            ct,
            maps,
            series=series,
            mip=summary.mip,
            window=window,
            dwi=dwi,
            mirror=mirror and lay_over,
        ),
        mask=mask,
        lesion=None if lesion is None else block_majority(lesion, job.downsample),
        target=None if DWI in preset.names else dwi,
        geometry=geometry,
        row={
            "n_frames": len(series),
            "t_start": window.t_start,
            "t_end": window.t_end,
            "window_rule": window.rule,
            "dwi_present": dwi is not None,
            **maps_row,
            **(mirror.row if mirror else {}),
        },
    )
    return {**record, "curve": summary.curve.tolist()}


def _geometry(job: CaseJob) -> Geometry:
    """Of the reference, where its header can be trusted; else its voxel sizes alone."""
    path = job.scan.files[job.scan.reference]
    if job.scan.keeps_geometry:
        return read_geometry(path)
    return Geometry(read_header(path).spacing_zyx_mm)


def _read(job: CaseJob, name: str) -> np.ndarray:
    """(Z, Y, X), finite, of the resolution that is written."""
    return block_mean(finite(name, read_volume(job.scan.files[name])), job.downsample)


def _read_maps(job: CaseJob) -> np.ndarray:
    """(4, Z, Y, X), in the order of ``PERFUSION_MAPS``."""
    return np.stack([_read(job, name) for name in PERFUSION_MAPS])


def _summary(series: NiftiSeries) -> ctp_series.SeriesSummary:
    summary = ctp_series.summarise(series, series.path.name)
    if not summary.changes:
        raise ValueError(
            f"the {len(series)} frames of {series.path.name} are all equal: no contrast agent"
        )
    return summary


def _read_dwi(path: Path | None) -> np.ndarray | None:
    if path is None:
        return None
    dwi = finite(DWI, read_volume(path))
    if dwi.min() == dwi.max():
        raise ValueError(
            f"the DWI in {path.name} is {dwi.min():g} everywhere; remove or replace it"
        )
    return dwi
