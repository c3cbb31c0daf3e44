"""The bolus: shape of the gamma-variate, and its spread against the measured curves."""

import json
from pathlib import Path

import numpy as np
import pytest

from nnunetv2_strokesynth.phantom.hemodynamics import draw_bolus, gamma_variate
from nnunetv2_strokesynth.phantom.physics import BolusPhysics

BOLUS = BolusPhysics()

MEASURED = Path(__file__).parents[3] / "shared" / "data" / "isles2018_aif_vof.json"


@pytest.mark.parametrize("alpha", [2.0, 5.0, 14.0])
@pytest.mark.parametrize("fwhm_s", [7.0, 15.0])
def test_gamma_variate_has_the_height_peak_and_width_it_says(alpha, fwhm_s):
    time_s = np.arange(-60, 120, 0.01)
    curve = gamma_variate(time_s, 20.0, fwhm_s=fwhm_s, alpha=alpha)
    assert curve.max() == pytest.approx(1.0, abs=1e-4)
    assert time_s[curve.argmax()] == pytest.approx(20.0, abs=0.05)
    assert np.ptp(time_s[curve >= 0.5]) == pytest.approx(fwhm_s, rel=0.01)


def test_vein_follows_artery_and_is_no_larger():
    for seed in range(20):
        bolus = draw_bolus(np.random.default_rng(seed), BOLUS)
        time_s = np.arange(0, 80, 0.1)
        artery, vein = bolus.arterial(time_s), bolus.venous(time_s)
        assert time_s[vein.argmax()] - time_s[artery.argmax()] > 1.5
        assert vein.max() <= 1.1 * artery.max()


def test_some_scans_have_no_frame_before_the_contrast():
    first = []
    for seed in range(300):
        bolus = draw_bolus(np.random.default_rng(seed), BOLUS)
        first.append(bolus.arterial(np.zeros(1))[0] / bolus.peak_hu)
    assert 0.01 < np.mean(np.array(first) > 0.15) < 0.25


@pytest.mark.skipif(not MEASURED.exists(), reason="measured curves are not part of the repository")
def test_bolus_spread_like_the_measured_curves():
    cases = json.loads(MEASURED.read_text())["cases"].values()
    full = [case for case in cases if len(case["aif"]) == 43]
    peak = np.array([np.argmax(case["aif"]) for case in full], float)
    lag = np.array([np.argmax(case["vof"]) for case in full]) - peak
    drawn = [draw_bolus(np.random.default_rng(seed), BOLUS) for seed in range(600)]
    for measured, simulated in (
        (peak, [bolus.peak_s for bolus in drawn]),
        (lag, [bolus.venous_lag_s for bolus in drawn]),
    ):
        ours, theirs = (np.percentile(values, [10, 50, 90]) for values in (simulated, measured))
        assert np.allclose(ours, theirs, atol=2.0), (ours, theirs)
