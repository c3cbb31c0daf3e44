"""Writes enhanced multi-frame CT with pydicom: standard, and converted from single images."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from dicom_files import ORIGIN, SPACING, START, STUDY, write_slice
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    LegacyConvertedEnhancedCTImageStorage,
)


def _group(**values: object) -> Items:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return Items([item])


def write_enhanced(
    path: Path,
    ctp: np.ndarray,
    *,
    times_s: Sequence[float],
    legacy: bool = False,
    slopes: Sequence[float] | None = None,
    groups: bool = True,
    compressed: bool = False,
) -> Path:
    """One file with all frames of all slices, in an order of its own.

    Args:
        path: the file.
        ctp: integers (T, Z, Y, X) in HU, which the slopes must be able to store.
        times_s: (T,) of the frames.
        legacy: as converted from single images: times and numbers lie among the "unassigned" tags.
        slopes: RescaleSlope of each frame in time; 1 if not given.
        groups: whether there are functional groups.
        compressed: as SimpleITK compresses single images (JPEG 2000).
    """
    n_frames, n_slices, n_rows, n_columns = ctp.shape
    slopes = [1.0] * n_frames if slopes is None else slopes
    order = np.random.default_rng(5).permutation(n_frames * n_slices)
    header, stored, per_frame = Dataset(), [], []
    for index in order:
        t, z = divmod(int(index), n_slices)
        stored.append(np.rint((ctp[t, z] + 1024) / slopes[t]).astype("<u2"))
        moment = START + datetime.timedelta(seconds=float(times_s[t]))
        place = [ORIGIN[0], ORIGIN[1], ORIGIN[2] + z * SPACING[0]]
        own = Dataset()
        own.PlanePositionSequence = _group(ImagePositionPatient=[str(mm) for mm in place])
        own.PixelValueTransformationSequence = _group(
            RescaleSlope=str(slopes[t]), RescaleIntercept="-1024", RescaleType="HU"
        )
        if legacy:
            own.UnassignedPerFrameConvertedAttributesSequence = _group(
                AcquisitionDate=moment.strftime("%Y%m%d"),
                AcquisitionTime=moment.strftime("%H%M%S.%f"),
            )
        else:
            own.FrameContentSequence = _group(
                FrameAcquisitionDateTime=moment.strftime("%Y%m%d%H%M%S.%f"),
                TemporalPositionIndex=t + 1,
            )
        per_frame.append(own)
    shared = Dataset()
    shared.PixelMeasuresSequence = _group(
        PixelSpacing=[str(SPACING[1]), str(SPACING[2])], SliceThickness=str(SPACING[0])
    )
    shared.PlaneOrientationSequence = _group(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])
    shared.CTImageFrameTypeSequence = _group(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"])
    kind = LegacyConvertedEnhancedCTImageStorage if legacy else EnhancedCTImageStorage
    header.SOPClassUID, header.SOPInstanceUID = kind, f"{STUDY}.77.1"
    header.StudyInstanceUID, header.SeriesInstanceUID = STUDY, f"{STUDY}.77"
    header.Modality, header.SeriesDescription = "CT", "Perfusion"
    header.PatientName, header.PatientID = "DOE^JANE", "PID77"
    header.AcquisitionDateTime = START.strftime("%Y%m%d%H%M%S.%f")
    header.InstanceNumber, header.NumberOfFrames = 1, len(order)
    header.Rows, header.Columns, header.SamplesPerPixel = n_rows, n_columns, 1
    header.PhotometricInterpretation, header.PixelRepresentation = "MONOCHROME2", 0
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    if groups:
        header.SharedFunctionalGroupsSequence = Items([shared])
        header.PerFrameFunctionalGroupsSequence = Items(per_frame)
    path.parent.mkdir(parents=True, exist_ok=True)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.PixelData = np.stack(stored).tobytes()
    if compressed:
        _compress(header, path.with_suffix(".tmp"), np.stack(stored))
    header.save_as(path, enforce_file_format=True)
    return path


def _compress(header: Dataset, scratch: Path, stored: np.ndarray) -> None:
    """Replace the voxels by code that SimpleITK makes, one image at a time."""
    codes = []
    for plane in stored:
        image = sitk.GetImageFromArray(plane[None])
        single = dcmread(write_slice(scratch, image, {"0008|0060": "CT"}, compressed=True))
        codes.append(get_frame(single.PixelData, 0, number_of_frames=1))
    scratch.unlink()
    header.file_meta.TransferSyntaxUID = single.file_meta.TransferSyntaxUID
    header.PixelData = encapsulate(codes)
    header["PixelData"].is_undefined_length = True
