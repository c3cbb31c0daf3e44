"""Volumes in mL as a DICOM structured report of the study they come from.

A Comprehensive SR with a measurement report (DICOM PS3.16, TID 1500): a group for each volume,
named by its tracking identifier, which refers to the segment it belongs to where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nnunetv2_strokesynth import __version__
from nnunetv2_strokesynth.io.dicom.export import (
    MANUFACTURER,
    MODEL,
    REPORT_NUMBER,
    identity,
    source_images,
)

if TYPE_CHECKING:
    from pydicom import Dataset


class Volume(NamedTuple):
    """One volume.

    Attributes:
        label: what it is of, such as ``Tmax > 6 s``.
        ml: mL.
        code: SNOMED CT code and meaning of the finding; None for none, as of the brain.
        segment: its number in the segmentation, from 1; None where it has no segment.
    """

    label: str
    ml: float
    code: tuple[str, str] | None = None
    segment: int | None = None


def write_measurements(
    path: Path, volumes: Sequence[Volume], segmentation: Path, source: Sequence[Path]
) -> None:
    """Write volumes as a structured report, preliminary and not verified.

    Args:
        path: of the file.
        volumes: at least one.
        segmentation: DICOM-SEG that holds the segments.
        source: the files of one frame of the series, those that ``segmentation`` was written of.
    """
    import highdicom as hd
    from pydicom import dcmread
    from pydicom.sr.codedict import codes

    masks = dcmread(segmentation)
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=hd.UID(), name=f"{MANUFACTURER} {__version__}", model_name=MODEL
    )
    observer = hd.sr.ObserverContext(codes.DCM.Device, device)
    content = hd.sr.MeasurementReport(
        hd.sr.ObservationContext(observer_device_context=observer),
        procedure_reported=codes.LN.CTPerfusionHeadWithContrastIV,
        imaging_measurements=[_group(volume, masks) for volume in volumes],
    )
    written = hd.sr.ComprehensiveSR(
        evidence=[*source_images(source), masks],
        content=content,
        series_number=REPORT_NUMBER,
        is_complete=True,
        series_description="strokesynth: volumes (research only)",
        **identity(),
    )
    written.save_as(path)


def _group(volume: Volume, masks: Dataset) -> Any:
    """The measurement group of one volume."""
    import highdicom as hd
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    common: dict[str, Any] = {
        "tracking_identifier": hd.sr.TrackingIdentifier(hd.UID(), volume.label),
        "finding_type": Code(volume.code[0], "SCT", volume.code[1]) if volume.code else None,
        "finding_sites": [hd.sr.FindingSite(codes.SCT.Brain)],
        "measurements": [
            hd.sr.Measurement(codes.SCT.Volume, volume.ml, Code("mL", "UCUM", "milliliter"))
        ],
    }
    if volume.segment is None:
        return hd.sr.MeasurementsAndQualitativeEvaluations(**common)
    segment = hd.sr.ReferencedSegment.from_segmentation(masks, volume.segment)
    return hd.sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        **common, referenced_segment=segment
    )
