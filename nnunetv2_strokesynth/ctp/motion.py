"""Motion of the head between the frames of a series: measured, reported and taken out.

Each frame is registered rigidly to the mean of the first frames by SimpleITK: mean squares of
densities that are clipped so that bone and the head's edge count and contrast agent hardly does,
inside the head alone because its rest does not move with it, on coarse voxels because the motion of
all of them is one. A slab of less than 30 mm tells nothing of motion out of its plane, and only
motion in the plane is looked for. In a thicker one, motion out of the plane counts where it brings
a frame clearly nearer: a few thick slices can be tilted a little without being worse.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from scipy import ndimage
from scipy.spatial.transform import Rotation

from nnunetv2_strokesynth.io.series import Series, unusable_voxels

LEAST_MM = 0.5
"""Choice: what lies below, the smoothing of the maps (2.6 mm) hides; such a series stays as it is.
It is several times the error of the registration."""
LARGE_MM, LARGE_DEG = 3.0, 3.0
"""Choice: a warning from here on. Half a slice, so that tissue changes its slice."""
_N_REFERENCE = 3
_COARSE_MM = 2.0
_CLIP_HU = (-100.0, 300.0)
_BONE_HU, _AIR_HU = 300.0, -300.0
_MARGIN_MM = 6.0
_LEAST_SLAB_MM, _LEAST_SLICES = 30.0, 4
_ALL = (0, 1, 2, 3, 4, 5)  # three angles and three shifts
_IN_PLANE = (2, 3, 4)  # of these: about z, along x and y
_BLURS = (2.0, 1.0)  # coarse pixels; without the last, the edges' steps turn into rotation
_MOST_STEPS, _LAST_STEP = 12, 2e-4
_HUBER_HU = 15.0
_LEAST_GAIN = 0.03
"""Choice: of the mean difference. On the phantom, whose heads move in the plane alone, tilts of up
to 3 mm at the edge gained under 1 %; slabs moved by 1 mm along z gained 4 to 23 % in all scans but
one of four slices of 8 mm."""
_FARTHEST_MM = 30.0
"""Choice: beyond, the registration has failed, as in an image without a head."""


class Motion(NamedTuple):
    """How the head lies in each frame, relative to the first ones.

    Attributes:
        shift_mm: (T,) length of the shift of the head's centre.
        turn_deg: (T,) angle of the rotation.
        moved_mm: (T,) how far the point of the head moves that moves most.
        transforms: from positions in the first frames to those in each frame; None where a frame
            stays as it is.
        in_plane: whether motion was looked for in the plane of the slices alone.
    """

    shift_mm: np.ndarray
    turn_deg: np.ndarray
    moved_mm: np.ndarray
    transforms: list[sitk.Euler3DTransform | None]
    in_plane: bool

    @property
    def corrected(self) -> bool:
        """Whether any frame is moved."""
        return any(transform is not None for transform in self.transforms)

    @property
    def row(self) -> dict[str, object]:
        """The motion as plain numbers, for JSON."""
        return {
            "motion_corrected": self.corrected,
            "motion_largest_mm": round(float(self.moved_mm.max()), 2),
            "motion_largest_deg": round(float(self.turn_deg.max()), 2),
            "motion_in_plane_only": self.in_plane,
            "motion_mm": [round(float(mm), 2) for mm in self.moved_mm],
            "motion_deg": [round(float(deg), 2) for deg in self.turn_deg],
        }

    @property
    def warnings(self) -> list[str]:
        """A sentence where the head moved much."""
        mm, deg = self.moved_mm.max(), self.turn_deg.max()
        if mm < LARGE_MM and deg < LARGE_DEG:
            return []
        frames = int(np.count_nonzero((self.moved_mm >= LARGE_MM) | (self.turn_deg >= LARGE_DEG)))
        return [
            f"the head moved by up to {mm:.1f} mm and {deg:.1f} degrees, by {LARGE_MM:g} mm or "
            f"degrees or more in {frames} of {len(self.moved_mm)} frames: the frames were brought "
            "back to the first ones; look at the curves, and leave the maps if they jump"
        ]


def measure_motion(series: Series, spacing_zyx_mm: tuple[float, float, float]) -> Motion:
    """Register each frame to the mean of the first three; the series is walked through once.

    Args:
        series: frames (Z, Y, X) in HU.
        spacing_zyx_mm: voxel sizes.
    """
    factors = [max(1, round(_COARSE_MM / size)) for size in spacing_zyx_mm]
    coarse = [_coarsened(frame, factors) for frame in series]
    spacing = [factor * size for factor, size in zip(factors, spacing_zyx_mm, strict=True)]
    reference = np.mean(coarse[:_N_REFERENCE], axis=0)
    head = _head(reference, spacing)
    in_plane = len(reference) < _LEAST_SLICES or len(reference) * spacing[0] < _LEAST_SLAB_MM
    register = _Registration(reference, head, spacing, in_plane)
    found = [register(frame) for frame in coarse]
    moved = np.array([register.most_moved_mm(transform) for transform in found])
    still = moved.max() < LEAST_MM
    return Motion(
        np.array([float(np.linalg.norm(one.GetTranslation())) for one in found]),
        np.array([_angle_deg(one) for one in found]),
        moved,
        [None if still or mm < LEAST_MM / 2 else one for one, mm in zip(found, moved, strict=True)],
        in_plane,
    )


class WithoutMotion:
    """A series whose frames are brought back to where the head lay in the first ones.

    Frames are interpolated linearly; at the border of the image the nearest voxel counts.

    Args:
        series: frames (Z, Y, X).
        motion: from ``measure_motion`` of that series.
        spacing_zyx_mm: voxel sizes.
    """

    def __init__(self, series: Series, motion: Motion, spacing_zyx_mm: tuple[float, float, float]):
        self._series, self._motion, self._spacing = series, motion, spacing_zyx_mm

    def __len__(self) -> int:
        return len(self._series)

    def __iter__(self) -> Iterator[np.ndarray]:
        for frame, transform in zip(self._series, self._motion.transforms, strict=True):
            yield frame if transform is None else _moved(frame, transform, self._spacing)

    @property
    def unusable(self) -> np.ndarray | None:
        """Where a frame that was read held no number, where it was stored, bool (Z, Y, X)."""
        return unusable_voxels(self._series)


class _Registration:
    """Registers frames to a reference by Gauss-Newton steps, at first on blurred images.

    The residual's derivative by a small rotation w about the head's centre and a small shift t is
    taken from the reference's gradient g at p, g (w x p + t), so that it is computed once (Baker
    and Matthews, Int J Comput Vis 2004;56:221-255). Voxels that differ by more than a few HU, as
    vessels do, weigh less (Huber).
    """

    def __init__(
        self, reference: np.ndarray, head: np.ndarray, spacing: list[float], in_plane: bool
    ):
        self._head, self._spacing = head, spacing
        positions = np.argwhere(head)[:, ::-1] * np.array(spacing[::-1])
        self._centre = positions.mean(axis=0)
        self._from_centre = positions - self._centre
        self._used = _IN_PLANE if in_plane else _ALL
        self._levels = [self._derivatives(_blurred(reference, blur), positions) for blur in _BLURS]
        self._before = np.eye(4)

    def _derivatives(
        self, reference: np.ndarray, positions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values (N,) of the head's voxels and their derivatives (N, 6)."""
        slopes = [
            np.gradient(reference, size, axis=axis) if reference.shape[axis] > 1 else 0 * reference
            for axis, size in enumerate(self._spacing)
        ]
        g = np.stack([slope[self._head] for slope in slopes[::-1]], axis=1)
        by_motion = np.concatenate([np.cross(positions - self._centre, g), g], axis=1)
        return reference[self._head], by_motion

    def __call__(self, frame: np.ndarray) -> sitk.Euler3DTransform:
        """From positions in the reference to those in the frame."""
        rest, images = np.eye(4), [_image(_blurred(frame, b), self._spacing) for b in _BLURS]
        found = self._registered(images, self._used)
        if self._used != _IN_PLANE and not self._gains_out_of_plane(images[-1], found):
            found = self._registered(images, _IN_PLANE)
        too_far = self.most_moved_mm(self._transform(found)) > _FARTHEST_MM
        if too_far or self._distance(images[-1], found) >= self._distance(images[-1], rest):
            return self._transform(rest)
        self._before = found
        return self._transform(found)

    def _registered(self, images: list[sitk.Image], used: tuple[int, ...]) -> np.ndarray:
        """The motion (4, 4) by steps along some of the six directions."""
        starts = [np.eye(4), self._before if used == self._used else _part_in_plane(self._before)]
        found = min(starts, key=lambda one: self._distance(images[-1], one))
        for image, (reference, derivatives) in zip(images, self._levels, strict=True):
            for _ in range(_MOST_STEPS):
                step = self._step(image, found, reference, derivatives, used)
                found = found @ np.linalg.inv(step)
                if np.abs(step - np.eye(4)).max() < _LAST_STEP:
                    break
        return found

    def _gains_out_of_plane(self, image: sitk.Image, found: np.ndarray) -> bool:
        """Whether a motion is clearly nearer than its part in the plane."""
        in_plane = self._distance(image, _part_in_plane(found))
        return self._distance(image, found) < (1 - _LEAST_GAIN) * in_plane

    def most_moved_mm(self, transform: sitk.Euler3DTransform) -> float:
        """How far the point of the head moves that moves most."""
        change = np.reshape(transform.GetMatrix(), (3, 3)) - np.eye(3)
        moved = self._from_centre @ change.T + np.array(transform.GetTranslation())
        return float(np.linalg.norm(moved, axis=1).max())

    def _step(
        self,
        image: sitk.Image,
        found: np.ndarray,
        reference: np.ndarray,
        by_motion: np.ndarray,
        used: tuple[int, ...],
    ) -> np.ndarray:
        by_motion = by_motion[:, used]
        residual = self._warped(image, found) - reference
        weight = _HUBER_HU / np.maximum(np.abs(residual), _HUBER_HU)
        weighted = by_motion * weight[:, None]
        normal = weighted.T @ by_motion
        change = np.zeros(6)
        change[list(used)] = np.linalg.lstsq(normal, weighted.T @ residual, rcond=1e-9)[0]
        step = np.eye(4)
        step[:3, :3] = Rotation.from_rotvec(change[:3]).as_matrix()
        step[:3, 3] = change[3:]
        return step

    def _distance(self, image: sitk.Image, found: np.ndarray) -> float:
        """Mean difference at the last level; it is blurred, so that interpolation blurs no more."""
        return float(np.abs(self._warped(image, found) - self._levels[-1][0]).mean())

    def _warped(self, image: sitk.Image, found: np.ndarray) -> np.ndarray:
        return _resampled(image, self._transform(found))[self._head]

    def _transform(self, found: np.ndarray) -> sitk.Euler3DTransform:
        transform = sitk.Euler3DTransform()
        transform.SetCenter((self._centre + np.array(self._spacing[::-1]) / 2).tolist())
        transform.SetMatrix(found[:3, :3].ravel().tolist(), 1e-6)
        transform.SetTranslation(found[:3, 3].tolist())
        return transform


