"""Read masks, images and probabilities, and refuse those that do not lie on the same voxels.

The voxels of NIfTI files are read by nibabel. ITK's reader turns NaN and infinity into 0 and fills
a file that ends early with 0, without a word: half a lesion would be gone.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple, cast

import nibabel
import numpy as np
import SimpleITK as sitk
from nibabel.dataobj_images import DataobjImage
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from nnunetv2_strokesynth.io.image_file import simpleitk_name
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import SUFFIXES, Geometry
from nnunetv2_strokesynth.io.orientation import AS_STORED, reorientation_to

# Readers round differently (float32 headers, quaternions): a hundredth of a voxel is not a shift.
ORIGIN_TOLERANCE_VOXELS = 0.01
SPACING_TOLERANCE = 1e-3
DIRECTION_TOLERANCE = 1e-3
# Masks that were resampled or rescaled: ISLES 2024 has some with 0.9999999997 for 1.
LABEL_TOLERANCE = 1e-5
_DAMAGED = (OSError, EOFError, ValueError, zlib.error, HeaderDataError, ImageFileError)


class Volume(NamedTuple):
    """An image and where it lies.

    Attributes:
        array: ``(Z, Y, X)``.
        spacing_mm: ``(z, y, x)``.
        origin: x, y, z in mm, as SimpleITK gives it.
        direction: 9 cosines, as SimpleITK gives them.
        path: for messages.
    """

    array: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]
    path: Path


def read_image(path: Path) -> Volume:
    """Read a 3-D image of finite numbers.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read to its end, is not 3-D, or a voxel is NaN or infinite.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    reader = sitk.ImageFileReader()
    reader.SetFileName(simpleitk_name(path))
    try:
        reader.ReadImageInformation()
        if reader.GetDimension() != 3 or reader.GetNumberOfComponents() != 1:
            raise ValueError(f"{path} has shape {reader.GetSize()}, expected a 3-D image")
        array = None if _is_nifti(path) else sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error
    if array is None:
        array = _nifti_voxels(path, reader.GetSize()[::-1])
    check_finite(path, array)
    spacing_mm = tuple(reversed(reader.GetSpacing()))
    return Volume(array, spacing_mm, reader.GetOrigin(), reader.GetDirection(), path)


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


def _nifti_voxels(path: Path, shape_zyx: tuple[int, ...]) -> np.ndarray:
    try:
        voxels = np.asarray(cast(DataobjImage, nibabel.load(path)).dataobj)
    except _DAMAGED as error:
        raise ValueError(f"{path} is truncated or damaged ({error}); copy it again") from error
    return voxels.T.reshape(shape_zyx)  # without singleton axes behind the third


def check_finite(path: Path, array: np.ndarray) -> None:
    """Raise ``ValueError`` that says how many values of a file are NaN or infinite, if any are."""
    bad = int(array.size - np.count_nonzero(np.isfinite(array)))
    if bad:
        raise ValueError(
            f"{path} holds {bad} voxels that are NaN or infinite (of {array.size}), expected none. "
            "Find out what they stand for and write the file again."
        )


def read_mask(path: Path) -> Volume:
    """Read a lesion mask: label 1 is lesion, 0 is background, nothing else is allowed.

    Floating-point masks may miss 0 and 1 by ``LABEL_TOLERANCE``, as rescaled ones do.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: see ``read_image``; or a voxel has another value.
    """
    volume = read_image(path)
    is_one, is_zero = (_is_label(volume.array, label) for label in (1, 0))
    if not (is_one | is_zero).all():
        values = (f"{value:g}" for value in np.unique(volume.array))
        raise ValueError(
            f"{path} holds the values {name_some(values, at_most=6)}, expected only 0 "
            "(background) and 1 (lesion)"
        )
    return volume._replace(array=is_one)


def _is_label(array: np.ndarray, label: int) -> np.ndarray:
    if array.dtype.kind != "f":
        return array == label
    return np.abs(array - label) <= LABEL_TOLERANCE


