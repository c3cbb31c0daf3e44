"""Noise that scales as photons do, and motion."""

import numpy as np
import pytest

from nnunetv2_strokesynth.phantom.acquisition import move_slices, noise_image
from nnunetv2_strokesynth.phantom.physics import Physics

PHYSICS = Physics()


def _noise(pixel_mm, slice_mm=5.0, size=384):
    return noise_image(
        np.random.default_rng(0),
        (8, size, size),
        density_hu_mm=10.0,
        kernel_sigma_mm=PHYSICS.ct.kernel_sigma_mm,
        voxel_mm=(slice_mm, pixel_mm),
    )


def test_noise_per_area_does_not_depend_on_the_pixel_size():
    """Averages over 28.8 x 28.8 mm: density / side, whatever the pixel size."""
    for pixel_mm, block in ((0.9, 32), (3.6, 8)):
        noise = _noise(pixel_mm)
        n = noise.shape[1] // block
        means = noise.reshape(8, n, block, n, block).mean(axis=(2, 4))
        assert means.std() == pytest.approx(10 / 28.8, rel=0.1)
    assert _noise(3.6).std() < 0.8 * _noise(0.9).std()


def test_thick_slices_are_less_noisy():
    assert _noise(0.9, 5.0).std() / _noise(0.9, 10.0).std() == pytest.approx(2**0.5, rel=0.01)


def test_motion_moves_by_millimetres():
    volume = np.zeros((1, 32, 32), np.float32)
    volume[0, 10, 12] = 1
    moved = move_slices(volume, np.array([4.0, -6.0, 0.0]), 2.0)
    assert np.unravel_index(moved.argmax(), moved.shape) == (0, 12, 9)
