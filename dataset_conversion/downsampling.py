"""Fewer pixels in plane, for large scans: a block of pixels becomes one; slices do not change."""

from __future__ import annotations

import numpy as np

from nnunetv2_strokesynth.io.nifti import Geometry


def block_mean(volume: np.ndarray, factor: int, outside: np.ndarray | None = None) -> np.ndarray:
    """The mean of each block of ``factor`` x ``factor`` pixels; see ``BlockMean``.

    Args:
        volume: (..., Y, X).
        factor: 1 or more; 1 returns the volume itself.
        outside: bool, as the volume, or None.

    Returns:
        (..., ceil(Y / factor), ceil(X / factor)), float32.
    """
    return BlockMean(factor, outside)(volume)


class BlockMean:
    """Means of blocks of pixels, for many images with the same background.

    If a side is not a multiple of ``factor``, its last pixel is repeated.

    Args:
        factor: 1 or more; 1 changes nothing.
        outside: (..., Y, X) bool; the background, which enters the mean of a block only where the
            whole block is background. None for images without any.

    Source: our choice. A mean also lowers the noise, as larger pixels of the scanner would;
    interpolation at single points would not.
    """

    def __init__(self, factor: int, outside: np.ndarray | None = None):
        self._factor = factor
        self._mixed: tuple[np.ndarray, ...] = ()
        if factor > 1 and outside is not None and outside.any():
            inside = _blocks(~outside, factor)
            share = _plain_mean(~outside, factor)
            self._mixed = np.nonzero((share > 0) & (share < 1))
            self._weights = self._pixels(inside).astype(np.float32)
            self._weights /= self._weights.sum(axis=(-2, -1), keepdims=True)

    def __call__(self, volume: np.ndarray) -> np.ndarray:
        """(..., Y, X) -> (..., ceil(Y / factor), ceil(X / factor)), float32."""
        if self._factor == 1:
            return volume
        means = _plain_mean(volume, self._factor)
        if self._mixed:
            pixels = self._pixels(_blocks(volume, self._factor))
            kept = np.where(self._weights > 0, pixels, np.float32(0))
            means[self._mixed] = (kept * self._weights).sum(axis=(-2, -1))
        return means

    def _pixels(self, blocks: np.ndarray) -> np.ndarray:
        """(N, factor, factor) of the N blocks that hold background and something else."""
        *leading, rows, columns = self._mixed
        index = (*leading, rows, slice(None), columns, slice(None))
        return blocks[index]


def _plain_mean(volume: np.ndarray, factor: int) -> np.ndarray:
    """The mean of each block, float32, as a sum of strided images: 5 times as fast as blocks."""
    padded = _padded(volume, factor)
    total = np.zeros((*padded.shape[:-2], *(side // factor for side in padded.shape[-2:])), "f4")
    for row in range(factor):
        for column in range(factor):
            total += padded[..., row::factor, column::factor]
    return total / np.float32(factor * factor)


def _padded(volume: np.ndarray, factor: int) -> np.ndarray:
    """The volume with its last row and column repeated until blocks fit in."""
    padding = [(0, 0)] * (volume.ndim - 2) + [(0, -side % factor) for side in volume.shape[-2:]]
    return np.pad(volume, padding, mode="edge") if np.any(padding) else volume


def _blocks(volume: np.ndarray, factor: int) -> np.ndarray:
    """(..., Y, X) as (..., rows of blocks, factor, columns of blocks, factor)."""
    padded = _padded(volume, factor)
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
