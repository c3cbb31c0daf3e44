"""Results as DICOM objects of the study they come from, for a PACS: masks and a picture.

``measurement_report.py`` writes the volumes.

They carry the patient's identifiers, which highdicom copies from the images. highdicom is the extra
``[dicom]`` and is imported when it is needed.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nnunetv2_strokesynth import __version__
from nnunetv2_strokesynth.io.nifti import Geometry

if TYPE_CHECKING:
    from pydicom import Dataset

MANUFACTURER = "nnunetv2_strokesynth"
MODEL = "research only, not a medical device"
_SEGMENTATION_NUMBER, _CAPTURE_NUMBER, REPORT_NUMBER = 9001, 9002, 9003
"""Series numbers. Choice: above those of the scanner's own series."""
INFARCT, ISCHAEMIA = ("55641003", "Infarct"), ("52674009", "Ischemia")
"""SNOMED CT codes and meanings."""
_IDENTIFIERS = (
    "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID",
)  # fmt: skip
_MAY_BE_EMPTY = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID",
    "StudyDate", "StudyTime",
)  # fmt: skip
"""Of type 2 in the modules Patient and General Study, DICOM PS3.3 C.7.1.1 and C.7.2.1."""


# It announces every module of attributes that it copies.
logging.getLogger("highdicom").setLevel(logging.WARNING)


class Segment(NamedTuple):
    """One mask.

    Attributes:
        label: what a viewer shows.
        mask: bool (Z, Y, X), on the stored voxels.
        code: ``INFARCT`` or ``ISCHAEMIA``.
    """

    label: str
    mask: np.ndarray
    code: tuple[str, str]


def require_highdicom() -> None:
    """Raise ``ValueError`` that says how to install highdicom, if it is not there."""
    if importlib.util.find_spec("highdicom") is None:
        raise ValueError(
            "--dicom needs highdicom, which is not installed: pip install "
            "'nnunetv2_strokesynth[dicom]'"
        )


def write_segmentation(
    path: Path, segments: Sequence[Segment], geometry: Geometry, source: Sequence[Path]
) -> None:
    """Write masks as a binary DICOM-SEG, a segment for each; empty ones are kept.

    Args:
        path: of the file.
        segments: at least one; they may overlap.
        geometry: of the masks' voxels, in the frame of reference of ``source``.
        source: the files of one frame of the series.
    """
    import highdicom as hd
    from pydicom.sr.coding import Code

    category = Code("49755003", "SCT", "Morphologically Abnormal Structure")
    family = Code("123110", "DCM", "Artificial Intelligence")
    algorithm = hd.AlgorithmIdentificationSequence(MANUFACTURER, family, __version__)
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=segment.label,
            segmented_property_category=category,
            segmented_property_type=Code(segment.code[0], "SCT", segment.code[1]),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number, segment in enumerate(segments, start=1)
    ]
    pixels = np.stack([segment.mask for segment in segments], axis=-1).astype(np.uint8)
    written = hd.seg.Segmentation(
        source_images=source_images(source),
        pixel_array=pixels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_number=_SEGMENTATION_NUMBER,
        manufacturer_model_name=MODEL,
        software_versions=__version__,
        device_serial_number="0",
        content_label="STROKESYNTH",
        content_description="Research only",
        series_description="strokesynth: lesion, Tmax, core (research only)",
        omit_empty_frames=False,
        **_places(geometry, len(pixels)),
        **identity(),
    )
    written.save_as(path)


def write_capture(path: Path, rgb: np.ndarray, source: Sequence[Path]) -> None:
    """Write a picture as a secondary capture of the same study.

    Args:
        path: of the file.
        rgb: (rows, columns, 3) uint8. Axial slices in it have the patient's right on the left.
        source: files of the series.
    """
    import highdicom as hd

    written = hd.sc.SCImage.from_ref_dataset(
        ref_dataset=source_images(source[:1])[0],
        pixel_array=np.ascontiguousarray(rgb),
        photometric_interpretation=hd.PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=hd.CoordinateSystemNames.PATIENT,
        patient_orientation=("L", "P"),
        series_number=_CAPTURE_NUMBER,
        series_description="strokesynth: page (research only)",
        **identity(),
    )
    written.save_as(path)


def identity() -> dict[str, Any]:
    """What is the same in all that is written: new identifiers, and who wrote it."""
    from pydicom.uid import generate_uid

    return {
        "series_instance_uid": generate_uid(),
        "sop_instance_uid": generate_uid(),
        "instance_number": 1,
        "manufacturer": MANUFACTURER,
    }


def source_images(source: Sequence[Path]) -> list[Dataset]:
    """The headers of the files, each once: all frames of an enhanced file lie in one.

    What DICOM allows to be empty, and anonymised files often leave out, is there and empty.

    Raises:
        ValueError: a file lacks an identifier that links the results to it.
    """
    from pydicom import dcmread

    headers: list[Dataset] = []
    for path in dict.fromkeys(source):
        header = dcmread(path, stop_before_pixels=True)
        for name in _IDENTIFIERS:
            if not header.get(name):
                raise ValueError(
                    f"--dicom: {path} has no {name}, so nothing can be linked to it; repair it, "
                    "or leave --dicom out"
                )
        for name in _MAY_BE_EMPTY:
            if name not in header:
                setattr(header, name, "")
        headers.append(header)
    return headers


def _places(geometry: Geometry, n_slices: int) -> Mapping[str, Any]:
    """Voxel sizes, orientation and position of each plane, as highdicom takes them."""
    import highdicom as hd

    direction = np.reshape(geometry.direction, (3, 3))
    spacing_z, *spacing_yx = geometry.spacing_zyx_mm
    step = spacing_z * direction[:, 2]
    positions = [np.asarray(geometry.origin_xyz_mm) + k * step for k in range(n_slices)]
    return {
        "pixel_measures": hd.PixelMeasuresSequence(
            pixel_spacing=[float(size) for size in spacing_yx],
            slice_thickness=float(spacing_z),
            spacing_between_slices=float(spacing_z),
        ),
        "plane_orientation": hd.PlaneOrientationSequence(
            coordinate_system=hd.CoordinateSystemNames.PATIENT,
            image_orientation=[float(v) for v in (*direction[:, 0], *direction[:, 1])],
        ),
        "plane_positions": [
            hd.PlanePositionSequence(
                coordinate_system=hd.CoordinateSystemNames.PATIENT,
                image_position=[float(v) for v in position],
            )
            for position in positions
        ],
    }
