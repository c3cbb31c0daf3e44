"""What a model nearly called, where it called nothing."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.reporting.result_table import rounded_ml

_LEAST = 0.02
"""Choice: a probability below it says nothing about a place."""


class NearMiss(NamedTuple):
    """The region of the highest probability in a scan without predicted lesion.

    Attributes:
        highest: probability in the scan.
        threshold: half of it.
        volume_ml: above that threshold.
        slice_index: where the highest probability lies.
        region: bool (Z, Y, X), what lies above the threshold.
    """

    highest: float
    threshold: float
    volume_ml: float
    slice_index: int
    region: np.ndarray

    @property
    def sentence(self) -> str:
        """For a page."""
        return (
            f"No lesion was called. Nearly called: the highest probability is {self.highest:.2f}, "
            f"in slice {self.slice_index + 1}; above {self.threshold:.2f} lie "
            f"{rounded_ml(self.volume_ml)} mL"
        )


def near_miss(lesion: np.ndarray, probability: np.ndarray, voxel_ml: float) -> NearMiss | None:
    """The near miss; None where there is a lesion, or no probability to speak of.

    Args:
        lesion: bool (Z, Y, X).
        probability: of lesion, float (Z, Y, X).
        voxel_ml: of a voxel.
    """
    highest = float(probability.max())
    if lesion.any() or highest < _LEAST:
        return None
    threshold = np.floor(50 * highest) / 100  # in hundredths, as the page's slider has them
    region = probability > threshold
    where = int(probability.max(axis=(1, 2)).argmax())
    return NearMiss(highest, threshold, float(region.sum()) * voxel_ml, where, region)
