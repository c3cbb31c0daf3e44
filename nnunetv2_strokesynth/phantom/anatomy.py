"""A head per patient: MNI152 tissue maps, warped, cut into the slices of a scan.

Positions are MNI millimetres, (x to the right, y to the front, z up). Arrays are (Z, Y, X) in the order of a
scanner's images: x index to the patient's left, y index to the back, z index up.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.phantom.vessels import draw_vessel_tree

ATLAS_ORIGIN_MM = np.array([-98.0, -134.0, -72.0])
"""Position of voxel (0, 0, 0) of nilearn's 1 mm MNI152 maps."""
_COARSE_MM = 2
_NODE_MM = 28.0
_FINE_PIXEL_MM = 1.0


class Atlas(NamedTuple):
    """Volumes (X, Y, Z) float32: tissue fractions at 1 mm, distance from the brain (mm) at 2 mm."""

    gm: np.ndarray
    wm: np.ndarray
    brain: np.ndarray
    arteries: np.ndarray
    veins: np.ndarray
    outside_mm: np.ndarray


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
    """A head on a scan's grid: (Z, Y, X) float32 fractions and HU, and positions (3, Z, Y, X) in mm."""

    gm: np.ndarray
    wm: np.ndarray
    csf: np.ndarray
    artery: np.ndarray
    vein: np.ndarray
    hu: np.ndarray
    positions_mm: np.ndarray


GM_HU, WM_HU, CSF_HU, BLOOD_HU = 39.0, 30.0, 7.0, 45.0
_BONE_HU, _DIPLOE_HU, _SCALP_HU, _AIR_HU = 1250.0, 650.0, 15.0, -1000.0


def _load_templates() -> list[np.ndarray]:
    try:
        from nilearn import datasets
    except ImportError as error:
        raise ValueError(
            "the phantom's anatomy (MNI152) comes with nilearn, which is not installed: "
            "pip install 'nnunetv2_strokesynth[demo]'"
        ) from error
    loaders = (
        datasets.load_mni152_template,
        datasets.load_mni152_gm_template,
        datasets.load_mni152_wm_template,
    )
    return [np.asarray(loader(resolution=1).dataobj, dtype=np.float32) for loader in loaders]


@lru_cache(maxsize=1)
def load_atlas() -> Atlas:
    """The MNI152 maps and what is derived from them, once per process.

    Raises:
        ValueError: nilearn is not installed.
    """
    t1, gm, wm = _load_templates()
    brain = t1 > 0.05
    coarse = brain[::_COARSE_MM, ::_COARSE_MM, ::_COARSE_MM]
    padded = np.pad(coarse, 16)
    closed = ndimage.distance_transform_edt(~padded) < 7
    closed = ndimage.distance_transform_edt(closed) > 7
    outside = ndimage.distance_transform_edt(~closed) - ndimage.distance_transform_edt(closed)
    outside = _COARSE_MM * outside[16:-16, 16:-16, 16:-16].astype(np.float32)
    arteries, veins = draw_vessel_tree(gm.shape, ATLAS_ORIGIN_MM)
    # The maps count deep CSF partly as grey matter: T1 darkness tells it apart.
    dark = np.clip((0.55 - t1) / 0.25, 0, 1)
    gm, wm = gm * (1 - dark), wm * (1 - dark)
    return Atlas(gm, wm, brain.astype(np.float32), arteries, veins, outside)


def draw_head_shape(rng: np.random.Generator) -> HeadShape:
    """Random affine, elastic warp, atrophy and skull of one patient."""
    angles = np.deg2rad(rng.normal(0.0, [4.0, 3.0, 5.0]))
    scale = 1.0 / (rng.normal(1.0, 0.03) * rng.normal(1.0, [0.03, 0.03, 0.03]))
    matrix = _rotation(angles) * scale
    nodes = [int(n) for n in np.ceil(np.array([197, 233, 189]) / _NODE_MM) + 1]
    warp = rng.normal(0.0, 3.0, (3, *nodes)).astype(np.float32)
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


def _sample(volume: np.ndarray, position: np.ndarray, *, spacing: float, outside: float = 0.0):
    where = (position - ATLAS_ORIGIN_MM[:, None, None, None].astype(np.float32)) / spacing
    return ndimage.map_coordinates(volume, where, order=1, mode="constant", cval=outside)


def _shell_hu(outside_mm: np.ndarray, layers_mm: np.ndarray) -> np.ndarray:
    """HU of what surrounds the brain, by the distance from it."""
    inner, outer, skin = np.cumsum(layers_mm)
    third = (outer - inner) / 3
    diploe = (outside_mm > inner + third) & (outside_mm < outer - third)
    return np.select(
        [outside_mm < inner, diploe, outside_mm < outer, outside_mm < skin],
        [CSF_HU, _DIPLOE_HU, _BONE_HU, _SCALP_HU],
        _AIR_HU,
    ).astype(np.float32)


def build_head(grid: SlabGrid, shape: HeadShape) -> Head:
    """Cut the patient's head into the slices of a scan, averaging over each voxel (partial volume)."""
    atlas = load_atlas()
    supersample = (
        max(1, round(grid.pixel_mm / _FINE_PIXEL_MM)),
        int(np.clip(round(grid.slice_mm / 2), 2, 5)),
    )
    slices = [_build_slice(atlas, grid, shape, k, supersample) for k in range(grid.n_slices)]
    fractions = np.stack([fields for fields, _ in slices], axis=1)
    positions = np.stack([position for _, position in slices], axis=1)
    return Head(*fractions, positions)


def _build_slice(
    atlas: Atlas, grid: SlabGrid, shape: HeadShape, index: int, supersample: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    position = _slice_positions(grid, shape, index, supersample)
    # Atrophy turns the margin of the tissue into CSF.
    margin = 0.25 * shape.atrophy
    gm = np.maximum(_sample(atlas.gm, position, spacing=1) - margin, 0) / (1 - margin)
    wm = _sample(atlas.wm, position, spacing=1)
    brain = _sample(atlas.brain, position, spacing=1)
    outside = _sample(atlas.outside_mm, position, spacing=_COARSE_MM, outside=60.0)
    inside = np.clip(0.5 - outside, 0, 1)
    brain = np.maximum(brain, inside)
    total = np.maximum(gm + wm, 1.0)
    gm, wm = gm / total, wm / total
    csf = brain * np.clip(1 - gm - wm, 0, 1)
    gm, wm = brain * gm, brain * wm
    artery = _sample(atlas.arteries, position, spacing=1)
    vein = _sample(atlas.veins, position, spacing=1) * (1 - artery)
    hu = gm * GM_HU + wm * WM_HU + csf * CSF_HU + (1 - brain) * _shell_hu(outside, shape.skull_mm)
    vessel = artery + vein
    hu = hu * (1 - vessel) + BLOOD_HU * vessel
    fields = np.stack([gm, wm, csf, artery, vein, hu])
    n = supersample[0]

    def average(values: np.ndarray) -> np.ndarray:
        blocks = values.reshape(len(values), supersample[1], grid.size, n, grid.size, n)
        return blocks.mean(axis=(1, 3, 5), dtype=np.float64).astype(np.float32)

    return average(fields), average(position)
