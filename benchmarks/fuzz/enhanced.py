"""Enhanced multi-frame CT for the fuzz: standard, and converted from single images."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    LegacyConvertedEnhancedCTImageStorage,
)

START = datetime.datetime(2020, 1, 1, 12, 0, 0)
STUDY = "1.2.826.0.1.3680043.9.7.1"
SIDE_MM, THICKNESS_MM = 6.0, 8.0


def _items(**values: object) -> Sequence:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return Sequence([item])


def _frame(moment: datetime.datetime, z: int, t: int, *, legacy: bool) -> Dataset:
    """The functional groups of one image."""
    own = Dataset()
    place = ["0", "0", str(z * THICKNESS_MM)]
    own.PlanePositionSequence = _items(ImagePositionPatient=place)
    own.PixelValueTransformationSequence = _items(
        RescaleSlope="1", RescaleIntercept="-1024", RescaleType="HU"
    )
    if legacy:
        own.UnassignedPerFrameConvertedAttributesSequence = _items(
            AcquisitionDate=moment.strftime("%Y%m%d"), AcquisitionTime=moment.strftime("%H%M%S.%f")
        )
    else:
        stamp = moment.strftime("%Y%m%d%H%M%S.%f")
        own.FrameContentSequence = _items(FrameAcquisitionDateTime=stamp, TemporalPositionIndex=t)
    return own


def write_enhanced(path: Path, series: np.ndarray, frame_s: float, *, legacy: bool) -> None:
    """All images of a series in one file.

    Args:
        path: the file.
        series: (T, Z, Y, X), HU.
        frame_s: seconds from one frame to the next.
        legacy: as converted from single images.
    """
    header, frames = Dataset(), []
    for t in range(len(series)):
        moment = START + datetime.timedelta(seconds=t * frame_s)
        frames += [_frame(moment, z, t + 1, legacy=legacy) for z in range(series.shape[1])]
    shared = Dataset()
    shared.PixelMeasuresSequence = _items(
        PixelSpacing=[str(SIDE_MM), str(SIDE_MM)], SliceThickness=str(THICKNESS_MM)
    )
    shared.PlaneOrientationSequence = _items(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])
    kind = LegacyConvertedEnhancedCTImageStorage if legacy else EnhancedCTImageStorage
    header.SOPClassUID, header.SOPInstanceUID = kind, f"{STUDY}.1.1"
    header.StudyInstanceUID, header.SeriesInstanceUID = STUDY, f"{STUDY}.1"
    header.Modality, header.SeriesDescription = "CT", "Perfusion"
    header.AcquisitionDateTime = START.strftime("%Y%m%d%H%M%S.%f")
    header.InstanceNumber, header.NumberOfFrames = 1, len(frames)
    header.Rows, header.Columns, header.SamplesPerPixel = *series.shape[2:], 1
    header.PhotometricInterpretation, header.PixelRepresentation = "MONOCHROME2", 0
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.SharedFunctionalGroupsSequence = Sequence([shared])
    header.PerFrameFunctionalGroupsSequence = Sequence(frames)
    header.PixelData = (np.clip(series, -1024, None) + 1024).astype("<u2").tobytes()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)