def _part_in_plane(motion: np.ndarray) -> np.ndarray:
    """The rotation about z and the shift along x and y of a motion, (4, 4)."""
    angle = np.arctan2(motion[1, 0], motion[0, 0])
    part = np.eye(4)
    part[:3, :3] = Rotation.from_rotvec([0.0, 0.0, angle]).as_matrix()
    part[:2, 3] = motion[:2, 3]
    return part


def _coarsened(frame: np.ndarray, factors: list[int]) -> np.ndarray:
    """Block means of clipped densities; what fills no block at the far border is left out."""
    clipped = np.clip(frame, *_CLIP_HU)
    for axis, factor in enumerate(factors):
        n_blocks = clipped.shape[axis] // factor
        kept = np.take(clipped, range(n_blocks * factor), axis=axis) if n_blocks else clipped
        size = factor if n_blocks else clipped.shape[axis]
        shape = (*kept.shape[:axis], max(1, n_blocks), size, *kept.shape[axis + 1 :])
        clipped = kept.reshape(shape).mean(axis=axis + 1)
    return clipped.astype(np.float32)


def _head(reference: np.ndarray, spacing: list[float]) -> np.ndarray:
    """The head and a margin: what bone encloses, or without bone what is not background."""
    bone = reference >= 0.7 * _CLIP_HU[1]
    ground = float(np.median(reference[:, [0, -1], :]))
    inside = bone if bone.mean() > 0.005 else np.abs(reference - ground) > 10
    filled = np.stack([ndimage.binary_fill_holes(plane) for plane in inside])
    margin = max(1, round(_MARGIN_MM / spacing[1]))
    grown = np.stack([ndimage.binary_dilation(plane, iterations=margin) for plane in filled])
    return grown if grown.any() else np.ones_like(grown)


