"""The results of a DICOM study as DICOM, in ``dicom/`` of the output folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.ctp.perfusion_volumes import (
    CORE_PERCENT,
    HYPOPERFUSED_S,
    RCBF_BELOW_PERCENT,
    TMAX_ABOVE_S,
)
from nnunetv2_strokesynth.ctp.scan_numbers import ScanNumbers
from nnunetv2_strokesynth.inference.study import Study
from nnunetv2_strokesynth.io.dicom.export import (
    INFARCT,
    ISCHAEMIA,
    Segment,
    require_highdicom,
    source_images,
    write_capture,
    write_segmentation,
)
from nnunetv2_strokesynth.io.dicom.measurement_report import Volume, write_measurements

DICOM_FOLDER = "dicom"
SEGMENTATION_FILE, CAPTURE_FILE, REPORT_FILE = "segmentation.dcm", "page.dcm", "volumes.dcm"
_LESION = "predicted lesion"


def check_dicom_possible(study: Study) -> None:
    """Check that results can be linked to the study, before anything long is computed.

    Raises:
        ValueError: the study is no DICOM series, highdicom is not installed, or a header lacks an
            identifier.
    """
    if not study.dicom:
        raise ValueError(
            f"--dicom: {study.source} is no DICOM series, so there is nothing to link the results "
            "to; give the DICOM folder, or leave --dicom out"
        )
    require_highdicom()
    source_images(study.dicom)


def write_dicom(
    folder: Path,
    study: Study,
    numbers: ScanNumbers,
    *,
    picture: Path,
    lesion: np.ndarray | None = None,
) -> None:
    """Write a segmentation, a report of the volumes and a picture, linked to the study.

    Args:
        folder: of the results.
        study: came as DICOM.
        numbers: of the scan.
        picture: PNG of the page.
        lesion: bool (Z, Y, X); None without a model.

    Raises:
        ValueError: the headers of the study cannot be linked to.
    """
    from PIL import Image

    found = numbers.volumes
    segments = [
        Segment(_tmax(HYPOPERFUSED_S), found.hypoperfused, ISCHAEMIA),
        Segment(_rcbf(CORE_PERCENT), found.core, INFARCT),
    ]
    if lesion is not None:
        segments.insert(0, Segment(_LESION, lesion, INFARCT))
    undo = study.reference.reorientation.undo
    segments = [segment._replace(mask=undo(segment.mask)) for segment in segments]
    target = folder / DICOM_FOLDER
    target.mkdir()
    geometry = study.reference.stored.geometry
    masks = target / SEGMENTATION_FILE
    volumes = _volumes(numbers, lesion, [segment.label for segment in segments])
    rgb = np.asarray(Image.open(picture).convert("RGB"))
    try:
        write_segmentation(masks, segments, geometry, study.dicom)
        write_measurements(target / REPORT_FILE, volumes, masks, study.dicom)
        write_capture(target / CAPTURE_FILE, rgb, study.dicom)
    except (AttributeError, LookupError, TypeError) as error:  # a header that is not as it should
        raise ValueError(
            f"--dicom: nothing can be linked to the headers in {study.dicom[0].parent} "
            f"({error!r}); repair them, or leave --dicom out"
        ) from error


def _volumes(numbers: ScanNumbers, lesion: np.ndarray | None, segments: list[str]) -> list[Volume]:
    """The volumes of ``result.json`` or ``maps.json``, each with the segment of its label."""
    found = numbers.volumes.record()
    volumes = [
        *(Volume(_tmax(s), found[f"tmax_above_{s}s_ml"] or 0.0, ISCHAEMIA) for s in TMAX_ABOVE_S),
        *(
            Volume(_rcbf(percent), found[f"rcbf_below_{percent}pct_ml"] or 0.0, INFARCT)
            for percent in RCBF_BELOW_PERCENT
        ),
        Volume(
            f"mismatch, {_tmax(HYPOPERFUSED_S)} minus {_rcbf(CORE_PERCENT)}",
            found["mismatch_ml"] or 0.0,
        ),
        Volume("brain in the scan", numbers.ml(numbers.brain)),
    ]
    if lesion is not None:
        volumes.insert(0, Volume(_LESION, numbers.lesion_ml(lesion), INFARCT))
    numbered = {label: number for number, label in enumerate(segments, start=1)}
    return [volume._replace(segment=numbered.get(volume.label)) for volume in volumes]


def _tmax(seconds: int) -> str:
    return f"Tmax > {seconds} s"


def _rcbf(percent: int) -> str:
    return f"rCBF < {percent} %"
