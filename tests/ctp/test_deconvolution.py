"""Perfusion from noise-free curves, against the definitions and an explicit block-circulant SVD."""

import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.deconvolution import (
    BRAIN_DENSITY_G_PER_ML,
    HAEMATOCRIT_FACTOR,
    METHODS,
    deconvolve,
    deconvolve_causal,
    deconvolve_tikhonov,
    perfusion_maps,
)
from nnunetv2_strokesynth.phantom.hemodynamics import (
    BolusCurves,
    gamma_variate,
    tissue_curves,
    true_tmax_s,
    unit_flow_curves,
)
from nnunetv2_strokesynth.phantom.physics import BolusPhysics

N_FRAMES = 80
DISPERSION_PER_DELAY = BolusPhysics().dispersion_per_delay
BOLUS = BolusCurves(
    peak_s=14.0,
    fwhm_s=7.0,
    alpha=4.0,
    venous_lag_s=6.0,
    venous_fwhm_s=9.0,
    peak_hu=200.0,
    recirculation=0.0,
)


def _curves(cbf, cbv, delay_s):
    arrays = [np.atleast_1d(np.asarray(v, np.float32)) for v in (cbf, cbv, delay_s)]
    return tissue_curves(
        *arrays, unit_flow_curves(BOLUS, np.arange(float(N_FRAMES)), DISPERSION_PER_DELAY)
    )


def _aif():
    return BOLUS.arterial(np.arange(N_FRAMES, dtype=float))


def test_tissue_curve_is_the_convolution_integral():
    cbf, cbv = 50.0, 4.0
    mtt_s = 60 * cbv / cbf
    fine = np.arange(0, N_FRAMES, 0.01)
    residue = np.exp(-fine / mtt_s)
    flow_per_s = BRAIN_DENSITY_G_PER_ML / HAEMATOCRIT_FACTOR * cbf / 6000
    expected = flow_per_s * 0.01 * np.convolve(BOLUS.arterial(fine), residue)[: len(fine)][::100]
    assert np.allclose(_curves(cbf, cbv, 0.0)[0], expected, atol=0.03 * expected.max())


def test_cbv_is_the_ratio_of_areas():
    curve = _curves(60.0, 4.0, 1.0)[0]
    ratio = curve.sum() / _aif().sum()
    assert 100 * HAEMATOCRIT_FACTOR / BRAIN_DENSITY_G_PER_ML * ratio == pytest.approx(4.0, rel=0.01)


def test_amplitude_goes_with_the_blood_volume():
    one, two = _curves([30.0, 60.0], [2.0, 4.0], [0.0, 0.0])
    assert np.allclose(two, 2 * one, rtol=1e-4)


@pytest.mark.parametrize(("cbf", "cbv"), [(60.0, 4.0), (25.0, 2.0), (20.0, 4.0), (10.0, 1.5)])
def test_maps_recover_noise_free_tissue(cbf, cbv):
    maps = perfusion_maps(_curves(cbf, cbv, 0.0), _aif(), 1.0, threshold=0.002)
    assert maps.cbv[0] == pytest.approx(cbv, rel=0.02)
    assert maps.cbf[0] == pytest.approx(cbf, rel=0.20)
    assert maps.mtt[0] == pytest.approx(60 * cbv / cbf, rel=0.25)


def test_flow_is_insensitive_to_the_arrival_delay():
    delays = np.array([0.0, 2.0, 5.0, 9.0])
    # An arterial delay without dispersion is a pure shift of the tissue curve.
    base = _curves(30.0, 3.0, 0.0)[0]
    shifted = np.stack(
        [np.interp(np.arange(N_FRAMES) - d, np.arange(N_FRAMES), base) for d in delays]
    )
    maps = perfusion_maps(shifted, _aif(), 1.0, threshold=0.05)
    assert np.allclose(maps.cbf, maps.cbf[0], rtol=0.02)
    assert np.allclose(np.diff(maps.tmax), np.diff(delays), atol=0.3)


def test_flow_is_insensitive_to_an_artery_that_arrives_after_the_tissue():
    base = _curves(30.0, 3.0, 3.0)
    # The tissue arrives after 3 s, this artery after 5.
    late_aif = BOLUS._replace(peak_s=BOLUS.peak_s + 5).arterial(np.arange(N_FRAMES, dtype=float))
    late, normal = (perfusion_maps(base, aif, 1.0, threshold=0.05) for aif in (late_aif, _aif()))
    assert late.cbf[0] == pytest.approx(normal.cbf[0], rel=0.02)
    assert normal.tmax[0] - late.tmax[0] == pytest.approx(5.0, abs=0.05)


