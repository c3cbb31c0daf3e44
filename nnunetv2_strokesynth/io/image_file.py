"""Image files by SimpleITK, without its two traps.

SimpleITK 2.5 writes to a full disk without an error and leaves a file that ends early; reading that
file raises no error either. So what was written is read back and compared. And a file name that is
no UTF-8 ends the whole process.
"""

from __future__ import annotations

import errno
import gzip
import zlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunetv2_strokesynth.io.atomic import atomic_file


def simpleitk_name(path: str | Path) -> str:
    """A path as SimpleITK takes it.

    Raises:
        OSError: it holds bytes that are no UTF-8.
    """
    name = str(path)
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise OSError(
            errno.EILSEQ, "this name is no UTF-8, which SimpleITK cannot take; rename it", name
        ) from None
    return name


def write_image(path: Path, image: sitk.Image, *, compressed: bool = True) -> None:
    """Write an image, completely or not at all; the suffix chooses the format.

    Args:
        path: the file.
        image: the image.
        compressed: has no effect on NIfTI, whose suffix decides.

    Raises:
        OSError: it cannot be written, its name is no UTF-8, or it reads back with other voxels,
            as on a full disk.
    """
    simpleitk_name(path)
    with atomic_file(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=compressed)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise OSError(errno.EIO, f"the image cannot be written ({reason})", str(path)) from None
        if not _holds(temporary, image):
            raise OSError(
                errno.ENOSPC, "the image is not what was written; is the disk full?", str(path)
            )


def _holds(path: Path, image: sitk.Image) -> bool:
    """Whether the voxels in the file are those of the image."""
    if path.suffix == ".gz" and image.GetNumberOfComponentsPerPixel() == 1:
        return _ends_with_voxels(path, sitk.GetArrayViewFromImage(image))
    return _reads_back(path, image)


def _ends_with_voxels(path: Path, voxels: np.ndarray) -> bool:
    """The same for compressed NIfTI, which ends with its voxels: 3 times as fast as to read it."""
    try:
        content = gzip.decompress(path.read_bytes())  # checks length and checksum
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return False
    expected = np.ascontiguousarray(voxels).view(np.uint8).ravel()
    return np.array_equal(np.frombuffer(content, np.uint8)[-expected.size :], expected)


def _reads_back(path: Path, image: sitk.Image) -> bool:
    """Whether all finite voxels are as in the image: SimpleITK reads NaN in NIfTI as 0."""
    try:
        read = sitk.ReadImage(str(path))
    except RuntimeError:  # not even a whole header
        return False
    found, expected = (sitk.GetArrayViewFromImage(volume) for volume in (read, image))
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    return bool(((found == expected) | ~np.isfinite(expected)).all())
