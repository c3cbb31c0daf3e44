"""The results of a DICOM study as DICOM, in ``dicom/`` of the output folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.ctp.perfusion_volumes import CORE_PERCENT, HYPOPERFUSED_S
from nnunetv2_strokesynth.ctp.scan_numbers import ScanNumbers
from nnunetv2_strokesynth.inference.study import Study
from nnunetv2_strokesynth.io.dicom.export import (
    INFARCT,
    ISCHAEMIA,
    Segment,
    require_highdicom,
    write_capture,
    write_segmentation,
)

DICOM_FOLDER = "dicom"
SEGMENTATION_FILE, CAPTURE_FILE = "segmentation.dcm", "page.dcm"


def check_dicom_possible(study: Study) -> None:
    """Raise ``ValueError`` unless the study came as DICOM and highdicom is there."""
    if not study.dicom:
        raise ValueError(
            f"--dicom: {study.source} is no DICOM series, so there is nothing to link the results "
            "to; give the DICOM folder, or leave --dicom out"
        )
    require_highdicom()


def write_dicom(
    folder: Path,
    study: Study,
    numbers: ScanNumbers,
    *,
    picture: Path,
    lesion: np.ndarray | None = None,
) -> None:
    """Write a segmentation and a picture that are linked to the study.

    Args:
        folder: of the results.
        study: came as DICOM.
        numbers: of the scan.
        picture: PNG of the page.
        lesion: bool (Z, Y, X); None without a model.
    """
    from PIL import Image

    found = numbers.volumes
    segments = [
        Segment(f"Tmax > {HYPOPERFUSED_S} s", found.hypoperfused, ISCHAEMIA),
        Segment(f"rCBF < {CORE_PERCENT} %", found.core, INFARCT),
    ]
    if lesion is not None:
        segments.insert(0, Segment("predicted lesion", lesion, INFARCT))
    undo = study.reference.reorientation.undo
    segments = [segment._replace(mask=undo(segment.mask)) for segment in segments]
    target = folder / DICOM_FOLDER
    target.mkdir()
    geometry = study.reference.stored.geometry
    write_segmentation(target / SEGMENTATION_FILE, segments, geometry, study.dicom)
    rgb = np.asarray(Image.open(picture).convert("RGB"))
    write_capture(target / CAPTURE_FILE, rgb, study.dicom)
