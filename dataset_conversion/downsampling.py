"""Fewer pixels in plane, for large scans: a block of pixels becomes one; slices do not change."""

from __future__ import annotations

import numpy as np

from nnunetv2_strokesynth.io.nifti import Geometry


def block_mean(volume: np.ndarray, factor: int, outside: np.ndarray | None = None) -> np.ndarray:
    """The mean of each block of ``factor`` x ``factor`` pixels.

    Args:
        volume: (..., Y, X). If a side is not a multiple of ``factor``, its last pixel is repeated.
        factor: 1 or more; 1 returns the volume itself.
        outside: bool, as the volume; the background, which enters the mean of a block only where
            the whole block is background. None for an image without any.

    Returns:
        (..., ceil(Y / factor), ceil(X / factor)), float32.

    Source: our choice. A mean also lowers the noise, as larger pixels of the scanner would;
    interpolation at single points would not.
    """
    if factor == 1:
        return volume
    plain = _blocks(volume, factor).mean(axis=(-3, -1), dtype=np.float32)
    if outside is None or not outside.any():
        return plain
    inside = _blocks(~outside, factor).sum(axis=(-3, -1))
    total = _blocks(np.where(outside, np.float32(0), volume), factor).sum(
        axis=(-3, -1), dtype=np.float32
    )
    return np.where(inside > 0, total / np.maximum(inside, 1).astype(np.float32), plain)


def _blocks(volume: np.ndarray, factor: int) -> np.ndarray:
    """(..., Y, X) as (..., rows of blocks, factor, columns of blocks, factor)."""
    padding = [(0, 0)] * (volume.ndim - 2) + [(0, -side % factor) for side in volume.shape[-2:]]
    padded = np.pad(volume, padding, mode="edge")
    height, width = padded.shape[-2:]
    return padded.reshape(*padded.shape[:-2], height // factor, factor, width // factor, factor)


def block_majority(lesion: np.ndarray, factor: int) -> np.ndarray:
    """True where at least half of a block is lesion, bool; blocks are those of ``block_mean``."""
    return lesion if factor == 1 else block_mean(lesion, factor) >= 0.5


def coarser(geometry: Geometry, factor: int) -> Geometry:
    """Geometry of ``block_mean``'s voxels: the origin moves to the centre of the first block."""
    z_mm, y_mm, x_mm = geometry.spacing_zyx_mm
    shift = np.array([x_mm, y_mm, 0.0]) * (factor - 1) / 2
    origin = np.array(geometry.origin_xyz_mm) + np.reshape(geometry.direction, (3, 3)) @ shift
    return geometry._replace(
        spacing_zyx_mm=(z_mm, y_mm * factor, x_mm * factor),
        origin_xyz_mm=tuple(float(value) for value in origin),
    )
