"""Statistics over cases: mean and deviation, volume agreement, paired comparison.

A value that is NaN or infinite is not countable and left out; every result says how many were.
Cases are treated as independent, as the papers do, although two slabs of one patient are not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

N_RESAMPLES = 10_000
LIMITS_SD = 1.96
# Differences closer to 0 than this are rounding, and so are gaps between equal differences.
ROUNDING_DECIMALS = 10
EXACT_UP_TO = 50


class Spread(NamedTuple):
    """Mean, sample standard deviation (n - 1; NaN for one value), median, and counts."""

    mean: float
    sd: float
    median: float
    n: int
    not_countable: int


class VolumeAgreement(NamedTuple):
    """Predicted against true volume.

    Attributes:
        r2: coefficient of determination, ``1 - sum (pred - gt)^2 / sum (gt - mean gt)^2``: the
            share of the variance of the true volumes that the predictions explain. Negative if
            worse than always predicting the mean; NaN if all true volumes are equal or n < 2.
        pearson_r2: squared correlation, which forgives a constant factor; NaN for constant volumes.
        bias_ml: mean of predicted - true.
        lower_ml: bias - 1.96 sd, the lower Bland-Altman limit of agreement; NaN for n < 2.
        upper_ml: bias + 1.96 sd.
        n: cases.
    """

    r2: float
    pearson_r2: float
    bias_ml: float
    lower_ml: float
    upper_ml: float
    n: int


class PairedDifference(NamedTuple):
    """``first - second`` over the cases in which both are countable.

    Attributes:
        mean: mean difference.
        low: lower end of the bootstrap 95 % interval of the mean.
        high: upper end.
        p: two-sided Wilcoxon signed-rank test; 1 if no case differs.
        n: cases compared.
        n_zero: cases without difference.
        not_countable: cases left out.
    """

    mean: float
    low: float
    high: float
    p: float
    n: int
    n_zero: int
    not_countable: int


def spread(values: np.ndarray) -> Spread:
    """Summarise the countable values of one column; all NaN if there is none."""
    values = np.asarray(values, dtype=float)
    finite = values[np.isfinite(values)]
    sd = float(finite.std(ddof=1)) if finite.size > 1 else float("nan")
    centre = (float(finite.mean()), float(np.median(finite))) if finite.size else (np.nan, np.nan)
    return Spread(centre[0], sd, centre[1], finite.size, values.size - finite.size)


def volume_agreement(volume_gt_ml: np.ndarray, volume_pred_ml: np.ndarray) -> VolumeAgreement:
    """R^2 and Bland-Altman figures of predicted against true volumes in mL.

    Source:
        R^2: Clerigues et al. 2019, section 4 ("coefficient of determination"); the formula is ours,
        the paper gives none.
    """
    gt, pred = (np.asarray(volumes, dtype=float) for volumes in (volume_gt_ml, volume_pred_ml))
    difference = spread(pred - gt)
    total = float(((gt - gt.mean()) ** 2).sum()) if gt.size else 0.0
    r2 = 1 - float(((pred - gt) ** 2).sum()) / total if total > 0 else float("nan")
    varied = gt.size > 1 and gt.std() > 0 and pred.std() > 0
    pearson = float(np.corrcoef(gt, pred)[0, 1]) if varied else float("nan")
    half = LIMITS_SD * difference.sd
    bias = difference.mean
    return VolumeAgreement(r2, pearson**2, bias, bias - half, bias + half, gt.size)


def bootstrap_interval(
    values: np.ndarray, *, level: float = 0.95, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean; the same seed gives the same interval.

    Args:
        values: ``(n,)`` finite numbers; NaN, NaN if there is none.
        level: coverage.
        n_resamples: samples of n values drawn with replacement.
        seed: of the random generator.
    """
    values = np.asarray(values, dtype=float)
    if not values.size:
        return float("nan"), float("nan")
    generator = np.random.default_rng(seed)
    means = values[generator.integers(values.size, size=(n_resamples, values.size))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def wilcoxon_p(differences: np.ndarray) -> float:
    """Two-sided p of Wilcoxon's signed-rank test; 1 if no difference is left, NaN without cases.

    Zero differences are dropped (Wilcoxon's own rule). The distribution is exact for up to 50
    differences without ties, and the normal approximation with tie correction otherwise.
    """
    differences = np.round(np.asarray(differences, dtype=float), ROUNDING_DECIMALS)
    if not differences.size:
        return float("nan")
    differences = differences[differences != 0]
    if not differences.size:
        return 1.0
    tied = np.unique(np.abs(differences)).size < differences.size
    method = "exact" if differences.size <= EXACT_UP_TO and not tied else "asymptotic"
    return float(stats.wilcoxon(differences, method=method).pvalue)


def paired_t_test_p(first: np.ndarray, second: np.ndarray) -> float:
    """Two-sided p of the t-test for paired samples, over the cases in which both are countable.

    Args:
        first, second: ``(n,)`` values of the same cases in the same order.

    Returns:
        1 if no case differs, NaN with fewer than two cases.

    Source: Clerigues et al. 2019, section 4.
    """
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    difference = np.round(difference[np.isfinite(difference)], ROUNDING_DECIMALS)
    if difference.size < 2:
        return float("nan")
    if not difference.any():
        return 1.0
    if np.ptp(difference) == 0:
        return 0.0
    return float(stats.ttest_1samp(difference, 0.0).pvalue)


def paired_difference(
    first: np.ndarray,
    second: np.ndarray,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> PairedDifference:
    """Compare two columns case by case.

    Args:
        first: ``(n,)`` values of the first set of predictions.
        second: ``(n,)`` values of the second, same cases in the same order.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    countable = np.isfinite(first) & np.isfinite(second)
    finite = first[countable] - second[countable]
    low, high = bootstrap_interval(finite, n_resamples=n_resamples, seed=seed)
    return PairedDifference(
        mean=spread(finite).mean,
        low=low,
        high=high,
        p=wilcoxon_p(finite),
        n=finite.size,
        n_zero=int(np.count_nonzero(np.round(finite, ROUNDING_DECIMALS) == 0)),
        not_countable=first.size - finite.size,
    )