def test_tmax_follows_the_closed_form():
    cbf, cbv, delay = (
        np.array([50.0, 25.0, 12.0]),
        np.array([4.0, 4.0, 3.0]),
        np.array([1.0, 5.0, 9.0]),
    )
    maps = perfusion_maps(_curves(cbf, cbv, delay), _aif(), 1.0, threshold=0.005)
    assert np.allclose(maps.tmax, true_tmax_s(cbf, cbv, delay, DISPERSION_PER_DELAY), atol=1.2)


def test_central_volume_theorem_holds_in_the_maps():
    rng = np.random.default_rng(0)
    maps = perfusion_maps(rng.normal(3, 1, (50, N_FRAMES)), _aif(), 1.0)
    assert np.allclose(maps.mtt * maps.cbf / 60, maps.cbv, rtol=1e-5)


def test_equals_the_explicit_svd_of_the_block_circulant_matrix():
    rng = np.random.default_rng(1)
    n, dt_s, threshold = 12, 1.5, 0.2
    aif = gamma_variate(np.arange(n) * dt_s, 6.0, fwhm_s=5.0, alpha=3.0) * 100
    tissue = rng.normal(size=(3, n))
    padded = np.r_[aif, np.zeros(n)]
    matrix = dt_s * np.stack([np.roll(padded, k) for k in range(2 * n)], axis=1)
    u, s, vt = np.linalg.svd(matrix)
    inverse = np.where(s >= threshold * s.max(), 1 / s, 0)
    expected = (vt.T * inverse) @ u.T @ np.c_[tissue, np.zeros((3, n))].T
    assert 0 < np.count_nonzero(inverse) < 2 * n
    assert np.allclose(deconvolve(tissue, aif, dt_s, threshold=threshold), expected.T, atol=1e-8)


def test_the_causal_matrix_inverts_the_discrete_convolution():
    """Ostergaard et al. 1996, Eq. 6 and 7: AIF and residue vary linearly between frames."""
    n, dt_s = 20, 1.5
    aif = gamma_variate(np.arange(n) * dt_s, 9.0, fwhm_s=7.0, alpha=3.0) * 100 + 1.0
    residue = np.exp(-np.arange(n) / 4.0)[None] * [[0.01], [0.02]]
    before, after = np.r_[0.0, aif[:-1]], np.r_[aif[1:], aif[-1]]
    weights = dt_s * (before + 4 * aif + after) / 6
    tissue = np.stack([np.convolve(weights, row)[:n] for row in residue])
    found = deconvolve_causal(tissue, aif, dt_s, threshold=0.0)
    assert found.shape == (2, 2 * n)
    np.testing.assert_allclose(found[:, :n], residue, atol=1e-6)
    assert not found[:, n:].any()


def test_a_delay_sensitive_software_loses_flow_where_tissue_is_late():
    """What delay-insensitivity is about: the other method's flow stays."""
    base, times = _curves(30.0, 3.0, 0.0)[0], np.arange(N_FRAMES)
    shifted = np.stack([np.interp(times - delay, times, base) for delay in (0.0, 2.0, 5.0)])
    flows = [
        perfusion_maps(shifted, _aif(), 1.0, threshold=0.15, delay_sensitive=sensitive).cbf
        for sensitive in (True, False)
    ]
    assert flows[0][2] < 0.92 * flows[0][0]
    np.testing.assert_allclose(flows[1], flows[1][0], rtol=0.02)


@pytest.mark.parametrize(
    ("tissue", "aif", "dt_s", "threshold", "message"),
    [
        (np.ones((2, 5)), np.ones(6), 1.0, 0.1, r"\(2, 5\) and \(6,\)"),
        (np.ones(5), np.ones(5), 1.0, 0.1, "tissue must be"),
        (np.ones((2, 5)), np.ones(5), 0.0, 0.1, "dt_s > 0"),
        (np.ones((2, 5)), np.ones(5), 1.0, 1.0, "threshold < 1"),
        (np.ones((2, 5)), -np.ones(5), 1.0, 0.1, "no positive area"),
    ],
)
def test_bad_input_is_named(tissue, aif, dt_s, threshold, message):
    with pytest.raises(ValueError, match=message):
        perfusion_maps(tissue, aif, dt_s, threshold=threshold)


