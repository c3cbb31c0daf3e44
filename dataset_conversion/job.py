"""The conversion of one scan: what it needs, what it writes, and when it is complete.

What the voxels become is left to the job's ``convert``, one function per kind of scan: ``case.py``
for CT perfusion, ``mri_case.py`` for MRI.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataset_conversion.scans import (
    TRAIN,
    Scan,
    position_warnings,
    spacing_warnings,
)
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import (
    Geometry,
    VolumeHeader,
    read_volume,
    write_volume,
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
        convert: reads the scan and writes its case by ``write_case``; returns the record.
        channels: the preset's channels that are written, in its order; None for a kind of data
            set that always has all of them.
        downsample: so many pixels along x and along y become one.
        compute_maps: whether perfusion maps are computed where a scan has none.
        frame_s: time between frames for that; None: as the header says.
    """

    scan: Scan
    folder: Path
    preset: str
    mask: bool
    convert: Callable[[CaseJob], dict]
    channels: tuple[str, ...] | None = None
    downsample: int = 1
    compute_maps: bool = False
    frame_s: float | None = None

    @property
    def settings(self) -> dict[str, object]:
        """What the written voxels depend on besides the files."""
        chosen = further_settings(
            self.channels, self.downsample, self.compute_maps, frame_s=self.frame_s
        )
        return {"preset": self.preset, "brain_mask": self.mask, **chosen}

    @property
    def record_path(self) -> Path:
        """The file that says that the case is complete."""
        return self.folder / RECORDS / f"{self.scan.case_id}.json"

    def output(self, kind: str, suffix: str = "") -> Path:
        """``imagesTr/case_001_0000.nii.gz`` for ``images`` and ``_0000``."""
        folder = f"{kind}{_FOLDER_SUFFIX.get(self.scan.split, 'Ts')}"
        return self.folder / folder / f"{self.scan.case_id}{suffix}.nii.gz"


def further_settings(
    channels: tuple[str, ...] | None,
    downsample: int,
    compute_maps: bool,
    *,
    frame_s: float | None,
) -> dict[str, object]:
    """What is not as usual, as it is written down; empty for most data sets."""
    content: dict[str, object] = {}
    if channels is not None:
        content["channels"] = list(channels)
    if downsample != 1:
        content["downsample"] = downsample
    if compute_maps:
        content["compute_maps"] = True
    if frame_s is not None:
        content["frame_s"] = frame_s
    return content


def convert_case(job: CaseJob) -> dict:
    """Convert one scan and write its record last.

    Returns:
        The record: ``case_id``, ``settings``, ``inputs``, ``outputs``, ``row`` (its line in the
        report), ``warnings``, and for CT perfusion ``curve`` (q(t)).

    Raises:
        ValueError: the voxels cannot be used; the message names the case.
    """
    _remove_outputs(job)
    try:
        record = job.convert(job)
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


def read_lesion(path: Path | None) -> np.ndarray | None:
    """The lesion, bool (Z, Y, X), or None without a file.

    Raises:
        ValueError: values other than 0 and 1.
    """
    if path is None:
        return None
    labels = read_volume(path)
    found = np.unique(labels)
    if not np.isin(found, (0, 1)).all():
        values = name_some((f"{value:g}" for value in found), at_most=6)
        raise ValueError(f"the lesion in {path.name} holds the values {values}, expected 0 and 1")
    return labels == 1


def write_case(
    job: CaseJob,
    headers: dict[str, VolumeHeader],
    *,
    channels: np.ndarray,
    mask: np.ndarray,
    lesion: np.ndarray | None,
    target: np.ndarray | None = None,
    geometry: Geometry | None = None,
    row: dict[str, object] | None = None,
) -> dict:
    """Mask and write a case's images, label and target.

    Args:
        job: the case.
        headers: modality -> header of its file.
        channels: (C, Z, Y, X), the images.
        mask: (Z, Y, X), bool, the brain.
        lesion: (Z, Y, X), bool, where there is one.
        target: (Z, Y, X), the DWI to be synthesised, where there is one.
        geometry: of all that is written; None: the reference's voxel sizes and nothing else of
            its header.
        row: further cells of the case's line in the report.

    Returns:
        The case's record, see ``convert_case``.
    """
    geometry = geometry or Geometry(headers[job.scan.reference].spacing_zyx_mm)
    spacing = geometry.spacing_zyx_mm
    voxel_ml = float(np.prod(spacing)) / 1000
    images = {job.output("images", f"_{i:04d}"): image for i, image in enumerate(channels)}
    if target is not None:
        images[job.output("targets")] = target
    for path, image in images.items():  # masked one by one, to save memory
        write_volume(path, np.where(mask, image, np.float32(0)) if job.mask else image, geometry)
    outputs = list(images)
    if lesion is not None:
        outputs.append(job.output("labels"))
        write_volume(outputs[-1], lesion.astype(np.uint8), geometry)
    warnings = spacing_warnings(job.scan, headers) + position_warnings(job.scan)
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
            **(row or {}),
            **{name: round(float(volume), 6) for name, volume in volumes.items()},
        },
        "warnings": warnings,
    }


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
