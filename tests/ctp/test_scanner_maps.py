"""From a series to maps, also where no frame precedes the contrast."""

import numpy as np
import pytest
from bolus import bolus

from nnunetv2_strokesynth.ctp.scanner_maps import (
    maps_from_series,
    measured_curves,
)


def series_of(arterial, tissue):
    """(T, 1, 24, 24): an artery of 3 x 3 pixels in the middle of tissue, and the brain."""
    series = np.full((len(arterial), 1, 24, 24), 35.0, np.float32)
    series += np.asarray(tissue, np.float32)[:, None, None, None]
    series[:, 0, 11:14, 11:14] = 35 + np.asarray(arterial, np.float32)[:, None, None]
    return series, np.ones((1, 24, 24), bool)


@pytest.mark.parametrize("start", [6, -4])
def test_arterial_curve_is_over_its_baseline(start):
    """-4: the series begins in the middle of the bolus, as some of the release do."""
    arterial = bolus(start, 200.0)
    series, brain = series_of(arterial, bolus(start - 1, 8.0))
    curves, aif = measured_curves(series, brain, pixel_mm=1.0)
    assert aif.sum() > 0 and aif.max() > 0.8 * (arterial.max() - arterial[-1])
    assert curves.shape == (24 * 24, 40)
    maps = maps_from_series(series, brain, pixel_mm=1.0, times_s=np.arange(len(series)))
    assert all(np.isfinite(volume).all() for volume in maps)
    assert np.median(maps.cbf[brain]) > 0


def test_with_frames_before_the_contrast_they_are_the_baseline():
    series, brain = series_of(bolus(6, 200.0), bolus(5, 8.0))
    _, aif = measured_curves(series, brain, pixel_mm=1.0)
    np.testing.assert_allclose(aif[:5], 0, atol=1e-3)
    np.testing.assert_allclose(aif, bolus(6, 200.0), atol=0.5)