@pytest.mark.parametrize("threshold", [0.05, 0.15, 0.3])
def test_reference_takes_out_what_the_deconvolution_loses(threshold):
    """A tissue like the reference comes out right at any threshold; a delay is left as it is."""
    curves = _curves([60.0, 60.0], [4.0, 4.0], [0.0, 0.0])
    shifted = np.interp(np.arange(N_FRAMES) - 4.0, np.arange(N_FRAMES), curves[0])
    curves = np.stack([curves[0], shifted])
    plain = perfusion_maps(curves, _aif(), 1.0, threshold=threshold)
    known = perfusion_maps(curves, _aif(), 1.0, threshold=threshold, reference_mtt_s=4.0)
    assert known.cbf[0] == pytest.approx(60.0, rel=0.03)
    assert known.mtt[0] == pytest.approx(4.0, rel=0.03)
    assert known.tmax == pytest.approx([0.0, 4.0], abs=0.15)
    assert plain.cbf[0] < 0.9 * known.cbf[0] and plain.tmax[0] > known.tmax[0]
    np.testing.assert_array_equal(plain.cbv, known.cbv)


def test_reference_keeps_the_order_of_transit_times():
    curves = _curves([60.0, 30.0, 15.0], [4.0, 4.0, 4.0], [0.0, 0.0, 0.0])
    mtt_s = perfusion_maps(curves, _aif(), 1.0, threshold=0.15, reference_mtt_s=4.0).mtt
    assert mtt_s[0] == pytest.approx(4.0, rel=0.03)
    # Long transits lose less to the filter, so that what is corrected for short ones is too much.
    assert 5.0 < mtt_s[1] <= 8.0 and 8.0 < mtt_s[2] <= 16.0


def test_tikhonov_equals_the_explicit_least_squares():
    """min |A k - c|^2 + l^2 |k|^2 with the block-circulant matrix A, by the normal equations."""
    rng = np.random.default_rng(1)
    n, dt_s, threshold = 12, 1.5, 0.2
    aif = gamma_variate(np.arange(n) * dt_s, 6.0, fwhm_s=5.0, alpha=3.0) * 100
    tissue = rng.normal(size=(3, n))
    padded = np.r_[aif, np.zeros(n)]
    matrix = dt_s * np.stack([np.roll(padded, k) for k in range(2 * n)], axis=1)
    damping = (threshold * np.linalg.norm(matrix, 2)) ** 2 * np.eye(2 * n)
    right = matrix.T @ np.c_[tissue, np.zeros((3, n))].T
    expected = np.linalg.solve(matrix.T @ matrix + damping, right).T
    found = deconvolve_tikhonov(tissue, aif, dt_s, threshold=threshold)
    assert np.allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("frame_s", [1.0, 2.0])
def test_tikhonov_adds_nothing_to_normal_tissue(frame_s):
    """Tmax is the delay, within 0.5 s, and MTT right within a fifth.

    The truncated SVD adds 1.3 s to the one and half to the other.
    """
    delays = np.array([0.0, 2.0, 6.0])
    time_s = np.arange(N_FRAMES, dtype=float)
    base = _curves(60.0, 4.0, 0.0)[0]
    shifted = np.stack([np.interp(time_s - delay, time_s, base) for delay in delays])
    every = int(frame_s)
    curves, aif = shifted[:, ::every], _aif()[::every]
    default, plain = (
        perfusion_maps(curves, aif, frame_s, **METHODS[name]._asdict())
        for name in ("tikhonov", "svd")
    )
    np.testing.assert_allclose(default.tmax, delays, atol=0.5)
    np.testing.assert_allclose(default.mtt, 4.0, rtol=0.2)
    assert plain.tmax[0] > 1.3 and plain.mtt[0] > 1.5 * 4.0


def test_two_methods_at_once_are_refused():
    with pytest.raises(ValueError, match="choose one"):
        perfusion_maps(np.ones((1, 5)), np.ones(5), 1.0, tikhonov=True, delay_sensitive=True)


@pytest.mark.parametrize("frame_s", [1.0, 6.0, 8.0, 10.0])
def test_tmax_lies_within_the_recording(frame_s):
    times_s = np.arange(0, 130, frame_s)
    late = np.clip((times_s - 5) / 6, 0, None)
    aif = 200 * late**3 * np.exp(3 * (1 - late))
    noise = np.random.default_rng(0).normal(0, 3, (500, len(times_s)))
    maps = perfusion_maps(noise + 0.03 * aif, aif, frame_s, threshold=0.15)
    assert maps.tmax.max() <= times_s[-1]
