"""The voxels of DICOM images: files of one image by GDCM, frames of multi-frame files by pydicom.

GDCM (in SimpleITK) knows all ways of compressing an image and needs no plug-in; pydicom reads one
frame out of a large file.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import get_decoder
from pydicom.uid import UID, CTImageStorage, generate_uid

_UNDEFINED = 0xFFFFFFFF
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_OPTIONS = {
    "rows": "Rows",
    "columns": "Columns",
    "samples_per_pixel": "SamplesPerPixel",
    "photometric_interpretation": "PhotometricInterpretation",
    "pixel_representation": "PixelRepresentation",
    "bits_allocated": "BitsAllocated",
    "bits_stored": "BitsStored",
}
PIXEL_TAGS = tuple(_OPTIONS.values())


class _Opened(NamedTuple):
    """Where the voxels of a multi-frame file begin, and how they are stored."""

    offset: int
    transfer_syntax: str
    options: Mapping[str, Any]


def is_complete(file: BinaryIO, header: Dataset) -> bool:
    """Whether all voxels are there; ``file`` stands where pydicom stopped before them."""
    offset, length = _value_of(file, header)
    end = file.seek(0, 2)
    if length != _UNDEFINED:
        return 0 < length <= end - offset
    place = offset
    while True:
        file.seek(place)
        start = file.read(8)
        if len(start) < 8 or start[:4] not in (_ITEM, _END):
            return False
        if start[:4] == _END:
            return True
        place += 8 + int(struct.unpack("<I", start[4:])[0])


def _value_of(file: BinaryIO, header: Dataset) -> tuple[int, int]:
    """Where the value of PixelData begins, and its length."""
    syntax = header.file_meta.get("TransferSyntaxUID") if hasattr(header, "file_meta") else None
    implicit, little = header.original_encoding
    order = "<" if little else ">"
    start = file.read(12)
    if len(start) < 12:
        return file.tell(), 0
    if implicit or (implicit is None and syntax is None):
        return file.tell() - 4, int(struct.unpack(order + "I", start[4:8])[0])
    return file.tell(), int(struct.unpack(order + "I", start[8:12])[0])


def read_pixels(
    path: Path, frame: int | None, rescale: tuple[float, float], shape_yx: tuple[int, int]
) -> np.ndarray:
    """One image, float32 (Y, X) in HU.

    Args:
        path: the file.
        frame: its number in a multi-frame file, from 0; None in a file of one image.
        rescale: slope and intercept of that frame.
        shape_yx: rows and columns.

    Raises:
        ValueError: it cannot be read, or has another shape.
    """
    if frame is None:
        voxels = _by_gdcm(path)
    else:
        voxels = _by_pydicom(path, frame).astype(np.float32) * rescale[0] + rescale[1]
    if voxels.shape != shape_yx:
        raise ValueError(
            f"{path}: voxels of shape {voxels.shape}, expected {shape_yx}; the file changed while "
            "it was read"
        )
    return voxels.astype(np.float32, copy=False)


def _by_gdcm(path: Path) -> np.ndarray:
    """Of a file of one image; RescaleSlope and RescaleIntercept are applied."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    try:
        voxels = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise ValueError(f"{path}: GDCM cannot read its voxels; copy or export it again") from error
    return voxels[0] if voxels.ndim == 3 and len(voxels) == 1 else voxels


def _by_pydicom(path: Path, frame: int) -> np.ndarray:
    """Of a multi-frame file, as stored."""
    try:
        state = path.stat()
        opened = _opened(path, state.st_mtime_ns, state.st_size)
        decoder = get_decoder(opened.transfer_syntax)
        decode: Any = decoder.as_array  # its options are typed by name
        with open(path, "rb") as file:
            file.seek(opened.offset)
            if not decoder.is_available:
                return _unpacked_by_gdcm(get_frame(file, frame, number_of_frames=None), opened)
            voxels, _ = decode(file, index=frame, raw=True, validate=False, **opened.options)
    except MemoryError:
        raise
    except Exception as error:  # pydicom and its plug-ins have errors of their own
        raise ValueError(
            f"{path}: frame {frame + 1} cannot be read ({error}); export the file again, without "
            "compression"
        ) from error
    return np.asarray(voxels)


def _unpacked_by_gdcm(code: bytes, opened: _Opened) -> np.ndarray:
    """A compressed frame as stored, for which pydicom would need a plug-in.

    GDCM reads files of one image: the frame is written to one, without any other tag.
    """
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
    for name, tag in _OPTIONS.items():
        setattr(image, tag, opened.options[name])
    image.HighBit = image.BitsStored - 1
    image.PixelData = encapsulate([code])
    image["PixelData"].is_undefined_length = True
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = UID(opened.transfer_syntax)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "frame"
        image.save_as(path, enforce_file_format=True)
        return _by_gdcm(path)


@lru_cache(maxsize=4)
def _opened(path: Path, mtime_ns: int, size: int) -> _Opened:  # noqa: ARG001  (a new file, a new entry)
    tags = [*PIXEL_TAGS, "NumberOfFrames"]
    with open(path, "rb") as file:
        header = dcmread(file, stop_before_pixels=True, specific_tags=tags)
        offset, _ = _value_of(file, header)
    options = {name: header.get(tag) for name, tag in _OPTIONS.items()}
    options |= {"number_of_frames": int(header.NumberOfFrames), "pixel_keyword": "PixelData"}
    options |= {"pixel_vr": "OW"}
    return _Opened(offset, str(header.file_meta.TransferSyntaxUID), options)