def _image(volume: np.ndarray, spacing: list[float] | tuple[float, float, float]) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume, dtype=np.float32))
    image.SetSpacing([float(size) for size in spacing[::-1]])
    # The first voxel's corner, not its centre, is 0: so coarse and fine voxels have one space.
    image.SetOrigin([float(size) / 2 for size in spacing[::-1]])
    return image


def _moved(
    frame: np.ndarray, transform: sitk.Euler3DTransform, spacing: tuple[float, float, float]
) -> np.ndarray:
    return _resampled(_image(frame, spacing), transform)


def _resampled(image: sitk.Image, transform: sitk.Euler3DTransform) -> np.ndarray:
    """Values of the image at the transformed positions of its voxels, (Z, Y, X) float32."""
    resample = sitk.ResampleImageFilter()
    resample.SetReferenceImage(image)
    resample.SetTransform(transform)
    resample.SetInterpolator(sitk.sitkLinear)
    resample.UseNearestNeighborExtrapolatorOn()
    return np.asarray(sitk.GetArrayFromImage(resample.Execute(image)), np.float32)


def _blurred(volume: np.ndarray, sigma_px: float) -> np.ndarray:
    return ndimage.gaussian_filter(volume, (0, sigma_px, sigma_px)) if sigma_px else volume


def _angle_deg(transform: sitk.Euler3DTransform) -> float:
    trace = np.trace(np.reshape(transform.GetMatrix(), (3, 3)))
    return float(np.rad2deg(np.arccos(np.clip((trace - 1) / 2, -1, 1))))
