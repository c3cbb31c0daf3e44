"""Eq. 2-3 of Wang et al. 2020 against loops written from the text, and measured curves."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nnunetv2_strokesynth.ctp import perfusion_window as module
from nnunetv2_strokesynth.ctp.perfusion_window import (
    find_perfusion_window,
)

MEASURED_CURVES = Path(__file__).parents[3] / "shared" / "data" / "isles2018_aif_vof.json"
BOLUS = [0, 0, 1, 3, 8, 15, 24, 30, 33, 31, 26, 20, 15, 11, 8, 7, 7, 7]


def slopes(curve):
    """Central differences, one-sided at the ends, by hand."""
    n = len(curve)
    inner = [(curve[t + 1] - curve[t - 1]) / 2 for t in range(1, n - 1)]
    return [curve[1] - curve[0], *inner, curve[n - 1] - curve[n - 2]]


def window_by_loops(curve, k=5):
    """Eq. 2-3 as a search over all t; None where a limit does not exist."""
    slope, n = slopes(curve), len(curve)
    starts = [t for t in range(n - k) if all(slope[t + i] > 0 for i in range(k))]
    ends = [t for t in range(k, n) if all(slope[t - i] <= 0 for i in range(k))]
    if not starts or not ends or max(ends) <= min(starts):
        return None
    return min(starts), max(ends)


def test_window_by_hand():
    """Slopes are positive from frame 1 on (0.5); the last five are at or below 0."""
    assert slopes(BOLUS)[:3] == [0, 0.5, 1.5]
    assert find_perfusion_window(np.array(BOLUS)) == (1, 17, "raw")


def test_window_ends_before_a_late_rise():
    """A rise in the last frames, as of a second passage, moves T_e before it."""
    curve = np.array([*BOLUS[:15], 9, 12, 14])
    assert window_by_loops(curve) == (1, 14)
    assert find_perfusion_window(curve)[:2] == (1, 14)


def test_flat_slope_starts_nothing_but_ends_the_window():
    """T_s needs slopes above 0; T_e takes slopes of 0."""
    curve = np.array([0, 0, 0, 1, 2, 3, 4, 5, 6, 6, 5, 5, 5, 5, 5, 5, 5])
    assert find_perfusion_window(curve)[:2] == (2, 16)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_window_agrees_with_loops_on_random_curves(k):
    rng = np.random.default_rng(k)
    found = 0
    for _ in range(300):
        length = int(rng.integers(k + 1, 40))
        curve = np.cumsum(rng.normal(np.sin(np.linspace(0.5, 6, length)), 0.5))
        expected = window_by_loops(curve, k)
        window = find_perfusion_window(curve, k)
        assert (window.rule == "raw") == (expected is not None)
        if expected is not None:
            assert (window.t_start, window.t_end) == expected
            found += 1
    assert found > 20


def smoothed(curve, sigma, radius):
    """Gaussian smoothing by hand, mirrored at the ends."""
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return np.convolve(np.pad(curve, radius, mode="symmetric"), taps / taps.sum(), mode="valid")


@pytest.mark.parametrize(
    ("amplitude", "sigma", "rule"), [(6, 1, "sigma1"), (14, 1, "sigma1"), (20, 2, "sigma2")]
)
def test_noise_falls_back_to_a_smoothed_curve(amplitude, sigma, rule):
    """A wave of four frames on the bolus breaks every run of slopes until it is smoothed away."""
    noisy = np.array(BOLUS) + amplitude * np.tile([0, 1, 0, -1], 5)[: len(BOLUS)]
    assert window_by_loops(noisy) is None
    expected = window_by_loops(smoothed(noisy, sigma, 4 * sigma))
    assert expected is not None
    assert find_perfusion_window(noisy) == (*expected, rule)


@pytest.mark.parametrize(
    "curve",
    [np.zeros(20), np.arange(20.0), -np.arange(20.0), np.arange(4.0), np.array([1.0, 2.0])],
    ids=["constant", "rising", "falling", "shorter than k", "two frames"],
)
def test_hopeless_curves_take_all_frames(curve):
    assert find_perfusion_window(curve) == (0, len(curve) - 1, "all frames")
    assert find_perfusion_window(curve, first_pass=True) == (0, len(curve) - 1, "all frames")


def test_end_before_start_is_not_a_window():
    """Falls first and rises then: T_e exists, but before T_s."""
    curve = np.abs(np.arange(20.0) - 10)
    assert window_by_loops(curve) is None
    assert find_perfusion_window(curve).rule == "all frames"


def first_pass_by_loops(curve, k=5):
    """Onset as Eq. 2, then the first trough after the peak below half of the bolus."""
    slope, n = slopes(curve), len(curve)
    start = min(t for t in range(n - k) if all(slope[t + i] > 0 for i in range(k)))
    peak = max(range(n), key=lambda t: curve[t])
    half = (curve[start] + curve[peak]) / 2
    troughs = [
        t
        for t in range(peak + 1, n - 1)
        if curve[t] <= curve[t - 1] and curve[t] < curve[t + 1] and curve[t] < half
    ]
    return (start, troughs[0]) if troughs else (start, n - 1)


RECIRCULATION = [*BOLUS, 8, 10, 12, 12, 10, 8, 7, 6, 5, 4, 3, 2]


def test_song_ends_with_the_first_pass_and_wang_with_the_last_washout():
    """The trough is at frame 16, the second passage's washout lasts to the end of the series."""
    curve = np.array(RECIRCULATION)
    assert find_perfusion_window(curve)[:2] == (1, 29)
    found = find_perfusion_window(curve, first_pass=True)
    assert found == (*first_pass_by_loops(smoothed(curve, 1, 2)), "kernel5")
    assert found.t_end in (15, 16, 17)


