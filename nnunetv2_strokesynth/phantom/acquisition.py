"""What scanners do to the truth: motion, noise and blur of CT and MR images."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.phantom.physics import CTPhysics

_REFERENCE_SLICE_MM = 5.0
_SLOW = 3.0


def noise_image(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    *,
    density_hu_mm: float,
    kernel_sigma_mm: float,
    voxel_mm: tuple[float, float],
    slow_loss: float = 0.0,
    slice_weight: float = 0.0,
) -> np.ndarray:
    """Reconstruction noise of CT slices, (Z, Y, X) float32 HU.

    White noise whose standard deviation goes with 1 / pixel size and 1 / sqrt(slice thickness), as
    photon counts do, blurred by the reconstruction kernel. A coarse pixel therefore carries less
    noise, and a square millimetre the same: after the smoothing of a perfusion map all pixel sizes
    are equally noisy.

    Args:
        rng: the scan's generator.
        shape: (Z, Y, X).
        density_hu_mm: noise per pixel of a 5 mm slice, times the pixel size, before the kernel.
        kernel_sigma_mm: of the Gaussian reconstruction kernel.
        voxel_mm: (slice, pixel) size.
        slow_loss: share of the noise over about three kernels' width that is filtered away.
        slice_weight: of each neighbouring slice; the noise keeps its standard deviation.
    """
    slice_mm, pixel_mm = voxel_mm
    sd = density_hu_mm / pixel_mm * np.sqrt(_REFERENCE_SLICE_MM / slice_mm)
    noise = rng.standard_normal(shape, dtype=np.float32) * np.float32(sd)
    sigma = kernel_sigma_mm / pixel_mm
    noise = ndimage.gaussian_filter(noise, (0, sigma, sigma), truncate=3.0)
    if slow_loss:
        wide = _SLOW * sigma
        noise -= slow_loss * ndimage.gaussian_filter(noise, (0, wide, wide), truncate=3.0)
    return _shared_by_slices(noise, slice_weight) if slice_weight else noise


def _shared_by_slices(noise: np.ndarray, weight: float) -> np.ndarray:
    """Each slice with a part of its neighbours', at the same standard deviation."""
    mixed, power = noise.copy(), np.ones((len(noise), 1, 1), np.float32)
    for to, of in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
        mixed[to] += np.float32(weight) * noise[of]
        power[to] += np.float32(weight**2)
    return mixed / np.sqrt(power)


def draw_motion(rng: np.random.Generator, n_frames: int, physics: CTPhysics) -> np.ndarray:
    """In-plane motion left over after registration: (n_frames, 3) = dy mm, dx mm, rotation deg.

    There is a slow drift, a small jitter, and in some scans a few jolts.
    """
    time = np.linspace(0, 1, n_frames)[:, None]
    drift = time * rng.normal(0, physics.drift_sd)
    jitter = rng.normal(0, physics.jitter_sd, (n_frames, 3))
    motion = drift + jitter
    if rng.random() < physics.jolt_probability:
        for start in rng.integers(3, n_frames, rng.integers(1, 3)):
            motion[start : start + rng.integers(1, 5)] += rng.normal(0, physics.jolt_sd)
    return motion


def move_slices(volume: np.ndarray, motion: np.ndarray, pixel_mm: float) -> np.ndarray:
    """Shift and rotate each slice of (Z, Y, X) about its centre by (dy mm, dx mm, deg)."""
    angle = np.deg2rad(motion[2])
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = (np.array(volume.shape[1:]) - 1) / 2
    offset = centre - matrix @ centre - motion[:2] / pixel_mm
    moved = [
        ndimage.affine_transform(plane, matrix, offset, order=1, mode="nearest") for plane in volume
    ]
    return np.stack(moved)


def mr_image(
    rng: np.random.Generator, signal: np.ndarray, *, sd: float, pixel_mm: float
) -> np.ndarray:
    """Magnitude image of an echo-planar acquisition, float32: blurred, with Rician noise.

    Args:
        rng: the scan's generator.
        signal: (Z, Y, X), arbitrary units.
        sd: of the noise in a pixel of 1.8 mm or less, in the units of ``signal``; larger pixels
            carry less.
        pixel_mm: in-plane voxel size.
    """
    # Echo-planar images are acquired at about 1.8 mm and interpolated.
    sigma = 1.0 / pixel_mm
    signal = ndimage.gaussian_filter(signal.astype(np.float32), (0, sigma, sigma))
    grain = max(0.5, 0.7 / pixel_mm)
    real, imaginary = (
        ndimage.gaussian_filter(
            rng.standard_normal(signal.shape, dtype=np.float32), (0, grain, grain)
        )
        for _ in range(2)
    )
    norm = sd * min(1.0, 1.8 / pixel_mm) / max(float(real.std()), 1e-6)
    return np.hypot(signal + norm * real, norm * imaginary)
