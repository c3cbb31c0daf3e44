"""Statistics of a mixture of cases, against numpy on values that are repeated to equal numbers."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunetv2_strokesynth.dataset_conversion import case_statistics
from nnunetv2_strokesynth.dataset_conversion.case_statistics import CaseStatistics

LENGTH = 2400  # a multiple of every number of values below


def oracle(cases: list[np.ndarray]) -> dict[str, float]:
    """Of one channel: every case repeated to the same length, then one long array."""
    cases = [case for case in cases if case.size]
    values = np.concatenate([np.repeat(case, LENGTH // case.size) for case in cases])
    values = values.astype(np.float64)
    low, median, high = np.percentile(values, (0.5, 50, 99.5), method="averaged_inverted_cdf")
    return {
        "mean": values.mean(),
        "median": median,
        "std": values.std(),
        "min": values.min(),
        "max": values.max(),
        "percentile_99_5": high,
        "percentile_00_5": low,
    }


def result_of(cases: list[np.ndarray], folder) -> list[dict[str, float]]:
    """(C, n) of each case -> statistics."""
    with CaseStatistics(len(cases[0]), folder) as statistics:
        for case in cases:
            statistics.add(list(case))
        return statistics.result()


VALUES = st.one_of(
    st.floats(-1e4, 1e4, width=32),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-40, -1e-40, 3e38, -3e38]),
)
SIZES = st.sampled_from([0, 1, 2, 3, 5, 8, 24, 100])


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_statistics_are_those_of_the_mixture(tmp_path_factory, data):
    sizes = data.draw(st.lists(SIZES, min_size=1, max_size=5).filter(any))
    cases = [
        np.array(
            data.draw(st.lists(VALUES, min_size=2 * size, max_size=2 * size)), dtype=np.float32
        ).reshape(2, size)
        for size in sizes
    ]
    found = result_of(cases, tmp_path_factory.getbasetemp())
    for channel in range(2):
        expected = oracle([case[channel] for case in cases])
        for name, value in expected.items():
            scale = max(abs(expected["min"]), abs(expected["max"]))
            assert found[channel][name] == pytest.approx(value, rel=1e-9, abs=1e-7 * scale), name
        exact = ("min", "max", "median", "percentile_99_5", "percentile_00_5")
        assert all(found[channel][name] == expected[name] for name in exact)


def test_by_hand_a_large_case_has_the_weight_of_a_small_one(tmp_path):
    cases = [np.array([[0.0, 0.0, 0.0, 4.0]]), np.array([[10.0]])]
    (found,) = result_of(cases, tmp_path)
    assert found["mean"] == (1 + 10) / 2
    assert found["std"] == np.sqrt((16 / 4 + 100) / 2 - 5.5**2)
    assert found["median"] == (4 + 10) / 2  # half of the weight is at most 4, half is 10
    assert (found["percentile_00_5"], found["percentile_99_5"]) == (0, 10)


def test_cases_without_values_have_no_weight(tmp_path):
    values, nothing = np.array([[1.0, 2.0, 6.0]]), np.zeros((1, 0))
    assert result_of([nothing, values, nothing], tmp_path) == result_of([values], tmp_path)
    with CaseStatistics(1, tmp_path) as statistics:
        statistics.add(list(nothing))
        assert statistics.n_cases == 0
        with pytest.raises(ValueError, match="no case has values"):
            statistics.result()


def test_values_beyond_the_memory_wait_in_a_file_that_goes(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    cases = [rng.normal(size=(3, n)).astype(np.float32) for n in (50, 1, 700)]
    expected = result_of(cases, tmp_path)
    monkeypatch.setattr(case_statistics, "_IN_MEMORY", 1000)
    with CaseStatistics(3, tmp_path) as statistics:
        for case in cases:
            statistics.add(list(case))
        assert statistics._store._rolled
        assert statistics.result() == expected
    assert not list(tmp_path.iterdir())


def test_memory_does_not_grow_with_the_number_of_cases(tmp_path, monkeypatch):
    monkeypatch.setattr(case_statistics, "_IN_MEMORY", 10_000)
    case = np.random.default_rng(0).normal(size=(2, 50_000)).astype(np.float32)

    def peak(n_cases: int) -> int:
        tracemalloc.start()
        result_of([case] * n_cases, tmp_path)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(20) < 1.05 * peak(2)
