"""Mirrored channels: each hemisphere laid over the other, so that a network can compare them.

A head is rarely upright in the middle of its image. So the left-right flipped CT is registered to
the CT, and the transform that is found moves all flipped channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

REGISTERED, FLIPPED = "registered", "flipped"
_BRAIN_HU = (0.0, 60.0)
_ANGLE_STEP_DEG, _N_ANGLE_STEPS = 3.0, 10  # to either side: heads tilted by up to 15 degrees
_COARSE_MM, _FINE_MM = 6.0, 3.0
_LEAST_WEIGHT = np.float32(0.5)


class Mirror(NamedTuple):
    """How the flipped head is laid over the head.

    Attributes:
        rule: ``REGISTERED``, or ``FLIPPED`` where registering did not improve the correlation.
        transform: from positions in the scan to positions in the flipped scan, mm in the slice's
            plane, with the origin in the middle of the image.
        rotation_deg: its rotation, twice the tilt of the head.
        shift_mm: length of its translation, at the middle of the brain.
        correlation_before: correlation of CT and flipped CT over the voxels where both have brain.
        correlation_after: the same with the transform applied.
    """

    rule: str
    transform: sitk.Euler2DTransform
    rotation_deg: float
    shift_mm: float
    correlation_before: float
    correlation_after: float

    @property
    def row(self) -> dict[str, object]:
        """Its cells in the conversion report."""
        return {
            "mirror_rule": self.rule,
            "mirror_rotation_deg": self.rotation_deg,
            "mirror_shift_mm": self.shift_mm,
            "mirror_correlation_before": self.correlation_before,
            "mirror_correlation_after": self.correlation_after,
        }


def find_mirror(
    ct: np.ndarray, mask: np.ndarray, spacing_zyx_mm: tuple[float, float, float]
) -> Mirror:
    """Register the left-right flipped CT to the CT: one rotation and shift in the axial plane.

    Args:
        ct: (Z, Y, X), HU.
        mask: the brain, bool (Z, Y, X), with at least one voxel.
        spacing_zyx_mm: voxel sizes.

    Returns:
        The plain flip if the registration fails or does not improve the correlation.

    Source: Clerigues et al. 2019, section 2.1.1: an axial affine transform found by FSL FLIRT. The
    authors' released code is rigid, and so is ours. Our choices: the measure is the mean squared
    difference of the brain's CT, averaged over the slices because a head is one rigid body. Outside
    the brain, the image has the brain's median, because the outline of a rotated head misleads the
    search. Angles are searched first, at 6 mm resolution, because sulci trap a plain descent; then
    follows gradient descent at 6 and 3 mm.
    """
    plain = sitk.Euler2DTransform()
    before = _correlation(ct, mask, plain, spacing_zyx_mm)
    try:
        found = _register(ct, mask, spacing_zyx_mm)
        after = _correlation(ct, mask, found, spacing_zyx_mm)
    except RuntimeError:  # of SimpleITK: the heads do not overlap, or nothing to compare
        found, after = plain, before
    rule = REGISTERED
    if not after > before:
        rule, found, after = FLIPPED, plain, before
    shift = math.hypot(*found.GetTranslation())
    return Mirror(rule, found, math.degrees(found.GetAngle()), shift, before, after)


def mirrored(
    volume: np.ndarray,
    transform: sitk.Transform,
    spacing_zyx_mm: tuple[float, float, float],
    *,
    inside: np.ndarray | None = None,
) -> np.ndarray:
    """The flipped volume laid over the volume: (Z, Y, X) -> float32 (Z, Y, X).

    Args:
        volume: (Z, Y, X).
        transform: from positions in the scan to positions in the flipped scan.
        spacing_zyx_mm: voxel sizes.
        inside: (Z, Y, X) bool, the voxels that count; None for all. The others enter no mean, and
            the result is 0 where they have more than half of the weight.

    Interpolation is linear; voxels outside the flipped image are 0.
    """
    if inside is not None:
        weight = mirrored(inside.astype(np.float32), transform, spacing_zyx_mm)
        total = mirrored(np.where(inside, volume, 0), transform, spacing_zyx_mm)
        return np.where(weight >= _LEAST_WEIGHT, total / np.maximum(weight, _LEAST_WEIGHT), 0)
    moved = np.empty(volume.shape, dtype=np.float32)
    for index, image in enumerate(volume):
        fixed = _image(image, spacing_zyx_mm)
        flipped = _image(image[:, ::-1], spacing_zyx_mm)
        resampled = sitk.Resample(flipped, fixed, transform, sitk.sitkLinear, 0.0)
        moved[index] = sitk.GetArrayViewFromImage(resampled)
    return moved


def _image(array: np.ndarray, spacing_zyx_mm: Sequence[float]) -> sitk.Image:
    """(Y, X) as an image whose origin is in its middle."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array, dtype=np.float32))
    spacing = tuple(float(size) for size in spacing_zyx_mm[:0:-1])
    image.SetSpacing(spacing)
    sides = zip(image.GetSize(), spacing, strict=True)
    image.SetOrigin([-(n - 1) / 2 * size for n, size in sides])
    return image


