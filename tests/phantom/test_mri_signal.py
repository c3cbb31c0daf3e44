"""MRI signals against their equations, and what is computed back from them."""

import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.deconvolution import perfusion_maps
from nnunetv2_strokesynth.ctp.voxel_curves import time_to_peak_s
from nnunetv2_strokesynth.phantom.hemodynamics import gamma_variate
from nnunetv2_strokesynth.phantom.mri_signal import (
    adc_map,
    concentration_mmol_l,
    diffusion_signal,
    dsc_signal,
)
from nnunetv2_strokesynth.phantom.physics import MRIPhysics

MRI = MRIPhysics()


def test_signal_under_contrast_by_hand():
    """TE 30 ms and 15 1/(mM s): 2 mM take exp(-0.9)."""
    signal = dsc_signal(np.array([100.0, 50.0]), np.array([0.0, 2.0]), MRI)
    np.testing.assert_allclose(signal, [100.0, 50 * 0.40656966], rtol=1e-7)


def test_concentration_comes_back():
    rng = np.random.default_rng(0)
    truth = np.concatenate([np.zeros((3, 2, 5)), rng.uniform(0, 4, (6, 2, 5))])
    signal = rng.uniform(50, 200, (2, 5)) * np.exp(-0.45 * truth)
    np.testing.assert_allclose(concentration_mmol_l(signal, 3, MRI), truth, atol=1e-5)


def test_concentration_is_finite_where_there_is_no_signal():
    """S counts as 1 % of S0 at least: ln(100) / 0.45."""
    signal = np.array([[10.0, 0.0], [0.0, 0.0], [20.0, 0.0]])
    found = concentration_mmol_l(signal, 1, MRI)
    np.testing.assert_allclose(found[:, 0], [0, np.log(100) / 0.45, -np.log(2) / 0.45], rtol=1e-6)
    assert not found[:, 1].any()


def test_diffusion_of_a_mixed_voxel_by_hand():
    parts = (np.array([0.5]), np.array([0.25]), np.array([0.125]))
    found = diffusion_signal(parts, (800.0, 750.0, 3000.0), 1000.0, MRI)
    expected = 50 * np.exp(-0.8) + 21 * np.exp(-0.75) + 27.5 * np.exp(-3.0)
    assert found == pytest.approx(expected)


def test_adc_comes_back_where_there_is_one_tissue():
    adc = np.array([450.0, 800.0, 3000.0])
    weighted = 70 * np.exp(-1000 * adc * 1e-6)
    found = adc_map(np.full(3, 70.0), weighted, 1000.0)
    np.testing.assert_allclose(found, adc, rtol=1e-6)


def test_adc_without_signal_or_with_a_gain_is_zero():
    found = adc_map(np.array([0.0, 5.0, 5.0]), np.array([5.0, 0.0, 6.0]), 1000.0)
    assert not found.any()


def test_time_to_peak_of_parabolas_is_exact():
    time = np.arange(12.0)
    peaks = np.array([1.0, 4.3, 6.5, 9.9])
    curves = 3 - 0.2 * (time - peaks[:, None]) ** 2
    np.testing.assert_allclose(time_to_peak_s(curves, 1.5), 1.5 * peaks, rtol=1e-5)


def test_time_to_peak_at_the_ends_and_of_a_flat_curve():
    curves = np.array([[5, 3, 2, 1], [1, 2, 3, 5], [2, 2, 2, 2]], dtype=float)
    np.testing.assert_array_equal(time_to_peak_s(curves, 2.0), [0, 6, 0])


def test_time_to_peak_of_a_bolus_between_frames():
    time = np.arange(60.0)
    for peak_s in (14.2, 20.0, 25.7):
        curve = gamma_variate(time, peak_s, fwhm_s=9.0, alpha=6.0)
        assert time_to_peak_s(curve[None], 1.0)[0] == pytest.approx(peak_s, abs=0.1)


def test_without_noise_the_maps_are_those_of_the_concentration():
    """From CT's curves in HU, or from an MRI signal of the same curves: the same maps."""
    time = np.arange(60.0)
    aif = gamma_variate(time, 15.0, fwhm_s=8.0, alpha=5.0)
    tissue = np.stack([gamma_variate(time, 18 + k, fwhm_s=11.0, alpha=5.0) for k in range(4)])
    tissue *= np.array([0.05, 0.03, 0.02, 0.01])[:, None]
    signal = 120 * np.exp(-0.45 * 8 * np.vstack([aif, tissue]))
    found = concentration_mmol_l(signal.T, 5, MRI).T
    expected = perfusion_maps(260 * tissue, 260 * aif, 1.0, threshold=0.06)
    for name, values in perfusion_maps(found[1:], found[0], 1.0, threshold=0.06)._asdict().items():
        np.testing.assert_allclose(values, getattr(expected, name), rtol=2e-3, err_msg=name)
