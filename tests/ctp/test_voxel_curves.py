"""The curves of a mask's voxels: collected, blurred in plane, over their baseline."""

import numpy as np
import pytest
from bolus import bolus

from nnunetv2_strokesynth.ctp.voxel_curves import (
    collect_curves,
    over_baseline,
    smooth_in_plane,
)


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


@pytest.mark.parametrize("pads", [(0, 0), (0, 30), (30, 0), (2, 1), (30, 30)])
def test_smoothing_does_not_depend_on_what_surrounds_the_brain(pads):
    """Bit by bit: only the box around the brain is blurred."""
    rng = np.random.default_rng(2)
    brain = rng.random((2, 9, 8)) > 0.3
    brain[:, 0, 0] = brain[:, -1, -1] = True
    first = rng.normal(30, 5, size=(np.count_nonzero(brain), 2)).astype(np.float32)
    wide = np.pad(brain, ((1, 2), (60, 60), (60, 60)))
    expected, found = first.copy(), first.copy()
    smooth_in_plane(expected, wide, sigma_px=1.5)
    inner = np.pad(brain, ((0, 0), (5 + pads[0], 5), (5, 5 + pads[1])))
    smooth_in_plane(found, inner, sigma_px=1.5)
    np.testing.assert_array_equal(found, expected)


def test_over_baseline_starts_at_zero():
    curves = 30 + np.outer([1.0, 2.0], bolus(8, 10.0)).astype(np.float32)
    found = over_baseline(curves, slice(5))
    np.testing.assert_allclose(found[:, :5], 0, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), bolus(8, 10.0).sum() * np.r_[1, 2], rtol=1e-3)
    np.testing.assert_allclose(curves[:, 0], 30)
