"""Compressed NIfTI files with a sane header, equal in their bytes where images are equal."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np

from nnunetv2_strokesynth.io.orientation import CANONICAL
from nnunetv2_strokesynth.phantom.timetable import FRAME_S

_DATA_OFFSET = 352
_COMPRESSION = 1
"""At gzip's usual level a CTP of full size would take minutes, and noise hardly shrinks."""


def write_sane_nifti(
    path: Path,
    volume: np.ndarray,
    affine: np.ndarray,
    order: str = CANONICAL,
    *,
    frame_s: float = FRAME_S,
    slope: float | None = None,
) -> None:
    """Write (Z, Y, X) or (T, Z, Y, X) as a compressed NIfTI file that holds no time and no name.

    nibabel by itself may store both, so that equal images would differ in their bytes.

    Args:
        path: the file.
        volume: in ``LPS`` order.
        affine: of the volume.
        order: in which its axes are stored.
        frame_s: time between the frames of a series.
        slope: of the header, where numbers are stored as int16; what is too large is clipped.
    """
    axes = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(affine), nibabel.orientations.axcodes2ornt(tuple(order))
    )
    stored = volume if slope is None else _as_integers(volume, slope)
    image = nibabel.Nifti1Image(stored.T, affine).as_reoriented(axes)
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    if volume.ndim == 4:
        image.header["pixdim"][4] = frame_s
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        open(path, "wb") as file,
        gzip.GzipFile("", "wb", _COMPRESSION, fileobj=file, mtime=0) as compressed,
    ):
        if slope is None:
            image.to_stream(compressed)
        else:  # nibabel writes no slope of the caller's
            image.header.set_slope_inter(slope, 0)
            image.header["vox_offset"] = _DATA_OFFSET
            voxels = np.asarray(image.dataobj).tobytes(order="F")
            compressed.write(image.header.binaryblock.ljust(_DATA_OFFSET, b"\0") + voxels)


def _as_integers(volume: np.ndarray, slope: float) -> np.ndarray:
    limits = np.iinfo(np.int16)
    return np.clip(np.rint(volume / slope), limits.min, limits.max).astype(np.int16)
