"""One scan: read, checked, turned into the channels of a preset, masked and written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.atomic import write_json
from nnunetv2_strokesynth.channels import PERFUSION_MAPS, PRESETS, Preset
from nnunetv2_strokesynth.dataset_conversion import ctp as ctp_series
from nnunetv2_strokesynth.dataset_conversion.brain_mask import brain_mask
from nnunetv2_strokesynth.dataset_conversion.ctp import PerfusionWindow
from nnunetv2_strokesynth.dataset_conversion.nifti import read_volume, write_volume
from nnunetv2_strokesynth.dataset_conversion.scans import (
    CT,
    CTP,
    DWI,
    LESION,
    TRAIN,
    Scan,
    read_headers,
    spacing_warnings,
)

RECORDS = "conversion"
_FOLDER_SUFFIX = {TRAIN: "Tr"}
_LESION_OUTSIDE_WARNING = 0.01


@dataclass(frozen=True)
class CaseJob:
    """What a worker needs to convert one scan.

    Attributes:
        scan: the scan.
        folder: the data set's folder in ``nnUNet_raw``.
        preset: a key of ``PRESETS``.
        mask: whether everything outside the brain becomes 0.
    """

    scan: Scan
    folder: Path
    preset: str
    mask: bool

    @property
    def settings(self) -> dict[str, object]:
        """What the written voxels depend on besides the files."""
        return {"preset": self.preset, "brain_mask": self.mask}

    @property
    def record_path(self) -> Path:
        """The file that says that the case is complete."""
        return self.folder / RECORDS / f"{self.scan.case_id}.json"

    def output(self, kind: str, suffix: str = "") -> Path:
        """``imagesTr/case_001_0000.nii.gz`` for ``images`` and ``_0000``."""
        folder = f"{kind}{_FOLDER_SUFFIX.get(self.scan.split, 'Ts')}"
        return self.folder / folder / f"{self.scan.case_id}{suffix}.nii.gz"


def can_build(preset: Preset) -> bool:
    """Whether ``build_channels`` makes all channels of a preset; mirrored ones (``CT_M``) not."""
    return not any(name.endswith("_M") for name in preset.names)


def build_channels(
    preset: Preset,
    ct: np.ndarray,
    maps: np.ndarray,
    *,
    series: np.ndarray,
    window: PerfusionWindow,
    dwi: np.ndarray | None = None,
) -> np.ndarray:
    """The input channels of a preset.

    Args:
        preset: names and order.
        ct: (Z, Y, X), HU.
        maps: (4, Z, Y, X), in the order of ``PERFUSION_MAPS``.
        series: the CTP, (T, Z, Y, X), HU.
        window: where to take the frames.
        dwi: (Z, Y, X), as measured; a preset that reads the DWI needs it.

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
    return np.stack([channels[name] for name in preset.names]).astype(np.float32, copy=False)


def convert_case(job: CaseJob) -> dict:
    """Convert one scan and write its record last.

    Returns:
        The record: ``case_id``, ``settings``, ``inputs``, ``outputs``, ``row`` (its line in the
        report), ``curve`` (q(t)) and ``warnings``.

    Raises:
        ValueError: the voxels cannot be used; the message names the case.
    """
    _remove_outputs(job)
    try:
        record = _convert(job)
    except ValueError as error:
        raise ValueError(f"{job.scan.case_id} ({job.scan.source}): {error}") from error
    write_json(job.record_path, record)
    return record