def on_voxels_of(reference: Volume, other: Volume) -> Volume:
    """The other volume with its axes in the reference's order, where both lie on the same voxels.

    Raises:
        ValueError: they do not; names both files.
    """
    turn = reorientation_to(other.direction, reference.direction)
    if turn != AS_STORED:
        geometry = Geometry(other.spacing_mm, other.origin, other.direction)
        spacing, origin, direction = turn.geometry_of(geometry, other.array.shape)
        other = Volume(turn.apply(other.array), spacing, origin, direction, other.path)
    check_same_grid(reference, other)
    return other


def check_same_grid(reference: Volume, other: Volume) -> None:
    """Raise ``ValueError`` naming both files if two volumes do not lie on the same voxels."""
    spacing_xyz = np.asarray(reference.spacing_mm[::-1])
    shift = np.abs(np.subtract(reference.origin, other.origin)) / spacing_xyz
    checks = (
        ("shape", reference.array.shape, other.array.shape,
         reference.array.shape == other.array.shape),
        ("spacing (mm)", reference.spacing_mm, other.spacing_mm,
         np.allclose(reference.spacing_mm, other.spacing_mm, rtol=SPACING_TOLERANCE, atol=0)),
        ("direction", reference.direction, other.direction,
         np.allclose(reference.direction, other.direction, rtol=0, atol=DIRECTION_TOLERANCE)),
        ("origin (mm)", reference.origin, other.origin,
         bool((shift < ORIGIN_TOLERANCE_VOXELS).all())),
    )  # fmt: skip
    for what, expected, found, same in checks:
        if not same:
            expected, found = (tuple(round(float(v), 4) for v in t) for t in (expected, found))
            raise ValueError(
                f"{other.path} has {what} {found} but {reference.path} has {expected}. Both have "
                "to lie on the same voxels; export the prediction in the label's geometry."
            )


def read_lesion_probability(path: Path) -> np.ndarray:
    """Read the probability of lesion that nnU-Net wrote with ``--npz`` or ``--save_probabilities``.

    Args:
        path: ``<case>.npz`` with the array ``probabilities``, ``(C, Z, Y, X)``, on the voxels of
            the label beside it: two classes (softmax) or one region (sigmoid). Nothing is
            unpickled.

    Returns:
        ``(Z, Y, X)`` in [0, 1].

    Raises:
        ValueError: not such a file, more than two classes, or values that are no probabilities
            (NaN and infinity in either class included).
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            probs = archive["probabilities"]
    except (zipfile.BadZipFile, EOFError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is not a file of nnU-Net's probabilities: {error}") from error
    if probs.ndim != 4 or probs.shape[0] not in (1, 2) or probs.dtype.kind not in "fiu":
        raise ValueError(
            f"{path} holds {probs.dtype} of shape {probs.shape}, expected numbers (2, Z, Y, X): "
            "background and lesion"
        )
    check_finite(path, probs)
    lesion = probs[-1]
    if not (lesion.size and lesion.min() >= -1e-3 and lesion.max() <= 1 + 1e-3):
        raise ValueError(
            f"{path} holds values outside [0, 1], which are no probabilities{_range(lesion)}"
        )
    return lesion


def _range(array: np.ndarray) -> str:
    return f": {array.min():g} to {array.max():g}" if array.size else ": no voxel"


def check_probability_matches_label(probs: np.ndarray, label: Volume, npz: Path) -> None:
    """Raise ``ValueError`` unless the label file beside the probabilities is their argmax.

    It guards against axes in another order or direction (readers that reorient images store their
    probabilities in their own orientation) and against files of two different runs. One voxel in
    a hundred may differ: half-precision ties.
    """
    if probs.shape != label.array.shape:
        raise ValueError(
            f"{npz} has shape {probs.shape} but {label.path} has {label.array.shape}; predict again"
        )
    argmax = probs > 0.5
    differing = int(np.count_nonzero(argmax != label.array))
    if differing > 10 + 0.01 * np.count_nonzero(argmax | label.array):
        raise ValueError(
            f"{npz} does not belong to {label.path}: the label is not the argmax of the "
            f"probabilities in {differing} voxels. Either the label was post-processed, or the two "
            "come from different runs, or nnU-Net's reader turned the image; predict again into an "
            "empty folder."
        )
