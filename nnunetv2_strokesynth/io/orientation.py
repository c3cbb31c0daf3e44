"""One order of axes for all scans: ``LPS``, by permutations and flips only.

The same head is stored with its axes in any of 48 orders. A network that has been trained on heads
that lie one way gives another answer where they lie otherwise, so every scan is brought to one
order before a network sees it, and results are brought back. Voxels are moved, never interpolated:
an oblique angle stays in the geometry.

``LPS`` is SimpleITK's own order: x runs to the patient's left, y to the back (posterior), z to the
head (superior). Arrays are (..., Z, Y, X).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from nnunetv2_strokesynth.io.nifti import Geometry

CANONICAL = "LPS"
UNKNOWN = "unknown"
MIXED = "mixed"
ORIENTATION_KEY = "orientation"  # in dataset.json: CANONICAL, UNKNOWN or, by hand, MIXED
_LETTERS = ("LR", "PA", "SI")  # along LPS's x, y and z, and against it
_IDENTITY = Geometry((1.0, 1.0, 1.0)).direction


class Reorientation(NamedTuple):
    """How stored axes become the wanted ones, and back.

    Attributes:
        axes: for each wanted axis of (Z, Y, X) the stored one.
        flips: for each wanted axis whether it runs against the stored one.
    """

    axes: tuple[int, ...] = (0, 1, 2)
    flips: tuple[bool, ...] = (False, False, False)

    def apply(self, volume: np.ndarray) -> np.ndarray:
        """(..., Z, Y, X) as stored -> the same voxels in the wanted order, contiguous.

        Sums depend on the order in which memory is read, so that the memory is the same, too.
        """
        first = volume.ndim - 3
        moved = volume.transpose(*range(first), *(first + axis for axis in self.axes))
        return np.ascontiguousarray(moved[self._steps])

    def undo(self, volume: np.ndarray) -> np.ndarray:
        """(..., Z, Y, X) in the wanted order -> as stored, contiguous."""
        first = volume.ndim - 3
        back = [int(axis) for axis in np.argsort(self.axes)]
        flipped = volume[self._steps]
        return np.ascontiguousarray(
            flipped.transpose(*range(first), *(first + axis for axis in back))
        )

    def shape_of(self, stored_zyx: Sequence[int]) -> tuple[int, int, int]:
        """(Z, Y, X) in the wanted order."""
        z, y, x = (int(stored_zyx[axis]) for axis in self.axes)
        return z, y, x

    def geometry_of(self, stored: Geometry, stored_zyx: Sequence[int]) -> Geometry:
        """Where the voxels lie in the wanted order.

        Args:
            stored: geometry of the voxels as stored.
            stored_zyx: their shape.
        """
        direction = np.reshape(stored.direction, (3, 3))
        origin = np.array(stored.origin_xyz_mm, dtype=float)
        columns = []
        for axis, flip in zip(self.axes, self.flips, strict=True):
            column = direction[:, 2 - axis]
            if flip:
                origin += column * stored.spacing_zyx_mm[axis] * (stored_zyx[axis] - 1)
            columns.append(-column if flip else column)
        turned = np.stack(columns[::-1], axis=1) + 0.0  # no -0.0
        z_mm, y_mm, x_mm = (stored.spacing_zyx_mm[axis] for axis in self.axes)
        origin_x, origin_y, origin_z = (float(value) for value in origin)
        return Geometry(
            (z_mm, y_mm, x_mm),
            (origin_x, origin_y, origin_z),
            tuple(float(value) for value in turned.ravel()),
        )

    def wanted_voxel(
        self, stored_xyz: Sequence[int], stored_zyx: Sequence[int]
    ) -> tuple[int, int, int]:
        """Indices (x, y, z) as stored -> in the wanted order.

        Raises:
            ValueError: the voxel lies outside the image.
        """
        if not all(0 <= i < n for i, n in zip(stored_xyz, stored_zyx[::-1], strict=True)):
            raise ValueError(
                f"voxel x y z = {' '.join(map(str, stored_xyz))} lies outside the image of "
                f"{tuple(stored_zyx[::-1])} voxels; indices count from 0"
            )
        stored = stored_xyz[::-1]
        z, y, x = (
            stored_zyx[axis] - 1 - stored[axis] if flip else stored[axis]
            for axis, flip in zip(self.axes, self.flips, strict=True)
        )
        return x, y, z

    def stored_voxel(
        self, wanted_xyz: Sequence[int], stored_zyx: Sequence[int]
    ) -> tuple[int, int, int]:
        """Indices (x, y, z) in the wanted order -> as stored."""
        stored = [0, 0, 0]
        for index, axis, flip in zip(wanted_xyz[::-1], self.axes, self.flips, strict=True):
            stored[axis] = stored_zyx[axis] - 1 - index if flip else index
        z, y, x = stored
        return x, y, z

    @property
    def _steps(self) -> Any:
        return (..., *(slice(None, None, -1 if flip else 1) for flip in self.flips))


AS_STORED = Reorientation()


def reorientation_to(
    direction: Sequence[float], wanted: Sequence[float] = _IDENTITY
) -> Reorientation:
    """The permutation and flips that bring axes nearest to the wanted ones.

    Args:
        direction: 9 cosines of the stored axes, as in ``Geometry``.
        wanted: of the wanted axes; those of ``LPS``, if not given.
    """
    cosines = np.reshape(wanted, (3, 3)).T @ np.reshape(direction, (3, 3))
    # Rounded, so that which of two equally near orders is taken does not hang on the last bit.
    sizes = np.round(np.abs(cosines), 6)
    best = max(permutations(range(3)), key=lambda order: sizes[range(3), order].sum())
    axes = tuple(2 - best[2 - array_axis] for array_axis in range(3))
    flips = tuple(bool(cosines[2 - i, best[2 - i]] < 0) for i in range(3))
    return Reorientation(axes, flips)


def axis_order(direction: Sequence[float]) -> str:
    """Where the stored axes x, y and z run to, such as ``LPS`` or ``RAS``; oblique ones roughly."""
    turn = reorientation_to(direction)
    letters = ["", "", ""]
    for array_axis, (stored, flip) in enumerate(zip(turn.axes, turn.flips, strict=True)):
        spatial = 2 - array_axis
        letters[2 - stored] = _LETTERS[spatial][int(flip)]
    return "".join(letters)


def says_nothing(direction: Sequence[float], origin_xyz_mm: Sequence[float]) -> bool:
    """Whether a geometry is what a scan of unknown orientation is written with.

    Such scans have identity directions and their first voxel at 0, which no scanner writes. Taking
    a real scan for one means that its pictures do not name a side, which is the safe way round.
    """
    return bool(
        np.allclose(direction, _IDENTITY, rtol=0, atol=1e-6)
        and np.allclose(origin_xyz_mm, 0, rtol=0, atol=1e-6)
    )
