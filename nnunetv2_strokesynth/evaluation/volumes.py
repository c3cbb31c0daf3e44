"""Read masks, images and probabilities, and refuse those that do not lie on the same voxels."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk

from nnunetv2_strokesynth.io.image_file import simpleitk_name
from nnunetv2_strokesynth.io.messages import name_some

# Readers round differently (float32 headers, quaternions): a hundredth of a voxel is not a shift.
ORIGIN_TOLERANCE_VOXELS = 0.01
SPACING_TOLERANCE = 1e-3
DIRECTION_TOLERANCE = 1e-3


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
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    path: Path


def read_volume(path: Path) -> Volume:
    """Read a 3-D image.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read, or is not 3-D.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        image = sitk.ReadImage(simpleitk_name(path))
    except RuntimeError as error:
        raise ValueError(f"{path} cannot be read as an image: {error}") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError(f"{path} has shape {image.GetSize()}, expected a 3-D image")
    spacing_mm = tuple(reversed(image.GetSpacing()))
    array = sitk.GetArrayFromImage(image)
    return Volume(array, spacing_mm, image.GetOrigin(), image.GetDirection(), path)


def read_image(path: Path) -> Volume:
    """Read an image of finite numbers; raises ``ValueError`` if a voxel is NaN or infinite."""
    volume = read_volume(path)
    if not np.isfinite(volume.array).all():
        raise ValueError(f"{path} holds NaN or infinite values")
    return volume


def read_mask(path: Path) -> Volume:
    """Read a lesion mask: label 1 is lesion, 0 is background, nothing else is allowed."""
    volume = read_volume(path)
    values = np.unique(volume.array)
    if not np.isin(values, (0, 1)).all():
        shown = name_some((f"{value:g}" for value in values), at_most=6)
        raise ValueError(
            f"{path} holds the values {shown}, expected only 0 (background) and 1 (lesion)"
        )
    return volume._replace(array=volume.array == 1)


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
        ValueError: not such a file, more than two classes, or values that are no probabilities.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            probs = archive["probabilities"]
    except (zipfile.BadZipFile, EOFError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is not a file of nnU-Net's probabilities: {error}") from error
    if probs.ndim != 4 or probs.shape[0] not in (1, 2):
        raise ValueError(
            f"{path} holds an array of shape {probs.shape}, expected (2, Z, Y, X): background and "
            "lesion"
        )
    lesion = probs[-1]
    # NaN fails both comparisons.
    if not (lesion.size and lesion.min() >= -1e-3 and lesion.max() <= 1 + 1e-3):
        raise ValueError(f"{path} holds values outside [0, 1], which are no probabilities")
    return lesion


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
