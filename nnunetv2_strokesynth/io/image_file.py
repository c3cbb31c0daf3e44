"""Writing images with SimpleITK, without its two traps.

SimpleITK 2.5 reports no error when the disk is full: it leaves a file that ends early, and reading
that file raises no error either. So every written file is read back and compared. A file name that
is not UTF-8 makes SimpleITK end the whole process. So such names are refused.
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
    """A path as text for SimpleITK.

    Raises:
        OSError: it holds bytes that are not UTF-8.
    """
    name = str(path)
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise OSError(
            errno.EILSEQ, "this name is not UTF-8, which SimpleITK cannot use; rename it", name
        ) from None
    return name


def write_image(path: Path, image: sitk.Image, *, compressed: bool = True) -> None:
    """Write an image, completely or not at all; the suffix chooses the format.

    Args:
        path: the file.
        image: the image.
        compressed: whether other formats than NIfTI are compressed; NIfTI's suffix decides.

    Raises:
        OSError: it cannot be written, its name is not UTF-8, or it reads back with other voxels,
            as happens when the disk is full.
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
    """Whether the file holds the voxels of the image."""
    if path.suffix == ".gz" and image.GetNumberOfComponentsPerPixel() == 1:
        return _ends_with_voxels(path, sitk.GetArrayViewFromImage(image))
    return _reads_back(path, image)


def _ends_with_voxels(path: Path, voxels: np.ndarray) -> bool:
    """The same for compressed NIfTI, which ends with its voxels: 3 times as fast as reading it."""
    try:
        content = gzip.decompress(path.read_bytes())  # checks length and checksum
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return False
    expected = np.ascontiguousarray(voxels).view(np.uint8).ravel()
    return np.array_equal(np.frombuffer(content, np.uint8)[-expected.size :], expected)


def _reads_back(path: Path, image: sitk.Image) -> bool:
    """Whether the finite voxels equal those of the image; SimpleITK reads NaN in NIfTI as 0."""
    try:
        read = sitk.ReadImage(str(path))
    except RuntimeError:  # not even a whole header
        return False
    found, expected = (sitk.GetArrayViewFromImage(volume) for volume in (read, image))
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return False
    return bool(((found == expected) | ~np.isfinite(expected)).all())
