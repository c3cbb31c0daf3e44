"""The best that one threshold on one perfusion map can do: the yardstick for a trained network.

Clinical software outlines the core by such a threshold (CBF below 30 % of healthy tissue). Here the
map, the side and the threshold are all chosen on the very scans they are judged on, which flatters
the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

N_THRESHOLDS = 60


class ThresholdRule(NamedTuple):
    """A rule and its mean Dice. ``side`` is "below" or "above"."""

    map_name: str
    side: str
    threshold: float
    mean_dice: float

    def __str__(self) -> str:
        return f"{self.map_name} {self.side} {self.threshold:.3g} x the scan's brain median"


def relative_map(values: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """A map divided by its median over the brain, so that one threshold suits every scan.

    Args:
        values: ``(Z, Y, X)``.
        brain: bool ``(Z, Y, X)``.

    Returns:
        float ``(Z, Y, X)``; unchanged where the median is zero.
    """
    median = float(np.median(values[brain])) if brain.any() else 0.0
    return values / median if median > 0 else values


def _dice_below(
    values: np.ndarray, lesion: np.ndarray, n_lesion: int, thresholds: np.ndarray
) -> np.ndarray:
    """Dice of ``values < t`` for every t at once, from cumulative counts of the sorted voxels.

    ``n_lesion`` counts lesion voxels outside the brain too: a threshold can never find those.
    """
    order = np.argsort(values, kind="stable")
    n_below = np.searchsorted(values[order], thresholds, side="left")
    hits = np.concatenate(([0], np.cumsum(lesion[order])))[n_below]
    total = n_below + n_lesion
    return np.where(total > 0, 2 * hits / np.maximum(total, 1), 1.0)


def best_threshold(
    maps: dict[str, Sequence[np.ndarray]], lesions: Sequence[np.ndarray]
) -> ThresholdRule:
    """The (map, side, threshold) with the highest mean Dice over the given scans.

    Args:
        maps: for every map its scans ``(Z, Y, X)``; voxels where all maps are 0 are not brain.
        lesions: bool ``(Z, Y, X)`` per scan.

    Returns:
        The best rule among ``N_THRESHOLDS`` quantiles per map and both sides.
    """
    brains = [
        np.any([scan != 0 for scan in scans], axis=0) for scans in zip(*maps.values(), strict=True)
    ]
    inside = [lesion[brain] for lesion, brain in zip(lesions, brains, strict=True)]
    rules = []
    for name, scans in maps.items():
        values = [
            relative_map(scan, brain)[brain] for scan, brain in zip(scans, brains, strict=True)
        ]
        thresholds = np.quantile(np.concatenate(values), np.linspace(0.005, 0.995, N_THRESHOLDS))
        for side, sign in (("below", 1.0), ("above", -1.0)):
            dice = np.mean(
                [
                    _dice_below(sign * voxels, hit, int(lesion.sum()), sign * thresholds)
                    for voxels, hit, lesion in zip(values, inside, lesions, strict=True)
                ],
                axis=0,
            )
            top = int(np.argmax(dice))
            rules.append(ThresholdRule(name, side, float(thresholds[top]), float(dice[top])))
    return max(rules, key=lambda rule: rule.mean_dice)
