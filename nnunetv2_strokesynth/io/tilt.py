"""Scans of a tilted gantry: slices that lie sideways of each other, brought over one another.

The table moves along the patient, and the slices are tilted to it. Stacked as they are, each lies a
little sideways of the one before, which no image format of orthogonal axes can say. Each slice is
shifted by interpolation within its plane; the middle one stays where it is.
"""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.io.nifti import Geometry, orientation_is_known, raw_header, read_header

_SHEAR = 0.01  # of cosines: less is rounding, see nifti.read_geometry
_SQUARE = 0.01


class Straightening:
    """Shifts the slices of a frame over one another, linearly interpolated.

    Args:
        step_mm: how far along x and along y each slice lies of the one before.
        n_slices: of a frame.
        geometry: of the first slice as stored; its third axis is the slices' normal.

    Attributes:
        geometry: where the voxels lie afterwards.
    """

    def __init__(self, step_mm: tuple[float, float], n_slices: int, geometry: Geometry):
        pixel_mm = np.array(geometry.spacing_zyx_mm[:0:-1])
        from_middle = (np.arange(n_slices) - (n_slices - 1) / 2)[:, None]
        self._shifts_xy = from_middle * np.array(step_mm) / pixel_mm
        self._last_mm = float(np.linalg.norm(step_mm)) * (n_slices - 1)
        middle_mm = np.array(step_mm) * (n_slices - 1) / 2
        axes = np.reshape(geometry.direction, (3, 3))
        x_mm, y_mm, z_mm = np.array(geometry.origin_xyz_mm) + axes[:, :2] @ middle_mm
        self.geometry = geometry._replace(origin_xyz_mm=(float(x_mm), float(y_mm), float(z_mm)))

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """(Z, Y, X) as stored -> the same on ``geometry``, float32."""
        return np.stack(
            [
                ndimage.shift(plane, shift[::-1], np.float32, order=1, mode="nearest")
                for plane, shift in zip(frame, self._shifts_xy, strict=True)
            ]
        )

    @property
    def warning(self) -> str:
        """A sentence for the user."""
        return (
            f"the gantry was tilted, the last slice lies {self._last_mm:.1f} mm sideways of the "
            "first: the slices were shifted over one another by interpolation; results, and voxels "
            "of --aif and --vof, are those of the straightened images (baseline_ct)"
        )


def straightening_of(path: Path) -> Straightening | None:
    """What straightens the volumes of a NIfTI file; None where its axes are orthogonal.

    Only a third axis that leans sideways is a tilted gantry: other shears are left to
    ``nifti.read_geometry``, which refuses them.
    """
    if not orientation_is_known(path):
        return None
    header = nibabel.Nifti1Header(raw_header(path).binaryblock, check=False)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ header.get_best_affine()
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    x, y, lean = (affine[:3, axis] / size for axis, size in enumerate(sizes))
    if not np.isfinite(affine).all() or abs(x @ y) > _SQUARE:
        return None
    y = y - x * (x @ y)
    y /= np.linalg.norm(y)
    normal = np.cross(x, y)
    normal *= np.sign(normal @ lean) or 1.0
    sideways = (float(x @ lean), float(y @ lean))
    read = read_header(path)
    if max(map(abs, sideways)) <= _SHEAR or abs(normal @ lean) < 0.5:
        return None
    spacing_z, spacing_y, spacing_x = read.spacing_zyx_mm
    x_mm, y_mm, z_mm = (float(value) for value in affine[:3, 3])
    geometry = Geometry(
        (spacing_z * float(normal @ lean), spacing_y, spacing_x),
        (x_mm, y_mm, z_mm),
        tuple(float(value) for value in np.stack([x, y, normal], axis=1).ravel()),
    )
    step_x, step_y = (part * spacing_z for part in sideways)
    return Straightening((step_x, step_y), read.shape_zyx[0], geometry)
