"""The interval of a volume: ranks by hand, coverage on new cases, and what it refuses."""

import numpy as np
import pytest

from nnunetv2_strokesynth.evaluation.volume_interval import calibrate, least_cases


def test_ends_are_the_outer_ranks():
    """Of 19 ratios, 90 % lie between the first and the last: floor(20 x 0.05) = 1."""
    ratios = np.linspace(-0.9, 0.9, 19)
    predicted = np.full(19, 9.0)
    true = 10 * np.exp(ratios) - 1
    found = calibrate(true, predicted, 0.9)
    assert found.log_ratio_low == pytest.approx(-0.9) and found.n_cases == 19
    assert found.around(9.0) == pytest.approx((10 * np.exp(-0.9) - 1, 10 * np.exp(0.9) - 1))
    inner = calibrate(true, predicted, 0.8)  # floor(20 x 0.1) = 2
    assert (inner.log_ratio_low, inner.log_ratio_high) == pytest.approx((-0.8, 0.8))


def test_never_below_zero_and_defined_without_a_lesion():
    found = calibrate([0.0] * 19, np.linspace(0, 50, 19), 0.9)
    assert found.around(3.0)[0] == 0.0
    assert found.around(0.0)[1] >= 0.0


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_new_cases_are_covered_as_often_as_promised(coverage):
    """Skewed errors; the mean over calibrations is at least the coverage, and hardly more."""
    rng = np.random.default_rng(3)
    inside = []
    for _ in range(400):
        predicted = rng.lognormal(2, 1, 60)
        true = predicted * rng.lognormal(0.2, 0.5, 60) + rng.exponential(1, 60)
        found = calibrate(true[:59], predicted[:59], coverage)
        low, high = found.around(predicted[59])
        inside.append(low <= true[59] <= high)
    assert coverage - 0.04 < np.mean(inside) < coverage + 0.06


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_too_few_cases_are_refused_and_the_least_are_enough(coverage):
    n = least_cases(coverage)
    assert calibrate(range(n), range(n), coverage).n_cases == n
    with pytest.raises(ValueError, match=f"{n - 1} validation cases are too few.*expected {n} or"):
        calibrate(range(n - 1), range(n - 1), coverage)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="coverage 1.0"):
        calibrate(range(30), range(30), 1.0)
    with pytest.raises(ValueError, match="0 or more"):
        calibrate([-1.0] * 30, [1.0] * 30)
