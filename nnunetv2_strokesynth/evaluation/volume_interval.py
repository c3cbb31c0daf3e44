"""An interval for a predicted lesion's volume, from the cross-validation (split conformal).

Of each validation case, which its fold has not trained on, the logarithm of true over predicted
volume is known. The interval of a new case lies between two of these ratios. If the new case is
drawn as the validation cases were, its true volume lies inside with at least the wanted probability
(Vovk et al., Algorithmic Learning in a Random World, 2005; Lei et al., J Am Stat Assoc
2018;113:1094-1111).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

OFFSET_ML = 1.0
"""Added to both volumes, so that an empty lesion has a ratio."""
COVERAGE = 0.9


class VolumeInterval(NamedTuple):
    """How far the true volume may be from the predicted one.

    Attributes:
        log_ratio_low, log_ratio_high: of (true + 1 mL) / (predicted + 1 mL).
        coverage: the wanted share of cases inside.
        n_cases: validation cases it was calibrated on.
    """

    log_ratio_low: float
    log_ratio_high: float
    coverage: float
    n_cases: int

    def around(self, predicted_ml: float) -> tuple[float, float]:
        """Lowest and highest volume in mL, at least 0."""
        low, high = (
            (predicted_ml + OFFSET_ML) * math.exp(log_ratio) - OFFSET_ML
            for log_ratio in (self.log_ratio_low, self.log_ratio_high)
        )
        return max(low, 0.0), max(high, 0.0)


def least_cases(coverage: float) -> int:
    """The fewest cases with which both ends of an interval are known."""
    return math.ceil(2 / (1 - coverage) - 1 - 1e-9)


def calibrate(
    true_ml: Sequence[float], predicted_ml: Sequence[float], coverage: float = COVERAGE
) -> VolumeInterval:
    """The interval of a model, half of the error on each side.

    Args:
        true_ml, predicted_ml: (N,) volumes of the validation cases.
        coverage: between 0 and 1.

    Returns:
        Of the N sorted log ratios, the one at rank floor((N + 1) a / 2) and the one at rank
        ceil((N + 1)(1 - a / 2)), with a = 1 - coverage.

    Raises:
        ValueError: coverage outside (0, 1), volumes that do not fit, or too few cases.
    """
    if not 0 < coverage < 1:
        raise ValueError(f"coverage {coverage}: expected a number between 0 and 1, such as 0.9")
    true, predicted = np.asarray(true_ml, np.float64), np.asarray(predicted_ml, np.float64)
    if true.shape != predicted.shape or true.ndim != 1 or (np.r_[true, predicted] < 0).any():
        raise ValueError(
            f"volumes of shapes {true.shape} and {predicted.shape}, expected two equal lists of "
            "numbers of 0 or more"
        )
    n, least = len(true), least_cases(coverage)
    if n < least:
        raise ValueError(
            f"{n} validation cases are too few to cover {coverage:.0%} of the scans, expected "
            f"{least} or more; validate more folds or ask for a lower --coverage"
        )
    ratios = np.sort(np.log((true + OFFSET_ML) / (predicted + OFFSET_ML)))
    tail = (n + 1) * (1 - coverage) / 2
    low, high = math.floor(tail + 1e-9), math.ceil(n + 1 - tail - 1e-9)
    return VolumeInterval(float(ratios[low - 1]), float(ratios[high - 1]), coverage, n)
