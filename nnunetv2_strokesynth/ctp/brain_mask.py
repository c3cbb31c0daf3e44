"""Where the brain is: from perfusion maps, or from a CT by densities alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

CLOSING_PX = 3
"""Bridges gaps up to 6 voxels wide, about 5 mm: sulci and vessels that the software leaves out."""

# In HU. The mean of a series lies a few HU over a plain CT; a sinus with contrast reaches 150-200.
_TISSUE_HU = (0.0, 90.0)
_BONE_HU = 250.0
_AIR_HU = -200.0
_CSF_HU = 14.0
_SMOOTHING_MM, _TISSUE_SMOOTHING_MM = 0.8, 1.5
_SKULL_GAP_MM = 4.0
"""Sutures and thin bone up to twice as wide are bridged."""
_OPENING_MM = 2.5
_SCALP_MM = 7.0
_CLOSING_MM = 4.0
"""Puts back sulci, and sinuses with contrast at the rim."""
_RIM_MM, _RIM_LOWEST_HU = 5.0, 10.0
_SMALLEST_INSIDE_MM2 = 1000.0
_SMALLEST_SHARE = 0.05
_MOST_NOT_TISSUE = 0.1
"""Choice: of what maps cover, air and bone. A brain's edge lies on bone here and there."""


class Brain(NamedTuple):
    """Where the brain is, and how that is known.

    Attributes:
        mask: (Z, Y, X) bool.
        source: ``maps``, ``CT`` or ``given``.
        warnings: sentences for the user.
    """

    mask: np.ndarray
    source: str
    warnings: list[str]


def brain_ml(brain: np.ndarray, spacing_zyx_mm: tuple[float, float, float]) -> float:
    """Volume of a brain mask (Z, Y, X) in mL, as results give it."""
    return round(float(np.prod(spacing_zyx_mm)) / 1000 * int(np.count_nonzero(brain)), 1)


def brain_of_scan(
    maps: np.ndarray, ct: np.ndarray, spacing_zyx_mm: tuple[float, float, float]
) -> Brain:
    """The brain by the perfusion maps; by the CT where the maps are not masked.

    Maps that were not masked hold noise in bone and air. They are known by the CT: more than a
    tenth of what they cover is air (under -200 HU) or bone (over 250 HU). The brain is then what
    ``brain_of_series`` finds in the CT, where there are maps.

    Args:
        maps: (M, Z, Y, X), 0 where nothing was computed, see ``background.clear_background``.
        ct: (Z, Y, X), HU.
        spacing_zyx_mm: voxel sizes.

    Raises:
        ValueError: all maps are 0 everywhere.
    """
    mask = brain_of_maps(maps)
    if not mask.any():
        raise ValueError("CBF, CBV, MTT and Tmax hold nothing but background, so there is no brain")
    covered = ct[mask]
    share = float(np.mean((covered < _AIR_HU) | (covered > _BONE_HU)))
    if share <= _MOST_NOT_TISSUE:
        return Brain(mask, "maps", [])
    found = (
        "the perfusion maps are not masked to the brain: by the CT, "
        f"{share:.0%} of what they cover is air or bone"
    )
    try:
        by_density = brain_of_series(ct, spacing_zyx_mm) & mask
        reason = "the CT's brain does not overlap with the maps"
    except ValueError as error:
        by_density, reason = np.zeros_like(mask), str(error)
    if not by_density.any():
        said = f"{found}, and the CT shows no brain ({reason}); everything that the maps cover is"
        return Brain(mask, "maps", [f"{said} taken as brain, which is too much: give a brain mask"])
    return Brain(by_density, "CT", [f"{found}; so the brain was found in the CT: look at the mask"])


def brain_of_maps(maps: np.ndarray) -> np.ndarray:
    """Mask of the voxels where any perfusion map is not 0, closed and hole-filled slice by slice.

    The perfusion software writes a background outside the brain, and often in ventricles and
    vessels, too. Closing and filling put those back into the mask.

    Args:
        maps: (M, Z, Y, X), the perfusion maps; a background other than 0 must have become 0, see
            ``background.clear_background``.

    Returns:
        (Z, Y, X), bool; empty if all maps are zero.

    Source: our choice. Wang et al. 2020 do not mask; Clerigues et al. 2019 strip the skull of the
    CT by the sum of the maps.
    """
    computed = np.any(maps != 0, axis=0)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)
    mask = np.empty_like(computed)
    for closed, found in zip(mask, computed, strict=True):
        # The margin keeps the closing's erosion from eating what touches the edge of the image.
        padded = np.pad(found, CLOSING_PX)
        padded = ndimage.binary_fill_holes(
            ndimage.binary_closing(padded, cross, iterations=CLOSING_PX)
        )
        closed[:] = padded[CLOSING_PX:-CLOSING_PX, CLOSING_PX:-CLOSING_PX]
    return mask


