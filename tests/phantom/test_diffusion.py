"""Graded loss of water mobility, and the DWI that follows it."""

import numpy as np
import pytest

from nnunetv2_strokesynth.phantom.diffusion import draw_oedema, mobility_loss, signal_gain
from nnunetv2_strokesynth.phantom.dwi import air_artefact
from nnunetv2_strokesynth.phantom.physics import Physics

DIFFUSION = Physics().diffusion
POINTS = np.random.default_rng(0).uniform(-50, 50, (3, 4000))


def _oedema(hours, seed=1):
    return draw_oedema(np.random.default_rng(seed), hours, DIFFUSION)


def test_loss_is_graded_from_the_core_over_the_border_to_the_rim():
    oedema = _oedema(6.0)
    core, border, rim, healthy = (
        float(np.median(mobility_loss(oedema, np.full(4000, level), POINTS, DIFFUSION)))
        for level in (0.4, 0.0, -oedema.border, -0.7)
    )
    assert core == pytest.approx(oedema.deepest_loss, rel=0.15)
    assert border == pytest.approx(core / 2, rel=0.1)
    assert rim == pytest.approx(0.27 * core, rel=0.1)
    assert healthy < 0.01


def test_mobility_recovers_over_days_and_t2_rises_over_hours():
    early, late = _oedema(2.0), _oedema(150.0)
    assert late.deepest_loss < 0.75 * early.deepest_loss
    assert late.t2_gain > 1.5 * early.t2_gain


def test_signal_of_restricted_diffusion_and_of_shine_through():
    """exp(1000e-6 * 800 * 0.4) = 1.377 without a longer T2."""
    still = _oedema(6.0)._replace(t2_gain=0.0)
    damage, loss = np.full(3, 5.0), np.full(3, 0.4)
    assert signal_gain(still, damage, loss, b_adc=0.8) == pytest.approx(np.full(3, 0.377), abs=1e-3)
    shining = still._replace(t2_gain=0.5)
    assert signal_gain(shining, damage, loss, b_adc=0.8) == pytest.approx(
        np.full(3, 1.066), abs=2e-3
    )
    assert signal_gain(shining, damage, 0 * loss, b_adc=0.8) == pytest.approx(
        np.full(3, 0.5), abs=1e-3
    )


def test_air_is_at_the_skull_base_on_both_sides():
    places = np.array([[52.0, -20, -32], [-52, -20, -32], [8, 42, -22], [30, -20, 40]]).T
    near = air_artefact(places)
    assert near[:3] == pytest.approx(np.ones(3)) and near[3] < 1e-3
