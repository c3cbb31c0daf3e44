"""A head per patient: MNI152 tissue maps, warped, cut into the slices of a scan.

Positions are MNI millimetres, (x to the right, y to the front, z up). Arrays are (Z, Y, X) in the
order of a scanner's images: x index to the patient's left, y index to the back, z index up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.phantom.atlas import (
    ATLAS_ORIGIN_MM,
    COARSE_MM,
    Atlas,
    load_atlas,
    sample_atlas,
)
from nnunetv2_strokesynth.phantom.physics import Densities

AIR_HU = -1000.0
_NODE_MM = 28.0
_FINE_PIXEL_MM = 1.3
# Brain, skull and scalp end within this distance of the intracranial space.
_HEAD_MM = 26.0


class SlabGrid(NamedTuple):
    """The voxels of one scan. ``bottom_mm`` is the lower face of the first slice, MNI z."""

    size: int
    pixel_mm: float
    n_slices: int
    slice_mm: float
    bottom_mm: float


class HeadShape(NamedTuple):
    """One patient's departure from the atlas.

    Attributes:
        matrix: (3, 3) head position (mm) -> atlas position.
        shift_mm: (3,) added after the matrix.
        warp_mm: (3, nx, ny, nz) displacement on a coarse grid of ``_NODE_MM``.
        atrophy: 0 to 1, widens the CSF spaces.
        skull_mm: (3,) thickness of the CSF layer, the bone and the scalp.
    """

    matrix: np.ndarray
    shift_mm: np.ndarray
    warp_mm: np.ndarray
    atrophy: float
    skull_mm: np.ndarray


class Head(NamedTuple):
    """A head on a scan's grid: (Z, Y, X) fractions and HU, positions (3, Z, Y, X) in mm."""

    gm: np.ndarray
    wm: np.ndarray
    csf: np.ndarray
    artery: np.ndarray
    vein: np.ndarray
    hu: np.ndarray
    positions_mm: np.ndarray


def draw_head_shape(rng: np.random.Generator) -> HeadShape:
    """Random affine, elastic warp, atrophy and skull of one patient."""
    angles = np.deg2rad(rng.normal(0.0, [4.0, 3.0, 5.0]))
    scale = 1.0 / (rng.normal(1.0, 0.03) * rng.normal(1.0, [0.03, 0.03, 0.03]))
    matrix = _rotation(angles) * scale
    nodes = [int(n) for n in np.ceil(np.array([197, 233, 189]) / _NODE_MM) + 1]
    warp = rng.normal(0.0, 2.4, (3, *nodes)).astype(np.float32)
    skull = np.array([rng.uniform(1.5, 3.5), rng.uniform(5.0, 8.5), rng.uniform(4.0, 8.0)])
    shift = rng.normal(0.0, [2.0, 4.0, 2.0]) + [0.0, -16.0, 0.0]
    return HeadShape(matrix, shift, warp, float(rng.beta(1.5, 2.5)), skull)


def _rotation(angles: np.ndarray) -> np.ndarray:
    (ca, cb, cc), (sa, sb, sc) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    about_y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_z = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def _slice_positions(
    grid: SlabGrid, shape: HeadShape, index: int, supersample: tuple[int, int]
) -> np.ndarray:
    """Atlas positions (3, planes, rows, columns) of the sub-voxels of one slice, mm."""
    in_plane, through = supersample
    step = grid.pixel_mm / in_plane
    axis = ((np.arange(grid.size * in_plane) + 0.5) * step - grid.size * grid.pixel_mm / 2).astype(
        np.float32
    )
    z = grid.bottom_mm + (index + (np.arange(through) + 0.5) / through) * grid.slice_mm
    x, y = -axis, -axis
    m, s = shape.matrix, shape.shift_mm
    position = np.empty((3, through, axis.size, axis.size), np.float32)
    for k in range(3):
        plane = m[k, 0] * x[None, :] + m[k, 1] * y[:, None] + s[k]
        position[k] = plane[None] + (m[k, 2] * z)[:, None, None]
    position += _warp(shape.warp_mm, position)
    return position


def _warp(nodes_mm: np.ndarray, position: np.ndarray) -> np.ndarray:
    where = (position - ATLAS_ORIGIN_MM[:, None, None, None].astype(np.float32)) / _NODE_MM
    # Every fourth pixel is enough for so smooth a field; the rest is interpolated.
    thin = where[:, :, ::4, ::4]
    shape = position.shape[1:]
    result = np.empty_like(position)
    rows = np.arange(shape[1], dtype=np.float32) / 4
    columns = np.arange(shape[2], dtype=np.float32) / 4
    for k in range(3):
        values = ndimage.map_coordinates(nodes_mm[k], thin, order=3, mode="nearest")
        for plane in range(shape[0]):
            result[k, plane] = _bilinear(values[plane], rows, columns)
    return result


