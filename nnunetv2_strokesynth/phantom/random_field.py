"""Smooth random functions of position, for all that varies from place to place in the phantom."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

N_WAVES = 40
_CHUNK = 65536


class RandomField(NamedTuple):
    """A stationary Gaussian-like random field, as a sum of plane waves (random Fourier features).

    It is a function of the position in mm, so that the two slabs of a patient, and one patient at
    two pixel sizes, see the same field.

    Attributes:
        waves: (N_WAVES, 3) wave vectors in rad/mm.
        phases: (N_WAVES,) in rad.
    """

    waves: np.ndarray
    phases: np.ndarray

    def __call__(self, points_mm: np.ndarray) -> np.ndarray:
        """Values at ``points_mm`` (3, N): (N,) float32 of mean 0 and standard deviation about 1."""
        values = np.empty(points_mm.shape[1], np.float32)
        waves, phases = self.waves.astype(np.float32), self.phases.astype(np.float32)
        for start in range(0, values.size, _CHUNK):
            points = points_mm[:, start : start + _CHUNK].astype(np.float32)
            # Not a matrix product, because BLAS may round differently with other thread counts.
            angle = (
                waves[:, :1] * points[0] + waves[:, 1:2] * points[1] + waves[:, 2:] * points[2]
            ) + phases[:, None]
            values[start : start + _CHUNK] = np.cos(angle).sum(axis=0)
        return values * np.float32(np.sqrt(2 / len(phases)))


def draw_random_field(rng: np.random.Generator, correlation_mm: float) -> RandomField:
    """A field whose covariance is exp(-d^2 / (2 correlation_mm^2))."""
    return RandomField(
        rng.normal(0.0, 1.0 / correlation_mm, (N_WAVES, 3)), rng.uniform(0, 2 * np.pi, N_WAVES)
    )
