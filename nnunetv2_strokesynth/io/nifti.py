"""Reading scans whose NIfTI headers cannot always be trusted, and writing volumes.

In ISLES 2018 the header's voxel sizes are right and its orientation is wrong: ``sform`` is an
identity matrix, ``qform_code`` is 0. So ``read_header`` reads the voxel sizes alone, and such a
scan is written with identity directions and the origin at 0. ``read_geometry`` is for releases
whose headers are right. Arrays are (Z, Y, X) and (T, Z, Y, X), as SimpleITK orders the axes.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import NamedTuple, cast

import nibabel
import numpy as np
import SimpleITK as sitk
from nibabel.dataobj_images import DataobjImage
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from nnunetv2_strokesynth.io.image_file import write_image

SUFFIXES = (".nii", ".nii.gz")
_HEADER_BYTES = 348
_DAMAGED = (OSError, EOFError, ValueError, zlib.error, HeaderDataError, ImageFileError)
_NIFTI_MAGIC = (b"n+1", b"ni1")
_SHEAR_TOLERANCE = 0.01
_MOST_COMPRESSION = 1032  # no gzip file unpacks to more than this many times its size


class Geometry(NamedTuple):
    """Where voxels lie, in SimpleITK's coordinates (LPS).

    Attributes:
        spacing_zyx_mm: voxel sizes.
        origin_xyz_mm: centre of the first voxel.
        direction: 3 x 3 direction cosines, row by row; each column is the direction of an axis, x,
            y and z.
    """

    spacing_zyx_mm: tuple[float, float, float]
    origin_xyz_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


class VolumeHeader(NamedTuple):
    """What the header of one file says.

    Attributes:
        path: the file.
        disk_shape: (X, Y, Z, ...) as stored.
        shape_zyx: spatial shape.
        n_frames: frames along the time axis; 1 for a 3-D file. Singleton axes do not count.
        spacing_zyx_mm: voxel sizes.
    """

    path: Path
    disk_shape: tuple[int, ...]
    shape_zyx: tuple[int, int, int]
    n_frames: int
    spacing_zyx_mm: tuple[float, float, float]


def strip_suffix(name: str) -> str:
    """A file's name without ``.nii`` or ``.nii.gz``."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def nifti_files(folder: Path) -> list[Path]:
    """The NIfTI files in a folder and below it but for hidden ones, sorted by path."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".")
    )


def read_header(path: Path) -> VolumeHeader:
    """Read and check one file's header; an uncompressed file must be as long as its header says.

    Raises:
        ValueError: the file is empty, truncated, or neither 3-D nor 4-D NIfTI-1; its voxels are not
            plain numbers, or its voxel sizes are not positive.
        OSError: the file cannot be opened.
    """
    header = raw_header(path)
    disk_shape = tuple(int(n) for n in header.get_data_shape())
    frames = [n for n in disk_shape[3:] if n != 1]
    if len(disk_shape) < 3 or len(frames) > 1 or min(disk_shape) < 1:
        raise ValueError(f"{path}: shape {disk_shape}, expected (X, Y, Z) or (X, Y, Z, T)")
    _check_length(path, header)
    spacing = tuple(float(size) for size in header["pixdim"][1:4])
    if not all(math.isfinite(size) and size > 0 for size in spacing):
        raise ValueError(f"{path}: voxel sizes {spacing} mm (pixdim), expected positive numbers")
    return VolumeHeader(
        path,
        disk_shape,
        shape_zyx=(disk_shape[2], disk_shape[1], disk_shape[0]),
        n_frames=frames[0] if frames else 1,
        spacing_zyx_mm=(spacing[2], spacing[1], spacing[0]),
    )


def read_volume(path: Path) -> np.ndarray:
    """Read the voxels of a file that passed ``read_header``, without its singleton axes.

    An uncompressed float32 file, such as a perfusion series of ISLES 2018, is mapped and not
    copied, so that a series needs about its own size of memory.

    Returns:
        float32 (Z, Y, X), or (T, Z, Y, X) for a series.

    Raises:
        ValueError: the voxels end early or cannot be decompressed.
    """
    try:
        voxels = np.asarray(cast(DataobjImage, nibabel.load(path)).dataobj, dtype=np.float32)
    except _DAMAGED as error:
        raise ValueError(f"{path}: truncated or damaged ({error}); copy it again") from error
    except MemoryError as error:
        raise ValueError(
            f"{path}: its {math.prod(read_header(path).disk_shape)} voxels do not fit into memory"
        ) from error
    trailing = tuple(axis for axis in range(3, voxels.ndim) if voxels.shape[axis] == 1)
    return voxels.squeeze(trailing).T


def require_finite(name: str, volume: np.ndarray) -> np.ndarray:
    """The volume itself.

    Args:
        name: what to call it in the error message.
        volume: any shape.

    Raises:
        ValueError: a voxel is NaN or infinite.
    """
    bad = int(volume.size - np.isfinite(volume).sum())
    if bad:
        raise ValueError(f"{name} holds {bad} voxels that are NaN or infinite, expected none")
    return volume


def read_geometry(path: Path) -> Geometry:
    """Where the voxels of a file lie, for releases whose headers can be trusted.

    SimpleITK needs orthogonal axes, and those of single-precision headers are so only roughly: the
    nearest orthogonal ones are returned.

    Raises:
        ValueError: the header says nothing about positions or contradicts itself, or the axes are
            sheared by more than rounding.
    """
    header = raw_header(path)
    affine = nibabel.Nifti1Header(header.binaryblock, check=False).get_best_affine()
    ras_to_lps = np.diag([-1.0, -1.0, 1.0])
    axes = ras_to_lps @ affine[:3, :3]
    sizes = np.linalg.norm(axes, axis=0)
    if not (np.isfinite(affine).all() and (sizes > 0).all()):
        raise ValueError(f"{path}: its axes {axes.tolist()} cannot be used, expected numbers")
    if not (header["sform_code"] > 0 or header["qform_code"] > 0):
        raise ValueError(
            f"{path}: its header does not say where its voxels lie (sform_code and qform_code are "
            "0); convert it again from the scanner's files"
        )
    if not orientation_is_known(path):
        raise ValueError(
            f"{path}: its header contradicts itself, voxels of {np.round(sizes, 3).tolist()} mm by "
            f"its affine and {read_header(path).spacing_zyx_mm[::-1]} mm by pixdim; repair it"
        )
    cosines = axes / sizes
    left, _, right = np.linalg.svd(cosines)
    direction = left @ right
    found = np.round(cosines, 3).tolist()
    if np.abs(direction - cosines).max() > _SHEAR_TOLERANCE:
        raise ValueError(
            f"{path}: its axes are not orthogonal (direction cosines {found}); resample it"
        )
    x_mm, y_mm, z_mm = ras_to_lps @ affine[:3, 3]
    return Geometry(
        read_header(path).spacing_zyx_mm,
        (float(x_mm), float(y_mm), float(z_mm)),
        tuple(float(value) for value in direction.ravel()),
    )


def orientation_is_known(path: Path) -> bool:
    """Whether a header says how the head lies, and does not contradict itself.

    It says nothing where both codes are 0. It contradicts itself where its affine has other voxel
    sizes than ``pixdim``, as in ISLES 2018, whose affine is an identity matrix, or where ``sform``
    and ``qform`` name other axes.
    """
    header = nibabel.Nifti1Header(raw_header(path).binaryblock, check=False)
    codes = int(header["sform_code"]), int(header["qform_code"])
    if not any(code > 0 for code in codes):
        return False
    affine = header.get_best_affine()
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.allclose(sizes, read_header(path).spacing_zyx_mm[::-1], rtol=0.01):
        return False
    return min(codes) <= 0 or _same_axes(header)


def _same_axes(header: nibabel.Nifti1Header) -> bool:
    """Whether sform and qform, which are both set, name the same axes; a broken one names none."""
    try:
        affines = (header.get_sform(), header.get_qform())
        orders = [nibabel.aff2axcodes(affine) for affine in affines]
    except (HeaderDataError, ValueError, np.linalg.LinAlgError):
        return True
    return orders[0] == orders[1]


def write_volume(path: Path, volume: np.ndarray, geometry: Geometry) -> None:
    """Write (Z, Y, X) as compressed NIfTI.

    The bytes depend on the arguments only, because SimpleITK leaves the time out of the gzip
    header. Its ``compressionLevel`` has no effect on NIfTI (1 to 9 gave the same file, in 0.05 s
    for 8 slices of 256 x 256), so it is not set.
    """
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume))
    image.SetSpacing(geometry.spacing_zyx_mm[::-1])
    image.SetOrigin(geometry.origin_xyz_mm)
    image.SetDirection(geometry.direction)
    write_image(path, image)


def raw_header(path: Path) -> nibabel.Nifti1Header:
    """The header as stored; nibabel's own loader repairs negative voxel sizes silently.

    Raises:
        ValueError: the file is empty or not NIfTI-1, or its voxels are not plain numbers.
        OSError: the file cannot be opened.
    """
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty (0 bytes); copy it again")
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opener(path, "rb") as file:
            header = nibabel.Nifti1Header(file.read(_HEADER_BYTES), check=False)
        header.get_data_dtype()
        known = bytes(header["magic"])[:3] in _NIFTI_MAGIC
    except (EOFError, gzip.BadGzipFile, zlib.error, WrapStructError, HeaderDataError, KeyError):
        known = False
    if not known:
        raise ValueError(f"{path}: not a NIfTI-1 file, or its header is damaged; copy it again")
    if header.get_data_dtype().kind not in "iuf":
        raise ValueError(f"{path}: voxels of type {header.get_data_dtype()}, expected numbers")
    return header


def _check_length(path: Path, header: nibabel.Nifti1Header) -> None:
    """Refuse a file that is shorter than its header says, before any memory is allocated."""
    offset = float(header["vox_offset"])
    if not (math.isfinite(offset) and offset >= 0):
        raise ValueError(f"{path}: vox_offset {offset:g} in the header, expected 352 or more")
    n_voxels = math.prod(int(n) for n in header.get_data_shape())
    expected = int(offset) + n_voxels * header.get_data_dtype().itemsize
    found, kind = path.stat().st_size, ""
    if path.suffix.lower() == ".gz":
        found, kind = found * _MOST_COMPRESSION, "at most "
    if found < expected:
        raise ValueError(
            f"{path}: truncated, {kind}{found} bytes of the {expected} that its header announces; "
            "copy it again"
        )
