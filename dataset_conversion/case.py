"""One CT perfusion scan: read, checked, turned into the channels of a preset and written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.channels import PERFUSION_MAPS, PRESETS, Preset
from nnunetv2_strokesynth.dataset_conversion import ctp as ctp_series
from nnunetv2_strokesynth.dataset_conversion.brain_mask import brain_mask
from nnunetv2_strokesynth.dataset_conversion.ctp import PerfusionWindow
from nnunetv2_strokesynth.dataset_conversion.job import CaseJob, finite, read_lesion, write_case
from nnunetv2_strokesynth.dataset_conversion.mirror import find_mirror, mirrored
from nnunetv2_strokesynth.dataset_conversion.nifti import read_volume
from nnunetv2_strokesynth.dataset_conversion.scans import CT, CTP, DWI, LESION, read_headers

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
    series: np.ndarray,
    window: PerfusionWindow,
    dwi: np.ndarray | None = None,
    mirror: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """The input channels of a preset.

    Args:
        preset: names and order.
        ct: (Z, Y, X), HU.
        maps: (4, Z, Y, X), in the order of ``PERFUSION_MAPS``.
        series: the CTP, (T, Z, Y, X), HU.
        window: where to take the frames.
        dwi: (Z, Y, X), as measured; a preset that reads the DWI needs it.
        mirror: lays the flipped volume over a volume; a preset with mirrored channels needs it.

    Returns:
        (C, Z, Y, X), float32.
    """
    channels = {CT: ct, **dict(zip(PERFUSION_MAPS, maps, strict=True))}
    channels["MIP"] = ctp_series.mip_time(series)
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

    Returns:
        The record, see ``job.convert_case``, with ``curve``, q(t), for the plots.

    Raises:
        ValueError: the voxels cannot be used.
    """
    files = job.scan.files
    headers = read_headers(job.scan)
    maps = np.stack([finite(name, read_volume(files[name])) for name in PERFUSION_MAPS])
    mask = brain_mask(maps)
    if not mask.any():
        raise ValueError("CBF, CBV, MTT and Tmax are zero everywhere, so there is no brain")
    lesion = read_lesion(files.get(LESION))
    dwi = _read_dwi(files.get(DWI))
    series = _read_series(files[CTP])
    curve = ctp_series.time_intensity_curve(series)
    preset = PRESETS[job.preset]
    window = ctp_series.find_perfusion_window(curve, smooth_first=preset.smooth_window)
    ct = finite(CT, read_volume(files[CT]))
    spacing = headers[CT].spacing_zyx_mm
    mirror = find_mirror(ct, mask, spacing) if is_mirrored(preset) else None

    def lay_over(volume: np.ndarray) -> np.ndarray:
        """Skull-stripped first, or the skull of one side would lie on the other's brain."""
        return mirrored(np.where(mask, volume, 0), mirror.transform, spacing)

    record = write_case(
        job,
        headers,
        channels=build_channels(
            preset, ct, maps, series=series, window=window, dwi=dwi, mirror=mirror and lay_over
        ),
        mask=mask,
        lesion=lesion,
        target=None if DWI in preset.names else dwi,
        row={
            "n_frames": len(curve),
            "t_start": window.t_start,
            "t_end": window.t_end,
            "window_rule": window.rule,
            "dwi_present": dwi is not None,
            **(mirror.row if mirror else {}),
        },
    )
    return {**record, "curve": curve.tolist()}


def _read_series(path: Path) -> np.ndarray:
    """(T, Z, Y, X), checked frame by frame to save memory."""
    series = read_volume(path)
    for index, frame in enumerate(series):
        finite(f"frame {index} of the series {path.name}", frame)
    if all(np.array_equal(series[0], frame) for frame in series[1:]):
        raise ValueError(
            f"the {len(series)} frames of {path.name} are all equal: no contrast agent"
        )
    return series


def _read_dwi(path: Path | None) -> np.ndarray | None:
    if path is None:
        return None
    dwi = finite(DWI, read_volume(path))
    if dwi.min() == dwi.max():
        raise ValueError(
            f"the DWI in {path.name} is {dwi.min():g} everywhere; remove or replace it"
        )
    return dwi