def test_a_dip_at_the_peak_is_no_trough():
    curve = np.array([0, 0, 1, 3, 8, 15, 24, 30, 34, 31, 27, 24, 27, 30, 26, 18, 9, 4, 2, 4, 6, 7])
    found = find_perfusion_window(curve, first_pass=True)
    assert found[:2] == first_pass_by_loops(smoothed(curve, 1, 2)) and found.t_end in (17, 18, 19)


def test_a_first_pass_without_a_trough_lasts_to_the_end():
    found = find_perfusion_window(np.array(BOLUS[:17]), first_pass=True)
    assert (found.t_end, found.rule) == (16, "kernel5, no trough")


def test_song_smooths_first():
    """A curve whose window can be found as measured is smoothed all the same."""
    curve = np.array(RECIRCULATION) + 4 * np.tile([0, 1, 0, -1], 8)[: len(RECIRCULATION)]
    expected = first_pass_by_loops(smoothed(curve, 1, 2))
    assert first_pass_by_loops(curve) != expected
    assert find_perfusion_window(curve, first_pass=True) == (*expected, "kernel5")


def test_song_kernel_has_five_taps():
    impulse = np.zeros(21)
    impulse[10] = 1
    smooth = module._smooth(impulse, module._KERNEL5)
    taps = np.exp(-0.5 * np.arange(-2, 3) ** 2)
    np.testing.assert_allclose(smooth[8:13], taps / taps.sum())
    assert np.count_nonzero(smooth) == 5


@pytest.mark.parametrize(
    ("curve", "message"),
    [
        (np.array([3.0]), "at least 2 frames"),
        (np.array([]), "at least 2 frames"),
        (np.zeros((4, 4)), "at least 2 frames"),
        (np.array([1.0, np.nan, 2.0]), "NaN"),
    ],
)
def test_curves_that_cannot_be_used(curve, message):
    with pytest.raises(ValueError, match=message):
        find_perfusion_window(curve)


def test_k_must_be_positive():
    with pytest.raises(ValueError, match="k must be"):
        find_perfusion_window(np.arange(9.0), k=0)


def test_measured_curves_fail_as_often_as_documented():
    if not MEASURED_CURVES.is_file():
        pytest.skip("the measured curves are not part of the repository")
    cases = json.loads(MEASURED_CURVES.read_text())["cases"]
    curves = [np.array(case[name]) for case in cases.values() for name in ("aif", "vof")]
    rules = Counter(find_perfusion_window(curve).rule for curve in curves)
    assert rules == {"raw": 304, "sigma1": 7, "sigma2": 1}
    first_passes = [find_perfusion_window(curve, first_pass=True) for curve in curves]
    assert Counter(w.rule for w in first_passes) == {"kernel5": 224, "kernel5, no trough": 88}
