"""Files of one patient belong together by position, not by index.

One file is the reference: its voxels, in ``LPS`` order, are those on which the scan is read. Every
other file is brought to them by where its header says that it lies: its axes are permuted and
flipped, and where it still lies more than half a voxel off, it is resampled, with a sentence for
the user. A file that shows another part of the head is refused.

A header that contradicts itself or says nothing gives no position. Such a file has to have the
reference's shape, and its voxels are taken to be the reference's.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk

from nnunetv2_strokesynth.io.nifti import (
    Geometry,
    orientation_is_known,
    read_geometry,
    read_header,
)
from nnunetv2_strokesynth.io.orientation import (
    AS_STORED,
    UNKNOWN,
    Reorientation,
    axis_order,
    reorientation_to,
)
from nnunetv2_strokesynth.io.tilt import Straightening, straightening_of

_SAME_VOXELS = 0.5
_LEAST_COVERED = 0.5
_MOST_LOST = 0.05
"""Choice: a part of a lesion that lies outside the reference is as bad as a wrong lesion."""
_CHANGED_VOLUME = 0.1
_SPACING_TOLERANCE = 0.01
_PROBES = 8


class Grid(NamedTuple):
    """Voxels and where they lie.

    Attributes:
        shape_zyx: how many.
        geometry: where; voxel sizes alone, with identity directions, if ``known`` is False.
        known: whether the header tells the position.
    """

    shape_zyx: tuple[int, int, int]
    geometry: Geometry
    known: bool

    @property
    def order(self) -> str:
        """Where the axes run to, such as ``LAS``; ``UNKNOWN`` without a position."""
        return axis_order(self.geometry.direction) if self.known else UNKNOWN

    def __str__(self) -> str:
        shape = " x ".join(str(n) for n in self.shape_zyx[::-1])
        sizes = " x ".join(f"{mm:.4g}" for mm in self.geometry.spacing_zyx_mm[::-1])
        first = ", ".join(f"{mm:.1f}" for mm in self.geometry.origin_xyz_mm)
        where = f"order {self.order}, the first at ({first}) mm" if self.known else "order unknown"
        return f"{shape} voxels of {sizes} mm (x, y, z), {where}"


class Reference(NamedTuple):
    """The file, or DICOM series, on whose voxels a scan is read.

    Attributes:
        name: what to call it, such as ``CT``.
        stored: its voxels as stored.
        reorientation: from the stored order to ``LPS``; none where the header does not say.
        grid: its voxels in that order.
    """

    name: str
    stored: Grid
    reorientation: Reorientation
    grid: Grid

    def read_voxel(self, stored_xyz: tuple[int, int, int]) -> tuple[int, int, int]:
        """Indices (x, y, z) as stored -> as read; ``ValueError`` outside the image."""
        return self.reorientation.wanted_voxel(stored_xyz, self.stored.shape_zyx)

    def stored_voxel(self, read_xyz: tuple[int, int, int]) -> tuple[int, int, int]:
        """Indices (x, y, z) as read -> as stored."""
        return self.reorientation.stored_voxel(read_xyz, self.stored.shape_zyx)


class Placement(NamedTuple):
    """How a file's voxels come onto those of a reference.

    Attributes:
        path: the file.
        reorientation: from its stored order to the order of the reference's axes.
        moved: its voxels in that order, if they have to be resampled; else None.
        target: the reference's voxels.
        notes: sentences for the user.
        straight: what is done first with a file of a tilted gantry.
    """

    path: Path
    reorientation: Reorientation
    moved: Grid | None
    target: Grid
    notes: tuple[str, ...] = ()
    straight: Straightening | None = None

    def image(self, stored: np.ndarray, *, outside: float = 0.0) -> np.ndarray:
        """An image on the reference's voxels, resampled linearly where it has to be.

        Args:
            stored: (Z, Y, X), as in the file.
            outside: value where the file has no voxels.

        Returns:
            (Z, Y, X) of the reference's shape; float32 if resampled.
        """
        turned = self.reorientation.apply(self.straight(stored) if self.straight else stored)
        if self.moved is None:
            return turned
        return self._resample(turned, sitk.sitkLinear, outside)

    def mask(self, stored: np.ndarray, *, may_leave: bool = False) -> tuple[np.ndarray, list[str]]:
        """A mask on the reference's voxels, by the nearest neighbour where it has to be resampled.

        Args:
            stored: bool (Z, Y, X), as in the file.
            may_leave: whether it may go on outside the reference, as a brain may and a lesion may
                not.

        Returns:
            Bool, of the reference's shape; and sentences for the user.

        Raises:
            ValueError: a part of the mask lies outside the reference, or all of it vanishes.
        """
        turned = self.reorientation.apply(self.straight(stored) > 0.5 if self.straight else stored)
        if self.moved is None:
            return turned, []
        if not may_leave:
            self._check_inside(turned)
        found = self._resample(turned, sitk.sitkNearestNeighbor, 0.0) > 0.5
        before, after = (
            float(mask.sum() * np.prod(grid.geometry.spacing_zyx_mm)) / 1000
            for mask, grid in ((turned, self.moved), (found, self.target))
        )
        if before > 0 and after == 0 and not may_leave:
            raise ValueError(
                f"{self.path}: its {before:.3f} mL vanish on the coarser voxels of {self.target}; "
                "resample it yourself"
            )
        if may_leave or abs(after - before) <= _CHANGED_VOLUME * before:
            return found, []
        return found, [
            f"{self.path.name}: resampling changed the mask from {before:.2f} to {after:.2f} mL"
        ]

    def _check_inside(self, turned: np.ndarray) -> None:
        assert self.moved is not None
        voxels = np.argwhere(turned)[:, ::-1]
        if not len(voxels):
            return
        lost = 1 - float(_inside(_positions(self.moved, voxels), self.target).mean())
        if lost > _MOST_LOST:
            raise ValueError(
                f"{self.path}: {100 * lost:.0f} % of the mask lies where the reference has no "
                f"voxels. The file has {self.moved}; the reference {self.target}. Do they show the "
                "same scan? Resample the mask to the reference, or repair its header"
            )

    def _resample(self, turned: np.ndarray, interpolator: int, outside: float) -> np.ndarray:
        assert self.moved is not None
        reference = sitk.Image([int(n) for n in self.target.shape_zyx[::-1]], sitk.sitkUInt8)
        image = sitk.GetImageFromArray(turned.astype(np.float32))
        for one, grid in ((reference, self.target), (image, self.moved)):
            one.SetSpacing(grid.geometry.spacing_zyx_mm[::-1])
            one.SetOrigin(grid.geometry.origin_xyz_mm)
            one.SetDirection(grid.geometry.direction)
        resampled = sitk.Resample(image, reference, sitk.Transform(), interpolator, outside)
        return sitk.GetArrayFromImage(resampled)


def read_grid(path: Path) -> Grid:
    """The voxels of a NIfTI file as stored.

    Raises:
        ValueError, OSError: see ``read_header``; or its axes are sheared.
    """
    header = read_header(path)
    known = orientation_is_known(path)
    geometry = read_geometry(path) if known else Geometry(header.spacing_zyx_mm)
    return Grid(header.shape_zyx, geometry, known)


def read_straight_grid(path: Path) -> Grid:
    """The voxels of a NIfTI file as stored, or as straightened where the gantry was tilted."""
    straight = straightening_of(path)
    if straight is None:
        return read_grid(path)
    return Grid(read_header(path).shape_zyx, straight.geometry, True)


def reference_of(name: str, stored: Grid) -> Reference:
    """The voxels in ``LPS`` order, or as they are stored where the header does not say."""
    turn = reorientation_to(stored.geometry.direction) if stored.known else AS_STORED
    return Reference(name, stored, turn, turned_grid(stored, turn))


def turned_grid(grid: Grid, turn: Reorientation) -> Grid:
    """The same voxels in another order."""
    shape = turn.shape_of(grid.shape_zyx)
    return Grid(shape, turn.geometry_of(grid.geometry, grid.shape_zyx), grid.known)


def place(path: Path, reference: Reference) -> Placement:
    """Find how a file comes onto the voxels of a reference; its header is read, its voxels are not.

    Raises:
        ValueError: the file shows another part of the head; or its position is unknown and its
            shape another one.
        OSError: it cannot be read.
    """
    straight, stored = straightening_of(path), read_straight_grid(path)
    if not (stored.known and reference.stored.known):
        return _by_index(path, stored, reference)
    target = reference.grid
    turn = reorientation_to(stored.geometry.direction, target.geometry.direction)
    moved = turned_grid(stored, turn)
    if moved.shape_zyx == target.shape_zyx and _voxels_apart(moved, target) < _SAME_VOXELS:
        return Placement(path, turn, None, target, straight=straight)
    covered = _covered(moved, target)
    if covered < _LEAST_COVERED:
        raise ValueError(
            f"{path} shows {100 * covered:.0f} % of the middle of the {reference.name}'s image. It "
            f"has {stored}; the {reference.name} has {reference.stored}. Are they of one scan? "
            "Leave it out, register and resample it, or repair its header"
        )
    note = (
        f"{path.name} does not lie on the {reference.name}'s voxels and was resampled: it has "
        f"{stored}; the {reference.name} has {reference.stored}"
    )
    if covered < 1:
        note += f"; it shows {100 * covered:.0f} % of the middle of the image, the rest is empty"
    return Placement(path, turn, moved, target, (note,), straight)


def _by_index(path: Path, stored: Grid, reference: Reference) -> Placement:
    """A file, or a reference, whose header gives no position: voxels are joined as stored."""
    expected = reference.stored
    if stored.shape_zyx != expected.shape_zyx:
        raise ValueError(
            f"{path} has shape {stored.shape_zyx} (z, y, x), the {reference.name} has "
            f"{expected.shape_zyx}, and without a position in both headers it cannot be resampled: "
            f"it has {stored}; the {reference.name} has {expected}. Resample it to the "
            f"{reference.name}, or repair the headers"
        )
    notes = []
    found, sizes = stored.geometry.spacing_zyx_mm, expected.geometry.spacing_zyx_mm
    if not np.allclose(found, sizes, rtol=_SPACING_TOLERANCE, atol=0):
        notes.append(
            f"{path.name} has voxels of {found} mm (z, y, x), the {reference.name} of {sizes} mm; "
            f"the {reference.name}'s are used"
        )
    elif stored.known != expected.known:
        silent = path.name if expected.known else f"the {reference.name}"
        notes.append(
            f"the header of {silent} does not say where its voxels lie; the voxels of {path.name} "
            f"are used as if they lay where those of the {reference.name} do"
        )
    return Placement(path, reference.reorientation, None, reference.grid, tuple(notes))


def _positions(grid: Grid, voxels_xyz: np.ndarray) -> np.ndarray:
    """(N, 3) indices x, y, z -> (N, 3) positions in mm."""
    direction = np.reshape(grid.geometry.direction, (3, 3))
    steps = voxels_xyz * np.array(grid.geometry.spacing_zyx_mm[::-1])
    return np.array(grid.geometry.origin_xyz_mm) + steps @ direction.T


def _indices(grid: Grid, positions_mm: np.ndarray) -> np.ndarray:
    """(N, 3) positions in mm -> (N, 3) indices x, y, z, not rounded."""
    direction = np.reshape(grid.geometry.direction, (3, 3))
    offsets = (positions_mm - np.array(grid.geometry.origin_xyz_mm)) @ direction
    return offsets / np.array(grid.geometry.spacing_zyx_mm[::-1])


def _inside(positions_mm: np.ndarray, grid: Grid) -> np.ndarray:
    """(N,) whether positions lie in the grid's voxels."""
    found = _indices(grid, positions_mm)
    high = np.array(grid.shape_zyx[::-1]) - 0.5
    return np.all((found >= -0.5) & (found <= high), axis=1)


def _voxels_apart(grid: Grid, target: Grid) -> float:
    """The largest distance of a corner from where it lies in the target, in the target's voxels."""
    corners = np.array(list(product(*((0, n - 1) for n in grid.shape_zyx[::-1]))), dtype=float)
    found = _indices(target, _positions(grid, corners))
    return float(np.abs(found - corners).max())


def _covered(grid: Grid, target: Grid) -> float:
    """Which share of the target's middle, where the head is, lies in the grid's voxels.

    The middle is the inner half along x and y, and all slices.
    """
    shares = (np.arange(_PROBES) + 0.5) / _PROBES
    x, y, z = (n * shares - 0.5 for n in target.shape_zyx[::-1])
    middle = slice(_PROBES // 4, _PROBES - _PROBES // 4)
    probes = np.array(list(product(x[middle], y[middle], z)))
    return float(_inside(_positions(target, probes), grid).mean())
