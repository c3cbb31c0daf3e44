"""Slices that lie unevenly, as where two slabs overlap off each other's grid, at even distances."""

from __future__ import annotations

import numpy as np

_MOST_OVER_USUAL = 1.5


class EvenSlices:
    """Interpolates a frame linearly between its slices, to even distances.

    Args:
        places_mm: (Z,) where the slices lie along their normal, increasing.
        spacing_mm: the wanted distance; the first slice stays where it is.

    Attributes:
        n_slices: of a frame afterwards.
    """

    def __init__(self, places_mm: np.ndarray, spacing_mm: float):
        self.n_slices = int((places_mm[-1] - places_mm[0]) / spacing_mm + 1e-3) + 1
        wanted = places_mm[0] + spacing_mm * np.arange(self.n_slices)
        self._below = np.clip(
            np.searchsorted(places_mm, wanted, side="right") - 1, 0, len(places_mm) - 2
        )
        start, end = places_mm[self._below], places_mm[self._below + 1]
        self._part = np.clip((wanted - start) / (end - start), 0, 1).astype(np.float32)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """(Z, Y, X) as stored -> (n_slices, Y, X), float32."""
        part = self._part[:, None, None]
        return np.asarray(
            frame[self._below] * (1 - part) + frame[self._below + 1] * part, np.float32
        )


def widest_distance(places_mm: np.ndarray) -> float | None:
    """The distance to which overlapping slabs can be brought without a gap.

    It is the largest between two neighbours, if it occurs more than once and is not 1.5 times the
    usual one, as where a slice is missing.
    """
    distances = np.diff(places_mm)
    widest = float(distances.max())
    often = int(np.count_nonzero(distances > 0.99 * widest)) > 1
    return widest if often and widest < _MOST_OVER_USUAL * np.median(distances) else None
