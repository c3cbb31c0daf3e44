"""From a series to curves over their baseline, also where no frame precedes the contrast."""

import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.curves import (
    baseline_frames,
    collect_curves,
    lower_baseline,
    maps_from_series,
    measured_curves,
    over_baseline,
    smooth_in_plane,
)


def series_of(arterial, tissue):
    """(T, 1, 24, 24): an artery of 3 x 3 pixels in the middle of tissue, and the brain."""
    series = np.full((len(arterial), 1, 24, 24), 35.0, np.float32)
    series += np.asarray(tissue, np.float32)[:, None, None, None]
    series[:, 0, 11:14, 11:14] = 35 + np.asarray(arterial, np.float32)[:, None, None]
    return series, np.ones((1, 24, 24), bool)


def bolus(start, height, n_frames=40):
    t = np.maximum(np.arange(n_frames) - start, 0) / 4.0
    return height * t**2 * np.exp(2 * (1 - t) / 1.0) / 1.0 + 0.1 * height * (t > 1)


@pytest.mark.parametrize("start", [6, -4])
def test_arterial_curve_is_over_its_baseline(start):
    """-4: the series begins in the middle of the bolus, as some of the release do."""
    arterial = bolus(start, 200.0)
    series, brain = series_of(arterial, bolus(start - 1, 8.0))
    curves, aif = measured_curves(series, brain, pixel_mm=1.0)
    assert aif.sum() > 0 and aif.max() > 0.8 * (arterial.max() - arterial[-1])
    assert curves.shape == (24 * 24, 40)
    maps = maps_from_series(series, brain, pixel_mm=1.0, frame_s=1.0)
    assert all(np.isfinite(volume).all() for volume in maps)
    assert np.median(maps.cbf[brain]) > 0


def test_with_frames_before_the_contrast_they_are_the_baseline():
    series, brain = series_of(bolus(6, 200.0), bolus(5, 8.0))
    _, aif = measured_curves(series, brain, pixel_mm=1.0)
    np.testing.assert_allclose(aif[:5], 0, atol=1e-3)
    np.testing.assert_allclose(aif, bolus(6, 200.0), atol=0.5)


def test_curves_are_the_rows_of_the_masks():
    series = np.random.default_rng(0).normal(size=(7, 2, 5, 6)).astype(np.float32)
    first = series[0] > 0
    one, two = collect_curves(iter_only(series), first, ~first)
    np.testing.assert_array_equal(one, series[:, first].T)
    np.testing.assert_array_equal(two, series[:, ~first].T)


class iter_only:  # noqa: N801
    """No more than a series offers: a length and a walk."""

    def __init__(self, series):
        self._series = series

    def __len__(self):
        return len(self._series)

    def __iter__(self):
        return iter(self._series)


@pytest.mark.parametrize("with_tissue", [False, True])
def test_smoothing_is_a_weighted_mean_inside_the_mask(with_tissue):
    """Against the sum over all pairs of voxels; outside and CSF have no weight."""
    rng = np.random.default_rng(1)
    brain = rng.random((2, 9, 8)) > 0.3
    tissue = brain & (rng.random(brain.shape) > 0.4) if with_tissue else None
    weighed = brain if tissue is None else tissue
    curves = rng.normal(size=(np.count_nonzero(brain), 3)).astype(np.float32)
    sigma, volume = 1.0, np.zeros((3, *brain.shape))
    volume[:, brain] = curves.T
    expected = []
    for z, y, x in np.argwhere(brain):
        rows, columns = np.nonzero(weighed[z])
        dy, dx = np.abs(rows - y), np.abs(columns - x)
        kernel = np.exp(-(dy**2 + dx**2) / (2 * sigma**2)) * (np.maximum(dy, dx) <= 3)
        expected.append(volume[:, z, rows, columns] @ kernel / kernel.sum())
    # The mask ends before the image does: scipy mirrors at its edge.
    padded = [np.pad(mask, ((0, 0), (4, 4), (4, 4))) for mask in (brain, weighed)]
    smooth_in_plane(curves, padded[0], sigma_px=sigma, tissue=padded[1] if with_tissue else None)
    np.testing.assert_allclose(curves, expected, atol=2e-4)


def test_over_baseline_starts_at_zero():
    curves = 30 + np.outer([1.0, 2.0], bolus(8, 10.0)).astype(np.float32)
    found = over_baseline(curves, slice(5))
    np.testing.assert_allclose(found[:, :5], 0, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), bolus(8, 10.0).sum() * np.r_[1, 2], rtol=1e-3)
    np.testing.assert_allclose(curves[:, 0], 30)


@pytest.mark.parametrize(
    ("arterial", "plain", "lower"),
    [
        (40 + bolus(8, 200.0), slice(7), slice(7)),
        (40 + bolus(-8, 200.0), slice(-5, None), slice(-5, None)),
        # The first frame lies over the end, and under the mean.
        (np.r_[80, 100, 200 - 4.1 * np.arange(38)], slice(1), slice(-5, None)),
    ],
)
def test_baseline_is_before_the_contrast_or_at_the_end(arterial, plain, lower):
    assert baseline_frames(arterial) == plain
    assert lower_baseline(arterial) == lower