def _brain_ct(ct: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The CT minus the brain's median, 0 outside the brain, so that its border is no edge."""
    clipped = np.clip(ct, *_BRAIN_HU)
    return np.where(mask, clipped - np.median(clipped[mask]), 0.0)


def _register(
    ct: np.ndarray, mask: np.ndarray, spacing_zyx_mm: tuple[float, float, float]
) -> sitk.Euler2DTransform:
    projection = _brain_ct(ct, mask).mean(axis=0)
    transform = _centred(mask, spacing_zyx_mm)
    _search_angle(*_pair(projection, _COARSE_MM, spacing_zyx_mm), transform)
    for resolution_mm in (_COARSE_MM, _FINE_MM):
        _descend(*_pair(projection, resolution_mm, spacing_zyx_mm), transform)
    return transform


def _centred(mask: np.ndarray, spacing_zyx_mm: tuple[float, float, float]) -> sitk.Euler2DTransform:
    """The transform that lays the middle of the flipped brain over the middle of the brain."""
    middle = [
        (np.average(np.arange(n), weights=mask.sum(axis=axes)) - (n - 1) / 2) * size
        for n, size, axes in (
            (mask.shape[2], spacing_zyx_mm[2], (0, 1)),
            (mask.shape[1], spacing_zyx_mm[1], (0, 2)),
        )
    ]
    transform = sitk.Euler2DTransform()
    transform.SetCenter(middle)
    transform.SetTranslation((-2 * middle[0], 0.0))
    return transform


def _pair(
    projection: np.ndarray, resolution_mm: float, spacing_zyx_mm: Sequence[float]
) -> tuple[sitk.Image, sitk.Image]:
    """The smoothed projection, with pixels of about ``resolution_mm``, and its smoothed flip."""
    smooth = gaussian_filter(projection, [resolution_mm / size for size in spacing_zyx_mm[1:]])
    shrink = [max(1, int(resolution_mm / size)) for size in spacing_zyx_mm[:0:-1]]
    fixed = sitk.Shrink(_image(smooth, spacing_zyx_mm), shrink)
    return fixed, _image(smooth[:, ::-1], spacing_zyx_mm)


def _method(transform: sitk.Euler2DTransform) -> sitk.ImageRegistrationMethod:
    """A registration that changes ``transform``; all pixels and one thread make it reproducible."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetNumberOfThreads(1)
    method.SetInitialTransform(transform, inPlace=True)
    return method


def _search_angle(fixed: sitk.Image, flipped: sitk.Image, transform: sitk.Euler2DTransform) -> None:
    method = _method(transform)
    method.SetOptimizerAsExhaustive([_N_ANGLE_STEPS, 0, 0], 1.0)
    method.SetOptimizerScales([math.radians(_ANGLE_STEP_DEG), 1.0, 1.0])
    method.Execute(fixed, flipped)


def _descend(fixed: sitk.Image, flipped: sitk.Image, transform: sitk.Euler2DTransform) -> None:
    method = _method(transform)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0,
        minStep=0.01,
        numberOfIterations=200,
        relaxationFactor=0.7,
        gradientMagnitudeTolerance=1e-8,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.Execute(fixed, flipped)


def _correlation(
    ct: np.ndarray,
    mask: np.ndarray,
    transform: sitk.Transform,
    spacing_zyx_mm: tuple[float, float, float],
) -> float:
    """Correlation of the smoothed CT and its mirror image where both have brain; 0 if undefined.

    The CT is smoothed first: linear interpolation averages noise, which alone would raise the
    correlation of a registered image above that of a plain flip.
    """
    sigma = [0.0, *(_FINE_MM / size for size in spacing_zyx_mm[1:])]
    smooth = gaussian_filter(_brain_ct(ct, mask), sigma)
    both = mask & (mirrored(mask.astype(np.float32), transform, spacing_zyx_mm) > 0.5)
    if both.sum() < 2:
        return 0.0
    pair = np.stack([smooth[both], mirrored(smooth, transform, spacing_zyx_mm)[both]])
    if (pair.std(axis=1) == 0).any():
        return 0.0
    return float(np.corrcoef(pair)[0, 1])
