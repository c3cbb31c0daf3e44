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
    """A rule and its mean Dice.

    ``side`` is "below" or "above"; ``relative`` thresholds are in units of the scan's brain median,
    the others in those of the map.
    """

    map_name: str
    side: str
    threshold: float
    relative: bool
    mean_dice: float

    def __str__(self) -> str:
        unit = " x the scan's brain median" if self.relative else ""
        return f"{self.map_name} {self.side} {self.threshold:.3g}{unit}"


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
        The best rule among ``N_THRESHOLDS`` quantiles per map, both sides, as it is and relative to
        the scan's median.
    """
    brains = _brains(maps)
    rules = []
    for name, scans in maps.items():
        for relative in (False, True):
            values = _brain_values(scans, brains, relative=relative)
            for side in ("below", "above"):
                threshold, mean_dice = _best_cut(values, lesions, brains, side)
                rules.append(ThresholdRule(name, side, threshold, relative, mean_dice))
    return max(rules, key=lambda rule: rule.mean_dice)


def mean_dice_of_rule(
    rule: ThresholdRule, maps: dict[str, Sequence[np.ndarray]], lesions: Sequence[np.ndarray]
) -> float:
    """Mean Dice of a rule on other scans than those it was chosen on. Arguments as above."""
    brains = _brains(maps)
    values = _brain_values(maps[rule.map_name], brains, relative=rule.relative)
    return float(np.mean(_dice_per_scan(values, lesions, brains, rule.side, [rule.threshold])))


def _brains(maps: dict[str, Sequence[np.ndarray]]) -> list[np.ndarray]:
    return [
        np.any([scan != 0 for scan in scans], axis=0) for scans in zip(*maps.values(), strict=True)
    ]


def _brain_values(
    scans: Sequence[np.ndarray], brains: Sequence[np.ndarray], *, relative: bool
) -> list[np.ndarray]:
    """Brain voxels ``(N,)`` of each scan."""
    return [
        (relative_map(scan, brain) if relative else scan)[brain]
        for scan, brain in zip(scans, brains, strict=True)
    ]


def _dice_per_scan(
    values: Sequence[np.ndarray],
    lesions: Sequence[np.ndarray],
    brains: Sequence[np.ndarray],
    side: str,
    thresholds: Sequence[float],
) -> np.ndarray:
    """Dice ``(scans, thresholds)``."""
    sign = 1.0 if side == "below" else -1.0
    cuts = sign * np.asarray(thresholds)
    return np.array(
        [
            _dice_below(sign * voxels, lesion[brain], int(lesion.sum()), cuts)
            for voxels, lesion, brain in zip(values, lesions, brains, strict=True)
        ]
    )


def _best_cut(
    values: Sequence[np.ndarray],
    lesions: Sequence[np.ndarray],
    brains: Sequence[np.ndarray],
    side: str,
) -> tuple[float, float]:
    """Best threshold on brain voxels ``(N,)`` per scan, and its mean Dice."""
    thresholds = np.quantile(np.concatenate(values), np.linspace(0.005, 0.995, N_THRESHOLDS))
    dice = _dice_per_scan(values, lesions, brains, side, thresholds).mean(axis=0)
    top = int(np.argmax(dice))
    return float(thresholds[top]), float(dice[top])
