"""Scans that have a DWI and no outline of the lesion: with ``--unoutlined`` they are converted.

nnU-Net wants a label for every image in ``imagesTr`` and takes ``imagesTs`` for test scans, so such
scans go into folders that it does not read, ``imagesUn`` and ``targetsUn``, until ``strokesynth
outline`` has made labels for them. Their case ids are those of training scans.
"""

from __future__ import annotations

import argparse
import logging
from dataclasses import replace

from nnunetv2_strokesynth.channels import DWI, LESION
from nnunetv2_strokesynth.dataset_conversion.faults import Fault
from nnunetv2_strokesynth.dataset_conversion.kind import DatasetKind
from nnunetv2_strokesynth.dataset_conversion.recognise import find_scans
from nnunetv2_strokesynth.dataset_conversion.scans import TEST, TRAIN, UNOUTLINED, Scan
from nnunetv2_strokesynth.io.messages import name_some

logger = logging.getLogger(__name__)


def find_marked(kind: DatasetKind, args: argparse.Namespace) -> tuple[list[Scan], list[Fault]]:
    """The scans of a folder and the problems met; see ``recognise.find_scans``.

    With ``--unoutlined``, scans with a DWI and without an outline are marked as such. A test scan
    is one only where nothing but the missing outline made it a test scan.

    Raises:
        ValueError, FileNotFoundError: no scan is found, or none of those to train on has an
            outline.
    """
    found, faults = find_scans(kind, args.src)
    if not vars(args).get("unoutlined"):
        return found, faults
    candidates = {TRAIN, TEST} if kind.split_by_outline else {TRAIN}
    new_ids = {
        scan.case_id: _training_id(scan.case_id)
        for scan in found
        if scan.split in candidates and DWI in scan.files and LESION not in scan.files
    }
    scans = [
        replace(scan, case_id=new_ids[scan.case_id], split=UNOUTLINED)
        if scan.case_id in new_ids
        else scan
        for scan in found
    ]
    _say(scans)
    faults = [
        Fault(new_ids.get(fault.case_id, fault.case_id), fault.source, fault.why, fault.file)
        for fault in faults
    ]
    return sorted(scans, key=lambda scan: scan.split == TEST), faults


def _training_id(case_id: str) -> str:
    """``test_0012`` -> ``case_0012``."""
    return f"case_{case_id.rsplit('_', 1)[1]}"


def _say(scans: list[Scan]) -> None:
    """How many scans have no outline, and which.

    Raises:
        ValueError: all of them.
    """
    names = [scan.case_id for scan in scans if scan.split == UNOUTLINED]
    if not any(scan.split == TRAIN for scan in scans):
        raise ValueError(
            f"--unoutlined: none of the {len(scans)} scans has an outline of its lesion; outline "
            "some by hand, from which `strokesynth outline` can learn to outline the others"
        )
    logger.info("%d scans have a DWI and no outline: %s", len(names), name_some(names) or "none")
