from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from nnunetv2_strokesynth.evaluation.statistics import (
    bootstrap_interval,
    paired_difference,
    paired_t_test_p,
    spread,
    volume_agreement,
    wilcoxon_p,
)


def test_spread_leaves_out_what_is_not_countable():
    result = spread([1.0, np.nan, 2.0, 6.0, np.inf])
    assert result.mean == pytest.approx(3.0) and result.median == pytest.approx(2.0)
    assert result.sd == pytest.approx(math.sqrt((4 + 1 + 9) / 2))
    assert (result.n, result.not_countable) == (3, 2)


def test_spread_of_one_and_of_none():
    assert spread([4.0]).mean == 4.0 and math.isnan(spread([4.0]).sd)
    nothing = spread([np.nan])
    assert math.isnan(nothing.mean) and (nothing.n, nothing.not_countable) == (0, 1)


def test_r2_by_hand():
    gt, pred = np.array([1.0, 2.0, 6.0]), np.array([2.0, 2.0, 5.0])
    agreement = volume_agreement(gt, pred)
    assert agreement.r2 == pytest.approx(1 - 2 / 14)
    assert agreement.bias_ml == pytest.approx(0.0)
    assert agreement.upper_ml == pytest.approx(1.96 * 1.0) == -agreement.lower_ml
    assert agreement.pearson_r2 == pytest.approx(np.corrcoef(gt, pred)[0, 1] ** 2)


def test_a_constant_factor_costs_r2_but_not_the_correlation():
    gt = np.array([1.0, 2.0, 6.0])
    agreement = volume_agreement(gt, 3 * gt)
    assert agreement.r2 < 0 and agreement.pearson_r2 == pytest.approx(1.0)
    assert agreement.bias_ml == pytest.approx(6.0)  # positive: too much was predicted


def test_r2_without_variance_is_not_defined():
    agreement = volume_agreement(np.array([2.0, 2.0]), np.array([1.0, 3.0]))
    assert math.isnan(agreement.r2) and math.isnan(agreement.pearson_r2)


def test_bootstrap_is_repeatable_and_seeded():
    values = np.random.default_rng(1).normal(size=30)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)


def test_bootstrap_interval_is_the_normal_one_for_many_values():
    values = np.random.default_rng(2).normal(3.0, 2.0, size=400)
    low, high = bootstrap_interval(values)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_bootstrap_of_constant_and_of_no_values():
    assert bootstrap_interval(np.full(5, 2.0)) == (2.0, 2.0)
    assert all(math.isnan(end) for end in bootstrap_interval(np.array([])))


def _wilcoxon_by_enumeration(differences: np.ndarray) -> float:
    """Two-sided exact p: every assignment of signs to the ranks is equally likely."""
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    found = abs(ranks[differences > 0].sum() - ranks.sum() / 2)
    signs = itertools.product((0, 1), repeat=len(ranks))
    extreme = [abs(np.dot(s, ranks) - ranks.sum() / 2) >= found - 1e-9 for s in signs]
    return float(np.mean(extreme))


def test_wilcoxon_by_enumeration():
    assert wilcoxon_p([1, 2, 3, 4, 5]) == pytest.approx(2 / 32)
    differences = np.array([0.3, -0.1, 0.7, 1.2, -0.4, 2.0, 0.25])
    assert wilcoxon_p(differences) == pytest.approx(_wilcoxon_by_enumeration(differences))


def test_zero_differences_are_dropped():
    assert wilcoxon_p([0, 1, 2, 0, 3, 4, 5, 1e-14]) == pytest.approx(2 / 32)
    assert wilcoxon_p([0.0, 0.0]) == 1.0
    assert math.isnan(wilcoxon_p([]))


def test_ties_use_the_corrected_normal_approximation():
    # Ranks 2, 2, 2, 4.5, 4.5, 6 with two negative 2s: W+ = 17, mean 10.5, variance 22.75 - 30 / 48.
    z = (17 - 10.5) / math.sqrt(22.75 - (24 + 6) / 48)
    p = math.erfc(z / math.sqrt(2))
    assert wilcoxon_p([1, -1, -1, 2, 2, 3]) == pytest.approx(p)


def test_difference_is_first_minus_second():
    first, second = np.array([3.0, 5.0, 9.0, np.nan]), np.array([1.0, 5.0, 6.0, 4.0])
    result = paired_difference(first, second)
    assert result.mean == pytest.approx(5 / 3)
    assert (result.n, result.n_zero, result.not_countable) == (3, 1, 1)
    assert 0 <= result.low < result.mean < result.high <= 3
    swapped = paired_difference(second, first)
    assert swapped.mean == -result.mean and swapped.low == pytest.approx(-result.high, abs=0.5)
    assert swapped.p == result.p


def test_infinite_values_are_not_compared():
    result = paired_difference(np.array([np.inf, 1.0]), np.array([np.inf, 3.0]))
    assert (result.mean, result.n, result.not_countable) == (-2.0, 1, 1)


def test_paired_t_test_equals_the_formula():
    first, second = np.array([0.5, 0.7, 0.9, np.nan, 0.4]), np.array([0.4, 0.5, 0.8, 0.3, 0.5])
    difference = np.array([0.1, 0.2, 0.1, -0.1])
    t = difference.mean() / (difference.std(ddof=1) / 2)
    expected = 2 * stats.t.sf(abs(t), df=3)
    assert paired_t_test_p(first, second) == pytest.approx(expected)


def test_paired_t_test_without_differences():
    values = np.array([0.1, 0.2, 0.3])
    assert paired_t_test_p(values, values) == 1.0
    assert np.isnan(paired_t_test_p(values[:1], values[:1]))
