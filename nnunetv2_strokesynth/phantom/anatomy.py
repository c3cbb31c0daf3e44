"""A head per patient: MNI152 tissue maps, warped, cut into the slices of a scan.

Positions are MNI millimetres, (x to the right, y to the front, z up). Arrays are (Z, Y, X) in the
order of a scanner's images: x index to the patient's left, y index to the back, z index up.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.phantom.vessels import draw_vessel_tree

ATLAS_ORIGIN_MM = np.array([-98.0, -134.0, -72.0])
"""Position of voxel (0, 0, 0) of nilearn's 1 mm MNI152 maps."""
_COARSE_MM = 2
_PADDING = 16
_CLOSING_MM = 14.0
_NODE_MM = 28.0
_FINE_PIXEL_MM = 1.3
_HEAD_MM = 26.0


class Atlas(NamedTuple):
    """Volumes (X, Y, Z) float32.

    Attributes:
        gm, wm: tissue fractions at 1 mm.
        vessels: at 1 mm, + the fraction of arteries, - that of veins (they do not overlap).
        outside_mm: signed distance from the intracranial space, at 2 mm.
    """

    gm: np.ndarray
    wm: np.ndarray
    vessels: np.ndarray
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
    """A head on a scan's grid: (Z, Y, X) fractions and HU, positions (3, Z, Y, X) in mm."""

    gm: np.ndarray
    wm: np.ndarray
    csf: np.ndarray
    artery: np.ndarray
    vein: np.ndarray
    hu: np.ndarray
    positions_mm: np.ndarray


GM_HU, WM_HU, CSF_HU, BLOOD_HU = 39.0, 30.0, 7.0, 45.0
_BONE_HU, _DIPLOE_HU, _SCALP_HU, _AIR_HU = 1250.0, 650.0, 15.0, -1000.0


def _load_template(tissue: str) -> np.ndarray:
    """One of nilearn's 1 mm MNI152 maps, scaled to a maximum of 1.

    Read from the wheel's file where it is where we know it: importing nilearn takes seconds, in
    every worker.
    """
    spec = importlib.util.find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise ValueError(
            "the phantom's anatomy (MNI152) comes with nilearn, which is not installed: "
            "pip install 'nnunetv2_strokesynth[demo]'"
        )
    name = f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz"
    path = Path(spec.origin).parent / "datasets" / "data" / name
    if path.exists():
        image = nibabel.load(path)
    else:
        datasets = importlib.import_module("nilearn.datasets")
        suffix = "template" if tissue == "t1" else f"{tissue}_template"
        image = getattr(datasets, f"load_mni152_{suffix}")(resolution=1)
    volume = np.asarray(image.dataobj, dtype=np.float32)
    return volume / volume.max()


@lru_cache(maxsize=1)
def load_atlas() -> Atlas:
    """The MNI152 maps and what is derived from them, once per process.

    Raises:
        ValueError: nilearn is not installed.
    """
    t1, gm, wm = (_load_template(tissue) for tissue in ("t1", "gm", "wm"))
    arteries, veins = draw_vessel_tree(gm.shape, ATLAS_ORIGIN_MM)
    # The maps count deep CSF partly as grey matter: T1 darkness tells it apart.
    tissue = 1 - np.clip((0.55 - t1) / 0.25, 0, 1)
    vessels = np.where(arteries > veins, arteries, -veins)
    return Atlas(gm * tissue, wm * tissue, vessels, _distance_outside(t1 > 0.05))


def _distance_outside(brain: np.ndarray) -> np.ndarray:
    """Signed distance (mm) from the brain with its fissures closed, on the coarse grid."""
    coarse = np.pad(brain[::_COARSE_MM, ::_COARSE_MM, ::_COARSE_MM], _PADDING)
    closed = ndimage.distance_transform_edt(~coarse) < _CLOSING_MM / _COARSE_MM
    closed = ndimage.distance_transform_edt(closed) > _CLOSING_MM / _COARSE_MM
    outside = ndimage.distance_transform_edt(~closed) - ndimage.distance_transform_edt(closed)
    inner = slice(_PADDING, -_PADDING)
    return _COARSE_MM * outside[inner, inner, inner].astype(np.float32)


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


def _sample(
    volume: np.ndarray, position: np.ndarray, *, spacing: float = 1.0, outside: float = 0.0
) -> np.ndarray:
    """Trilinear values of an atlas volume at positions (3, ...) in mm."""
    origin = ATLAS_ORIGIN_MM.astype(np.float32).reshape(3, *[1] * (position.ndim - 1))
    where = (position - origin) / np.float32(spacing)
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


def build_head(
    grid: SlabGrid, shape: HeadShape, *, supersample: tuple[int, int] | None = None
) -> Head:
    """Cut the patient's head into the slices of a scan, averaging over each voxel (partial volume).

    Args:
        supersample: samples per voxel along x and y, and along z; None for about 1.3 and 2.5 mm.
    """
    atlas = load_atlas()
    if supersample is None:
        through = int(np.clip(round(grid.slice_mm / 2.5), 2, 4))
        supersample = (max(1, round(grid.pixel_mm / _FINE_PIXEL_MM)), through)
    slices = [_build_slice(atlas, grid, shape, k, supersample) for k in range(grid.n_slices)]
    fractions = np.stack([fields for fields, _ in slices], axis=1)
    positions = np.stack([position for _, position in slices], axis=1)
    return Head(*fractions, positions)


def _build_slice(
    atlas: Atlas, grid: SlabGrid, shape: HeadShape, index: int, supersample: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    position = _slice_positions(grid, shape, index, supersample)
    outside = _sample(atlas.outside_mm, position, spacing=_COARSE_MM, outside=60.0)
    near = outside < _HEAD_MM
    fields = np.zeros((len(Head._fields) - 1, *near.shape), np.float32)
    fields[-1] = _AIR_HU
    fields[:, near] = _tissue(atlas, position[:, near], outside[near], shape)
    n, through = supersample

    def average(values: np.ndarray) -> np.ndarray:
        blocks = values.reshape(len(values), through, grid.size, n, grid.size, n)
        return blocks.mean(axis=(1, 3, 5))

    return average(fields), average(position)


def _tissue(
    atlas: Atlas, position: np.ndarray, outside: np.ndarray, shape: HeadShape
) -> np.ndarray:
    """gm, wm, csf, artery, vein and HU of points (3, N) in and around the brain: (6, N)."""
    # Atrophy turns the margin of the grey matter into CSF.
    margin = 0.25 * shape.atrophy
    gm = np.maximum(_sample(atlas.gm, position) - margin, 0) / (1 - margin)
    wm = _sample(atlas.wm, position)
    inside = np.clip(0.5 - outside, 0, 1)
    scale = inside / np.maximum(gm + wm, 1.0)
    gm, wm = gm * scale, wm * scale
    csf = inside - gm - wm
    vessels = _sample(atlas.vessels, position)
    hu = gm * GM_HU + wm * WM_HU + csf * CSF_HU + (1 - inside) * _shell_hu(outside, shape.skull_mm)
    blood = np.abs(vessels)
    hu = hu * (1 - blood) + BLOOD_HU * blood
    return np.stack([gm, wm, csf, np.maximum(vessels, 0), np.maximum(-vessels, 0), hu])
