"""Windows and equalisation against the definition: shares of sorted values."""

import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.intensity_windows import WINDOWS, equalised


def test_windows_are_those_of_the_winner():
    assert dict(WINDOWS) == {
        "CBF": (0, 35), "CBV": (0, 10), "MTT": (0, 20), "Tmax": (0, 7), "CTA": (0, 90)
    }  # fmt: skip


def test_each_value_becomes_the_share_of_values_up_to_it():
    rng = np.random.default_rng(0)
    volume = rng.gamma(2.0, 8.0, size=(4, 30, 30))
    found = equalised(volume, (0, 35))
    values = np.sort(np.clip(volume.ravel(), 0, 35))
    exact = np.searchsorted(values, np.clip(volume, 0, 35), side="right") / values.size
    inner = volume < 34  # at the upper end many values are one, and share a bin
    np.testing.assert_allclose(found[inner], exact[inner], atol=0.02)
    assert found.min() > 0 and found.max() == 1 and found.dtype == np.float32


def test_the_histogram_becomes_flat_and_the_order_stays():
    volume = np.random.default_rng(1).exponential(2.0, size=(3, 40, 40))
    found = equalised(volume, (0, 7))
    order = np.argsort(volume.ravel())
    assert (np.diff(found.ravel()[order]) >= -1e-6).all()
    counts, _ = np.histogram(found[volume < 7], bins=4)
    assert counts.max() < 1.3 * counts.min()


def test_background_stays_zero_and_enters_no_share():
    volume = np.zeros((2, 10, 10))
    volume[1] = np.arange(100).reshape(10, 10) / 10 + 0.5
    with_more_background = np.concatenate([volume, np.full((5, 10, 10), -3.0)])
    found = equalised(volume, (0, 20))
    assert (found[0] == 0).all() and (found[1] > 0).all()
    np.testing.assert_array_equal(equalised(with_more_background, (0, 20))[:2], found)
    assert (equalised(np.zeros((2, 2)), (0, 20)) == 0).all()


def test_a_window_runs_upwards():
    with pytest.raises(ValueError, match="has to run upwards, found 7 to 0"):
        equalised(np.ones(3), (7, 0))