def finished_record(job: CaseJob) -> dict | None:
    """The record of a case that is complete and made from the same files with the same settings."""
    try:
        record = json.loads(job.record_path.read_text(encoding="utf-8"))
        same = record["settings"] == job.settings and record["inputs"] == _fingerprint(job.scan)
        outputs = record["outputs"]
        complete = all((job.folder / p).stat().st_size == size for p, size in outputs.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if same and complete else None


def _convert(job: CaseJob) -> dict:
    files = job.scan.files
    headers = read_headers(job.scan)
    spacing = headers[CT].spacing_zyx_mm
    voxel_ml = float(np.prod(spacing)) / 1000
    maps = np.stack([_finite(name, read_volume(files[name])) for name in PERFUSION_MAPS])
    mask = brain_mask(maps)
    if not mask.any():
        raise ValueError("CBF, CBV, MTT and Tmax are zero everywhere, so there is no brain")
    lesion = _read_lesion(files.get(LESION))
    dwi = _read_dwi(files.get(DWI))
    series = _read_series(files[CTP])
    curve = ctp_series.time_intensity_curve(series)
    preset = PRESETS[job.preset]
    window = ctp_series.find_perfusion_window(curve, smooth_first=preset.smooth_window)
    ct = _finite(CT, read_volume(files[CT]))
    channels = build_channels(preset, ct, maps, series=series, window=window, dwi=dwi)
    if job.mask:
        channels = np.where(mask, channels, np.float32(0))
        dwi = None if dwi is None else np.where(mask, dwi, np.float32(0))
    outputs = {job.output("images", f"_{i:04d}"): image for i, image in enumerate(channels)}
    if lesion is not None:
        outputs[job.output("labels")] = lesion.astype(np.uint8)
    if dwi is not None and DWI not in preset.names:
        outputs[job.output("targets")] = dwi
    for path, volume in outputs.items():
        write_volume(path, volume, spacing)
    warnings = spacing_warnings(job.scan, headers)
    volumes = {"brain_volume_ml": mask.sum() * voxel_ml}
    if lesion is not None:
        volumes["lesion_volume_ml"] = lesion.sum() * voxel_ml
        volumes["lesion_outside_mask_ml"] = (lesion & ~mask).sum() * voxel_ml
        warnings += _outside_warning(job.scan.case_id, volumes) if job.mask else []
    return {
        "case_id": job.scan.case_id,
        "settings": job.settings,
        "inputs": _fingerprint(job.scan),
        "outputs": {p.relative_to(job.folder).as_posix(): p.stat().st_size for p in outputs},
        "row": {
            "shape_zyx": list(mask.shape),
            "spacing_zyx_mm": [round(size, 6) for size in spacing],
            "n_frames": len(curve),
            "t_start": window.t_start,
            "t_end": window.t_end,
            "window_rule": window.rule,
            "dwi_present": dwi is not None,
            **{name: round(float(volume), 6) for name, volume in volumes.items()},
        },
        "curve": curve.tolist(),
        "warnings": warnings,
    }


def _finite(name: str, volume: np.ndarray) -> np.ndarray:
    bad = int(volume.size - np.isfinite(volume).sum())
    if bad:
        raise ValueError(f"{name} holds {bad} voxels that are NaN or infinite, expected none")
    return volume


def _read_series(path: Path) -> np.ndarray:
    """(T, Z, Y, X), checked frame by frame to save memory."""
    series = read_volume(path)
    for index, frame in enumerate(series):
        _finite(f"frame {index} of the series {path.name}", frame)
    if all(np.array_equal(series[0], frame) for frame in series[1:]):
        raise ValueError(
            f"the {len(series)} frames of {path.name} are all equal: no contrast agent"
        )
    return series


def _read_lesion(path: Path | None) -> np.ndarray | None:
    if path is None:
        return None
    labels = read_volume(path)
    found = np.unique(labels)
    if not np.isin(found, (0, 1)).all():
        values = ", ".join(f"{value:g}" for value in found[:6])
        raise ValueError(f"the lesion in {path.name} holds the values {values}, expected 0 and 1")
    return labels == 1


def _read_dwi(path: Path | None) -> np.ndarray | None:
    if path is None:
        return None
    dwi = _finite(DWI, read_volume(path))
    if dwi.min() == dwi.max():
        raise ValueError(
            f"the DWI in {path.name} is {dwi.min():g} everywhere; remove or replace it"
        )
    return dwi


def _outside_warning(case_id: str, volumes: dict[str, float]) -> list[str]:
    outside, lesion = volumes["lesion_outside_mask_ml"], volumes["lesion_volume_ml"]
    if outside <= _LESION_OUTSIDE_WARNING * lesion:
        return []
    return [
        f"{case_id}: {outside:.2f} of {lesion:.2f} mL of lesion lie outside the brain mask, "
        "where the images are 0 unless --no-brain-mask is given"
    ]


def _fingerprint(scan: Scan) -> dict[str, list]:
    """Modality -> name, size and time of change of its file."""
    stats = {modality: path.stat() for modality, path in scan.files.items()}
    return {
        modality: [scan.files[modality].name, stat.st_size, stat.st_mtime_ns]
        for modality, stat in stats.items()
    }


def _remove_outputs(job: CaseJob) -> None:
    """Remove what an earlier run wrote for the case, its record first."""
    job.record_path.unlink(missing_ok=True)
    for index in range(max(len(preset.names) for preset in PRESETS.values())):
        job.output("images", f"_{index:04d}").unlink(missing_ok=True)
    for kind in ("labels", "targets"):
        job.output(kind).unlink(missing_ok=True)
