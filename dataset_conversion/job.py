"""The conversion of one scan: what it needs, and how a finished case is recognised.

The job's ``convert`` decides what the voxels become, one function per kind of scan:
``ctp_case.py`` for CT perfusion, ``mri_case.py`` for MRI.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from nnunetv2_strokesynth.channels import CTP, PERFUSION_MAPS, PRESETS, Preset
from nnunetv2_strokesynth.dataset_conversion.faults import fault_of
from nnunetv2_strokesynth.dataset_conversion.scans import (
    TEST,
    TRAIN,
    UNOUTLINED,
    Scan,
)
from nnunetv2_strokesynth.dataset_conversion.settings import Settings
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.sidecar import sidecar_of

RECORDS, CURVES = "conversion", "curves"
_DIGEST = "digest"
_FOLDER_SUFFIX = {TRAIN: "Tr", UNOUTLINED: "Un"}  # and "Ts"


@dataclass(frozen=True)
class CaseJob:
    """What a worker needs to convert one scan.

    Attributes:
        scan: the scan.
        folder: the data set's folder in ``nnUNet_raw``.
        settings: how the data set is written.
        convert: reads the scan and writes its case by ``case_files.write_case``; returns the
            record.
        is_rehearsal: whether the scan is read, checked and computed, and nothing is written.
    """

    scan: Scan
    folder: Path
    settings: Settings
    convert: Callable[[CaseJob], dict]
    is_rehearsal: bool = False

    @property
    def preset(self) -> Preset:
        """Which channels are made; a rehearsal leaves out those that no check looks at."""
        preset = self.settings.channel_preset
        return preset.without_frames() if self.is_rehearsal else preset

    @property
    def record_path(self) -> Path:
        """The file that says that the case is complete."""
        return self.folder / RECORDS / f"{self.scan.case_id}.json"

    def output(self, kind: str, suffix: str = "") -> Path:
        """``imagesTr/case_001_0000.nii.gz`` for ``images`` and ``_0000``."""
        folder = f"{kind}{_FOLDER_SUFFIX.get(self.scan.split, 'Ts')}"
        return self.folder / folder / f"{self.scan.case_id}{suffix}.nii.gz"


def convert_case(job: CaseJob) -> dict:
    """Convert one scan and write its record last; what cannot be used leaves nothing behind.

    Returns:
        The record: ``case_id``, ``settings``, ``inputs``, ``outputs``, ``row`` (its line in the
        report), ``warnings``, and for CT perfusion ``curve`` (q(t)).

    Raises:
        ValueError: a file cannot be read or its voxels cannot be used; it holds a ``Fault``.
        OSError: the case cannot be written.
    """
    remove_case(job)
    try:
        record = job.convert(job)
    except (ValueError, OSError) as error:
        remove_case(job)
        if isinstance(error, OSError) and not _is_input(job.scan, error.filename):
            raise
        raise ValueError(fault_of(job.scan, str(error))) from error
    write_json(job.record_path, {**record, _DIGEST: _digest(record)})
    return record


def _digest(record: dict) -> str:
    """By which a record that was damaged later is known."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def finished_record(job: CaseJob) -> dict | None:
    """The record of a case that is complete and made from the same files with the same settings.

    None as well where the record is damaged. Records of earlier versions have no digest.
    """
    try:
        record = json.loads(job.record_path.read_text(encoding="utf-8"))
        if record.pop(_DIGEST, None) not in (None, _digest(record)):
            return None
        same_settings = record["settings"] == job.settings.of_voxels
        same = same_settings and record["inputs"] == input_fingerprint(job.scan)
        outputs = record["outputs"]
        complete = all((job.folder / p).stat().st_size == size for p, size in outputs.items())
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
    return record if same and complete else None


def input_fingerprint(scan: Scan) -> dict[str, list]:
    """Modality -> name, size and time of change of its file; the series' sidecar, if it is read."""
    files = dict(scan.files)
    times_are_read = CTP in files and not all(name in files for name in PERFUSION_MAPS)
    sidecar = sidecar_of(files[CTP]) if times_are_read else None
    if sidecar is not None:
        files[f"{CTP} sidecar"] = sidecar
    stats = {modality: path.stat() for modality, path in files.items()}
    return {
        modality: [files[modality].name, stat.st_size, stat.st_mtime_ns]
        for modality, stat in stats.items()
    }


def _is_input(scan: Scan, name: object) -> bool:
    """Whether an error of the system is about one of the scan's files, not about the disk."""
    return str(name) in {str(path) for path in scan.files.values()}


def remove_case(job: CaseJob) -> bool:
    """Remove what an earlier run wrote for the case, its record first; whether it was complete."""
    was_complete = job.record_path.is_file()
    job.record_path.unlink(missing_ok=True)
    for split in (TRAIN, UNOUTLINED, TEST):  # it may have got an outline since
        own = replace(job, scan=replace(job.scan, split=split))
        for index in range(1 + max(len(preset.names) for preset in PRESETS.values())):
            own.output("images", f"_{index:04d}").unlink(missing_ok=True)
        for kind in ("labels", "targets"):
            own.output(kind).unlink(missing_ok=True)
    curves = job.folder / CURVES
    for path in (curves / f"{job.scan.case_id}.png", *curves.glob("all_scans_*.png")):
        path.unlink(missing_ok=True)
    return was_complete