def brain_of_series(mean_hu: np.ndarray, spacing_zyx_mm: tuple[float, float, float]) -> np.ndarray:
    """Mask of the brain with its ventricles, from the mean of a CTP series or a plain CT.

    The mask is made slice by slice, because slices may be 10 mm thick. It holds what lies inside
    the skull and has the density of brain or CSF; it is opened, so that thin bridges break, then
    closed and hole-filled. Small pieces are removed. Several large ones may stay, because slices of
    a tilted or truncated head need not be connected. Where no skull surrounds the slice (stripped
    images, the skull base), everything that is not air counts as inside.

    Args:
        mean_hu: (Z, Y, X), HU. Outside a stripped brain it is 0 or any value under -200.
        spacing_zyx_mm: voxel sizes.

    Returns:
        (Z, Y, X) bool; slices without brain are empty. CSF under the skull is part of it.

    Raises:
        ValueError: no brain is found.

    Source: our choice; thresholds and sizes are those of soft tissue and bone in HU.
    """
    in_plane_mm = spacing_zyx_mm[1:]
    sigma = [_SMOOTHING_MM / size for size in in_plane_mm]
    found = np.zeros(mean_hu.shape, bool)
    for mask, plane in zip(found, mean_hu, strict=True):
        # Clipped, so that neither bone nor air reaches far into the tissue beside it.
        smooth = ndimage.gaussian_filter(np.clip(plane, -100, _BONE_HU).astype(np.float32), sigma)
        inside = _inside_skull(plane, in_plane_mm)
        tissue = inside & (smooth > _TISSUE_HU[0]) & (smooth < _TISSUE_HU[1])
        opened = _dilate(_erode(tissue, _OPENING_MM, in_plane_mm), _OPENING_MM, in_plane_mm)
        mask[:] = opened & tissue
    found = _large_pieces(found)
    if not found.any():
        raise ValueError(
            "no brain is found: no region between 0 and 90 HU inside the skull. Are the values in "
            "HU (water 0, air -1000)? Pass a brain mask otherwise"
        )
    for mask, plane in zip(found, mean_hu, strict=True):
        closed = _erode(_dilate(mask, _CLOSING_MM, in_plane_mm), _CLOSING_MM, in_plane_mm)
        filled = ndimage.binary_fill_holes(closed | mask)
        mask[:] = filled & (plane < _BONE_HU) & (plane > _AIR_HU)
    return found


def _inside_skull(plane: np.ndarray, in_plane_mm: tuple[float, float]) -> np.ndarray:
    """What the skull encloses in a slice (Y, X); without a skull, what is neither air nor bone."""
    bone = plane > _BONE_HU
    wall = _erode(_dilate(bone, _SKULL_GAP_MM, in_plane_mm), _SKULL_GAP_MM, in_plane_mm) | bone
    enclosed = ndimage.binary_fill_holes(wall) & ~bone
    if enclosed.sum() * in_plane_mm[0] * in_plane_mm[1] >= _SMALLEST_INSIDE_MM2:
        return enclosed
    # A stripped image is 0 outside; -1000 and -1024 are air.
    soft = (plane != 0) & (plane > _AIR_HU) & ~bone
    # A region that reaches a corner of the image is air, in a file that does not hold HU.
    labels, _ = ndimage.label(soft)
    soft &= ~np.isin(labels, labels[[0, 0, -1, -1], [0, -1, 0, -1]])
    if not bone.any():
        return soft
    return soft & _dilate(_erode(soft, _SCALP_MM, in_plane_mm), _SCALP_MM, in_plane_mm)


def _large_pieces(mask: np.ndarray) -> np.ndarray:
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return mask & (sizes >= _SMALLEST_SHARE * sizes.max())[labels]


def _dilate(plane: np.ndarray, radius_mm: float, in_plane_mm: tuple[float, float]) -> np.ndarray:
    if not plane.any():
        return plane
    return ndimage.distance_transform_edt(~plane, sampling=in_plane_mm) <= radius_mm


def _erode(plane: np.ndarray, radius_mm: float, in_plane_mm: tuple[float, float]) -> np.ndarray:
    # The edge of the image does not count as an edge of the brain.
    return ~_dilate(~plane, radius_mm, in_plane_mm)


def tissue_of_brain(
    brain: np.ndarray, mean_hu: np.ndarray, spacing_zyx_mm: tuple[float, float, float]
) -> np.ndarray:
    """The brain without CSF and the largest vessels, (Z, Y, X) bool: where maps are meaningful.

    If no voxel has the density of tissue, it is the whole brain.
    """
    sigma = (0, *(_TISSUE_SMOOTHING_MM / size for size in spacing_zyx_mm[1:]))
    smooth = ndimage.gaussian_filter(np.clip(mean_hu, -100, _BONE_HU), sigma)
    solid = brain & (smooth > _CSF_HU) & (smooth < _TISSUE_HU[1])
    opened = ndimage.binary_opening(solid, np.ones((1, 3, 3), bool))
    return opened if opened.any() else brain


def rim_of_brain(
    brain: np.ndarray, mean_hu: np.ndarray, spacing_zyx_mm: tuple[float, float, float]
) -> np.ndarray:
    """Soft tissue within 5 mm of the brain in its slice, where sinuses run, (Z, Y, X) bool."""
    near = np.stack([_dilate(plane, _RIM_MM, spacing_zyx_mm[1:]) for plane in brain])
    return near & ~brain & (mean_hu < _BONE_HU) & (mean_hu > _RIM_LOWEST_HU)
