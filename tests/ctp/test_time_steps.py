"""Frames at uneven times come out at even ones."""

import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.time_steps import (
    EvenlySampled,
    check_times,
    evenly_sampled,
)


def test_times_count_from_the_first_frame():
    np.testing.assert_allclose(check_times(100 + 2 * np.arange(12), 12), 2 * np.arange(12))


def test_even_series_is_left_alone():
    series = np.zeros((12, 1, 2, 2))
    jitter = 0.02 * (-1.0) ** np.arange(12)
    same, step_s = evenly_sampled(series, 2 * np.arange(12) + jitter - jitter[0])
    assert same is series and step_s == pytest.approx(2, abs=0.01)


def test_frames_are_interpolated_linearly():
    rng = np.random.default_rng(0)
    times = np.r_[0, np.cumsum(rng.choice([1.0, 1.0, 1.0, 2.7], 29))]
    series = rng.normal(size=(30, 2, 3, 4)).astype(np.float32)
    even, step_s = evenly_sampled(series, times)
    assert step_s == 1.0 and isinstance(even, EvenlySampled)
    frames = np.stack(list(even))
    assert len(even) == len(frames) == int(times[-1]) + 1
    wanted = np.arange(len(frames))
    for found, given in zip(frames.reshape(-1, 24).T, series.reshape(-1, 24).T, strict=True):
        np.testing.assert_allclose(found, np.interp(wanted, times, given), atol=1e-5)


def test_last_frame_on_the_grid_is_reached():
    times = np.array([0, 1, 2, 4, 5, 6.0])
    frames = list(EvenlySampled(times[:, None, None, None], times, 1.0))
    np.testing.assert_allclose(np.ravel(frames), np.arange(7))