def _bilinear(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    def along_first(table: np.ndarray, where: np.ndarray) -> np.ndarray:
        low = np.minimum(where.astype(int), len(table) - 2)
        part = (where - low)[:, None]
        return table[low] * (1 - part) + table[low + 1] * part

    return along_first(along_first(values, rows).T, columns).T


def _shell_hu(outside_mm: np.ndarray, layers_mm: np.ndarray, densities: Densities) -> np.ndarray:
    """HU of what surrounds the brain, by the distance from it."""
    inner, outer, skin = np.cumsum(layers_mm)
    third = (outer - inner) / 3
    diploe = (outside_mm > inner + third) & (outside_mm < outer - third)
    return np.select(
        [outside_mm < inner, diploe, outside_mm < outer, outside_mm < skin],
        [densities.csf_hu, densities.diploe_hu, densities.bone_hu, densities.scalp_hu],
        AIR_HU,
    ).astype(np.float32)


def build_head(
    grid: SlabGrid,
    shape: HeadShape,
    densities: Densities,
    *,
    supersample: tuple[int, int] | None = None,
) -> Head:
    """Cut the patient's head into the slices of a scan, averaging over each voxel (partial volume).

    Args:
        grid: the voxels of the scan.
        shape: the patient's head.
        densities: CT numbers of its tissues.
        supersample: samples per voxel along x and y, and along z; None for about 1.3 and 2.5 mm.
    """
    atlas = load_atlas()
    if supersample is None:
        through = int(np.clip(round(grid.slice_mm / 2.5), 2, 4))
        supersample = (max(1, round(grid.pixel_mm / _FINE_PIXEL_MM)), through)
    slices = []
    for index in range(grid.n_slices):
        position = _slice_positions(grid, shape, index, supersample)
        fields = _fields_at(atlas, position, shape, densities)
        slices.append([_average(values, grid.size, supersample) for values in (fields, position)])
    fractions = np.stack([fields for fields, _ in slices], axis=1)
    positions = np.stack([position for _, position in slices], axis=1)
    return Head(*fractions, positions_mm=positions)


def _average(values: np.ndarray, size: int, supersample: tuple[int, int]) -> np.ndarray:
    """(C, planes, rows, columns) of the sub-voxels of one slice -> (C, size, size)."""
    n, through = supersample
    blocks = values.reshape(len(values), through, size, n, size, n)
    return blocks.mean(axis=(1, 3, 5))


def _fields_at(
    atlas: Atlas, position: np.ndarray, shape: HeadShape, densities: Densities
) -> np.ndarray:
    """gm, wm, csf, artery, vein and HU at positions (3, ...): (6, ...)."""
    outside = sample_atlas(atlas.outside_mm, position, spacing=COARSE_MM, outside=60.0)
    near = outside < _HEAD_MM
    fields = np.zeros((len(Head._fields) - 1, *near.shape), np.float32)
    fields[-1] = AIR_HU
    fields[:, near] = _near_fields(atlas, position[:, near], outside[near], shape, densities)
    return fields


def _near_fields(
    atlas: Atlas,
    position: np.ndarray,
    outside: np.ndarray,
    shape: HeadShape,
    densities: Densities,
) -> np.ndarray:
    """The fields of points (3, N) in and around the brain: (6, N)."""
    # Atrophy turns the margin of the grey matter into CSF.
    margin = 0.25 * shape.atrophy
    gm = np.maximum(sample_atlas(atlas.gm, position) - margin, 0) / (1 - margin)
    wm = sample_atlas(atlas.wm, position)
    inside = np.clip(0.5 - outside, 0, 1)
    scale = inside / np.maximum(gm + wm, 1.0)
    gm, wm = gm * scale, wm * scale
    csf = inside - gm - wm
    vessels = sample_atlas(atlas.vessels, position)
    hu = gm * densities.gm_hu + wm * densities.wm_hu + csf * densities.csf_hu
    hu = hu + (1 - inside) * _shell_hu(outside, shape.skull_mm, densities)
    blood = np.abs(vessels)
    hu = hu * (1 - blood) + densities.blood_hu * blood
    return np.stack([gm, wm, csf, np.maximum(vessels, 0), np.maximum(-vessels, 0), hu])
