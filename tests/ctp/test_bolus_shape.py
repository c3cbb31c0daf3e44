"""What counts as the shape of a bolus, at any frame time."""

import json
from pathlib import Path

import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.bolus_shape import describe_voxels, shapes_of
from nnunetv2_strokesynth.phantom.hemodynamics import gamma_variate

MEASURED_CURVES = Path(__file__).parents[3] / "shared" / "data" / "isles2018_aif_vof.json"
FRAMES_S = (1.0, 1.5, 2.0, 3.0, 3.5)


def sampled(curve, frame_s):
    """(M, T): a curve of time, sampled from different first frames on."""
    return np.stack([curve(np.arange(first, 60, frame_s)[: int(59 / frame_s)]) for first in PHASES])


PHASES = np.arange(0.0, 1.0, 0.25)


@pytest.mark.parametrize("frame_s", FRAMES_S)
@pytest.mark.parametrize("fwhm_s", [6.8, 11.0, 20.0])
def test_every_width_that_was_measured_is_a_bolus(frame_s, fwhm_s):
    """6.8 to 20 s: the narrowest of 156 arteries of ISLES 2018, and their 95th percentile."""
    curves = sampled(lambda t: gamma_variate(t, 18.0, fwhm_s=fwhm_s, alpha=4.0), frame_s)
    shapes = shapes_of(80 * curves, frame_s)
    assert shapes.like_bolus.all()
    np.testing.assert_allclose(shapes.peak_s, 18.0, atol=0.5 * frame_s + 1)
    np.testing.assert_allclose(shapes.width_s, fwhm_s, rtol=0.2, atol=0.5 * frame_s)


@pytest.mark.parametrize("frame_s", FRAMES_S)
def test_every_measured_artery_is_a_bolus(frame_s):
    if not MEASURED_CURVES.is_file():
        pytest.skip("the measured curves are not part of the repository")
    cases = json.loads(MEASURED_CURVES.read_text())["cases"].values()
    for first in np.arange(0, frame_s, 0.5):
        for case in cases:
            every_second = np.arange(float(len(case["aif"])))
            time_s = np.arange(first, every_second[-1], frame_s)
            curve = np.interp(time_s, every_second, case["aif"])
            assert shapes_of(curve[None], frame_s).like_bolus.all()


@pytest.mark.parametrize("frame_s", FRAMES_S)
def test_a_frame_that_jumps_is_no_bolus(frame_s):
    """One frame, or those of 3 s: a jolt of the head that is over."""
    curves = sampled(lambda t: ((t >= 20) & (t < 20 + max(frame_s, 3.0))) * 80.0, frame_s)
    assert not shapes_of(curves, frame_s).like_bolus.any()


@pytest.mark.parametrize("frame_s", FRAMES_S)
def test_a_rise_that_lasts_is_no_bolus(frame_s):
    curves = sampled(lambda t: np.maximum(t - 20.0, 0.0), frame_s)
    assert not shapes_of(curves, frame_s).like_bolus.any()


def test_the_unit_does_not_matter():
    curves = sampled(lambda t: gamma_variate(t, 18.0, fwhm_s=9.0, alpha=4.0), 2.0)
    small, large = (shapes_of(factor * curves, 2.0) for factor in (1.0, 500.0))
    np.testing.assert_allclose(large.half_rise_s, small.half_rise_s, rtol=1e-3)
    np.testing.assert_allclose(large.height, 500 * small.height, rtol=1e-6)


@pytest.mark.parametrize("frame_s", [1.0, 3.0])
def test_significance_is_height_over_noise(frame_s):
    """Of the smoothed noise, which is three times as large in one half of the plane."""
    rng = np.random.default_rng(2)
    mask = np.ones((1, 60, 60), bool)
    time_s = np.arange(0, 60, frame_s)
    series = rng.standard_normal((60, 60, len(time_s)))
    series[30:] *= 3
    bolus = 100 * gamma_variate(time_s, 18.0, fwhm_s=9.0, alpha=4.0)
    series[12:18, 27:33] += bolus
    series[42:48, 27:33] += bolus
    enhancement = describe_voxels(
        series.reshape(3600, -1), mask, pixel_mm=1.5, frame_s=frame_s
    ).significance.reshape(60, 60)
    quiet, loud = (enhancement[rows, 29:31].mean() for rows in (slice(14, 16), slice(44, 46)))
    assert quiet / loud == pytest.approx(3, rel=0.25)
    # The Gaussians in plane and in time, sigma 1 pixel and 1.2 s, leave this of the noise.
    left = 1 / (2 * np.pi**0.5) * min(1.0, (2 * np.pi**0.5 * 1.2 / frame_s) ** -0.5)
    assert 0.5 * 100 / left < quiet < 1.1 * 100 / left
