"""The Bayesian fit: its candidates against the convolution, and tissue of known flow."""

import numpy as np
import pytest
from scipy import special

from nnunetv2_strokesynth.ctp.deconvolution import (
    METHODS,
    SECONDS_100G,
    TO_VOLUME,
    perfusion_maps,
)
from nnunetv2_strokesynth.ctp.maps_by import METHOD_NAMES, maps_by
from nnunetv2_strokesynth.ctp.residue_fit import (
    DELAY_S,
    MTT_S,
    SHAPES,
    bayesian_maps,
    candidate_curves,
    fit_residues,
)
from nnunetv2_strokesynth.ctp.voxel_curves import over_baseline

BASELINE = slice(0, 6)
FINE_S = 0.02


def artery(time_s, rise_s=5.0):
    """Gamma curve; 7 s wide at half of its height, or 1.4 times ``rise_s``."""
    rise = np.maximum((time_s - 7.0) / rise_s, 0)
    return 200 * rise**3 * np.exp(3 * (1 - rise))


def tissue(
    cbf, mtt_s, delay_s, *, shape=1.0, frame_s=1.0, n=50, noise_hu=0.0, copies=1, rise_s=5.0
):
    """(N, T) over the baseline, by the convolution integral on a fine grid; and the artery (T,)."""
    fine_s = np.arange(0, n * frame_s, FINE_S)
    frames = np.round(np.arange(n) * frame_s / FINE_S).astype(int)
    rows = []
    for flow, mtt, delay in np.broadcast(cbf, mtt_s, delay_s):
        residue = special.gammaincc(shape, shape * fine_s / mtt)
        curve = FINE_S * np.convolve(artery(fine_s - delay, rise_s), residue)[: len(fine_s)]
        rows.append(flow / (SECONDS_100G * TO_VOLUME) * curve[frames])
    curves = np.repeat(np.array(rows, np.float32), copies, axis=0)
    curves += np.random.default_rng(5).normal(0, noise_hu, curves.shape).astype(np.float32)
    return over_baseline(curves, BASELINE), artery(np.arange(n) * frame_s, rise_s)


@pytest.mark.parametrize("frame_s", [1.0, 2.5])
def test_candidates_are_the_convolution_integral(frame_s):
    _, aif = tissue(1.0, 4.0, 0.0, frame_s=frame_s)
    found = candidate_curves(aif, frame_s, BASELINE)
    at = np.ravel_multi_index((1, 5, 7), (len(SHAPES), len(DELAY_S), len(MTT_S)))
    expected, _ = tissue(
        SECONDS_100G * TO_VOLUME, MTT_S[7], DELAY_S[5], shape=SHAPES[1], frame_s=frame_s
    )
    assert found.mtt_s[at] == MTT_S[7]
    error = np.abs(found.curves[at] - expected[0]).max() / expected.max()
    assert error < (0.01 if frame_s == 1.0 else 0.05)  # the artery between frames is a guess


@pytest.mark.parametrize("frame_s", [1.0, 2.0])
@pytest.mark.parametrize("delay_s", [0.0, 3.0, 7.0])
def test_normal_and_slow_tissue_alike(frame_s, delay_s):
    """Flow and transit time are right within a fifth at MTTs of 3.5 to 12 s.

    The truncated SVD makes normal tissue as slow as ischaemic tissue.
    """
    mtt_s = np.array([3.5, 5.0, 8.0, 12.0])
    cbf = 60 * 4.0 / mtt_s
    curves, aif = tissue(cbf, mtt_s, delay_s, frame_s=frame_s, n=60)
    found = bayesian_maps(curves, aif, frame_s, baseline=BASELINE)
    np.testing.assert_allclose(found.mtt, mtt_s, rtol=0.2)
    np.testing.assert_allclose(found.cbf, cbf, rtol=0.2)
    np.testing.assert_allclose(found.mtt, 60 * found.cbv / found.cbf, rtol=1e-4)
    plain = perfusion_maps(curves, aif, frame_s, **METHODS["svd"]._asdict())
    assert found.cbf[3] / found.cbf[0] < 0.37 < 0.42 < plain.cbf[3] / plain.cbf[0]


def test_noise_does_not_lift_low_flows():
    """A core at 25 % of the normal flow stays below 30 % of it; in the SVD's maps it does not."""
    cbf, mtt_s = np.array([50.0, 12.5]), np.array([4.0, 9.6])
    curves, aif = tissue(cbf, mtt_s, [0.0, 4.0], noise_hu=1.0, copies=300)
    found = bayesian_maps(curves, aif, 1.0, baseline=BASELINE)
    plain = perfusion_maps(curves, aif, 1.0, **METHODS["svd"]._asdict())
    share, of_svd = (np.median(m.cbf[300:]) / np.median(m.cbf[:300]) for m in (found, plain))
    assert 0.18 < share < 0.30 < of_svd


@pytest.mark.parametrize("shape", [1.0, 5.0])
def test_tissue_of_the_osipi_reference(shape):
    """As in OSIPI's digital reference: CBV 4, CBF 10 to 70, gamma transit times of shape 1 and 5.

    Its artery is 4.5 s wide, its frames 1.24 s apart, its noise a hundredth of a curve's peak. Its
    tolerances are 15 mL/100 g/min + 10 % for CBF and 1 mL/100 g + 10 % for CBV.
    """
    cbf = np.arange(10.0, 71.0, 10.0)
    options = {"frame_s": 1.24, "n": 120, "noise_hu": 0.05, "rise_s": 3.2}
    curves, aif = tissue(cbf, 240 / cbf, 0.0, shape=shape, **options)
    found = bayesian_maps(curves, aif, 1.24, baseline=BASELINE)
    np.testing.assert_allclose(found.cbf, cbf, atol=15, rtol=0.1)
    np.testing.assert_allclose(found.cbv, 4.0, atol=1, rtol=0.1)


def test_curves_do_not_depend_on_each_other():
    curves, aif = tissue([50.0, 20.0, 10.0], [4.0, 8.0, 12.0], [0, 2, 5], noise_hu=1.0, copies=5)
    together = bayesian_maps(curves, aif, 1.0, baseline=BASELINE)
    for name in together._fields:
        alone = bayesian_maps(curves[7:8], aif, 1.0, baseline=BASELINE)
        assert getattr(alone, name)[0] == pytest.approx(getattr(together, name)[7], rel=1e-4)


def test_without_enhancement_there_is_no_flow():
    """Neither a curve of zeros nor one that falls gives a flow, or NaN."""
    _, aif = tissue(1.0, 4.0, 0.0)
    curves = np.stack([np.zeros(len(aif)), -aif]).astype(np.float32)
    volume, mtt_s = fit_residues(curves, candidate_curves(aif, 1.0, BASELINE))
    assert (volume == 0).all() and np.isfinite(mtt_s).all()
    found = bayesian_maps(curves, aif, 1.0, baseline=BASELINE)
    assert not found.cbf.any() and not found.mtt.any()


def test_methods_by_name():
    curves, aif = tissue(50.0, 4.0, 0.0)
    found = {
        name: maps_by(name, curves, aif, 1.0, baseline=BASELINE).mtt[0] for name in METHOD_NAMES
    }
    assert abs(found["bayes"] - 4) < 1 and found["svd"] > 6
    with pytest.raises(KeyError):
        maps_by("mean", curves, aif, 1.0, baseline=BASELINE)
