"""What the scanners do to the truth: motion, quantum noise, blur, and DWI contrast."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

CTP_NOISE_HU_MM = 9.0
"""Noise per pixel of a 5 mm slice, times the pixel size, before the reconstruction kernel."""
NCCT_NOISE_HU_MM = 7.0
KERNEL_SIGMA_MM = 0.75
_REFERENCE_SLICE_MM = 5.0
_SPECK_MM2 = 12.0
_IN_PLANE = np.pad(np.ones((1, 3, 3), bool), ((1, 1), (0, 0), (0, 0)))


def noise_image(
    rng: np.random.Generator, shape: tuple[int, ...], *, density_hu_mm: float, voxel_mm: tuple
) -> np.ndarray:
    """Reconstruction noise of CT slices, (Z, Y, X) float32 HU.

    White noise whose standard deviation goes with 1 / pixel size and 1 / sqrt(slice thickness), as
    photon counts do, blurred by the reconstruction kernel. Coarse pixels therefore carry less noise
    each and the same
    noise per square millimetre: after the smoothing of a perfusion map all pixel sizes are equally
        noisy.

    Args:
        voxel_mm: (slice, pixel) size.
    """
    slice_mm, pixel_mm = voxel_mm
    sd = density_hu_mm / pixel_mm * np.sqrt(_REFERENCE_SLICE_MM / slice_mm)
    noise = rng.standard_normal(shape, dtype=np.float32) * np.float32(sd)
    sigma = KERNEL_SIGMA_MM / pixel_mm
    return ndimage.gaussian_filter(noise, (0, sigma, sigma), truncate=3.0)


def draw_motion(rng: np.random.Generator, n_frames: int) -> np.ndarray:
    """In-plane motion left over after registration: (n_frames, 3) = dy mm, dx mm, rotation deg.

    A slow drift, a small jitter, and in some scans a few jolts.
    """
    time = np.linspace(0, 1, n_frames)[:, None]
    drift = time * rng.normal(0, [0.5, 0.5, 0.3])
    jitter = rng.normal(0, [0.12, 0.12, 0.06], (n_frames, 3))
    motion = drift + jitter
    if rng.random() < 0.35:
        for start in rng.integers(3, n_frames, rng.integers(1, 3)):
            motion[start : start + rng.integers(1, 5)] += rng.normal(0, [1.2, 1.2, 0.8])
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


def dwi_signal(
    tissue: dict[str, np.ndarray], rng: np.random.Generator, pixel_mm: float
) -> np.ndarray:
    """A diffusion-weighted image (b about 1000 s/mm2), (Z, Y, X) float32, arbitrary units.

    Args:
        tissue: (Z, Y, X) each: ``gm``, ``wm``, ``csf`` fractions, ``scalp`` (0/1), ``infarct`` (0
            to 1),
            ``infarct_gain`` (relative hyperintensity), ``shine`` (relative, not lesion), ``bias``
            (relative).
    """
    signal = 100 * tissue["gm"] + 84 * tissue["wm"] + 22 * tissue["csf"] + 7 * tissue["scalp"]
    signal = signal * (1 + tissue["infarct_gain"] * tissue["infarct"] + tissue["shine"])
    signal = signal * tissue["bias"]
    return mr_image(signal, rng, sd=4.5, pixel_mm=pixel_mm)


def mr_image(
    signal: np.ndarray, rng: np.random.Generator, *, sd: float, pixel_mm: float
) -> np.ndarray:
    """Magnitude image of an echo-planar acquisition, float32: blurred, with Rician noise.

    Args:
        signal: (Z, Y, X), arbitrary units.
        sd: of the noise in a pixel of 1.8 mm or less, in the units of ``signal``; larger pixels
            carry less.
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


def draw_by_rater(
    visible: np.ndarray, wobble: np.ndarray, pixel_mm: float, tissue: np.ndarray
) -> np.ndarray:
    """The lesion as a rater outlines it on the DWI, bool (Z, Y, X).

    Args:
        visible: infarct fraction on the DWI's grid, 0 to 1.
        wobble: (Z, Y, X) smooth jitter of the outline, in mm outwards.
        tissue: bool, where a lesion can be.
    """
    sigma = 1.0 / pixel_mm
    soft = ndimage.gaussian_filter(visible.astype(np.float32), (0, sigma, sigma)) > 0.5
    distance = np.zeros(visible.shape, np.float32)
    for k, plane in enumerate(soft):
        if plane.any():
            distance[k] = ndimage.distance_transform_edt(plane)
            distance[k] -= ndimage.distance_transform_edt(~plane)
        else:
            distance[k] = -1e3
    outline = (distance * pixel_mm + wobble > 0) & tissue
    if not outline.any():
        outline = soft if soft.any() else visible > 0.5 * visible.max()
    labels, count = ndimage.label(outline, structure=_IN_PLANE)
    areas = ndimage.sum_labels(outline, labels, np.arange(1, count + 1)) * pixel_mm**2
    # Raters skip specks, but a scan with nothing to outline would not be in the release.
    kept = areas >= min(_SPECK_MM2, areas.max(initial=0))
    return np.isin(labels, 1 + np.flatnonzero(kept))
