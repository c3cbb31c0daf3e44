"""Whether scans are of patients or of the digital phantom: ``dataset.json`` must say so."""

from __future__ import annotations

from pathlib import Path

from nnunetv2_strokesynth.dataset_conversion.scans import Scan
from nnunetv2_strokesynth.phantom.marker import PHANTOM_ORIGIN
from nnunetv2_strokesynth.phantom.marker import SETTINGS_FILE as PHANTOM_FILE

PHANTOM_WARNING = "DIGITAL PHANTOM, not patients: "


def is_phantom(scans: list[Scan]) -> bool:
    """Whether the folder that holds TRAINING or TESTING of any scan holds ``phantom.json``."""
    return any((top / PHANTOM_FILE).is_file() for top in {_top_folder(scan) for scan in scans})


def describe(description: dict[str, str], scans: list[Scan]) -> dict[str, str]:
    """A kind's part of ``dataset.json``; it says that the scans are simulated if they are.

    Args:
        description: has at least the keys ``description`` and ``origin``.
        scans: the scans, with their files.
    """
    if not is_phantom(scans):
        return description
    text = PHANTOM_WARNING + description["description"]
    return {**description, "description": text, "origin": PHANTOM_ORIGIN}


def _top_folder(scan: Scan) -> Path:
    """The folder to which a scan's ``source``, like TRAINING/case_1, is relative."""
    source = Path(scan.source).parts
    for folder in next(iter(scan.files.values())).parents:
        if folder.parts[-len(source) :] == source:
            return folder.parents[len(source) - 1]
    raise AssertionError(f"{scan.case_id}: its files are not below {scan.source}")
