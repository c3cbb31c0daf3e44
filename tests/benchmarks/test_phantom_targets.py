"""The phantom's targets: distances to a range, figures of a scan, the search within bounds."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.phantom_figures import CBF_CUTS, TMAX_CUTS_S, scan_figures
from benchmarks.phantom_fit import PARAMETERS, propose, search
from benchmarks.phantom_targets import ALL_TARGETS, Target, markdown, score, summarise_follow_up
from nnunetv2_strokesynth.ctp.deconvolution import PerfusionMaps
from nnunetv2_strokesynth.phantom.physics import DEFAULT_PHYSICS

SHAPE = (1, 60, 60)


def _square(low, high):
    mask = np.zeros(SHAPE, bool)
    mask[0, low:high, low:high] = True
    return mask


def _case(core_cbf):
    """A square lesion of 20 x 20 pixels of 2 mm, all of it core, in normal tissue; CBF 50."""
    brain, lesion = _square(0, 60), _square(20, 40)
    maps = PerfusionMaps(
        np.where(lesion, core_cbf, 50.0),
        np.full(SHAPE, 4.0),
        np.full(SHAPE, 6.0),
        np.where(lesion, 8.0, 1.5),
    )
    truth = PerfusionMaps(
        np.full(SHAPE, 50.0), np.full(SHAPE, 4.0), np.full(SHAPE, 5.0), np.zeros(SHAPE)
    )
    distance = np.full(SHAPE, 0.0)
    distance[0] = np.maximum(*np.abs(np.mgrid[:60, :60] - 29.5))
    return SimpleNamespace(
        grid=SimpleNamespace(pixel_mm=2.0, slice_mm=5.0),
        maps=maps,
        truth=truth,
        lesion=lesion,
        infarct=lesion,
        brain=brain,
        solid=np.ones(SHAPE),
        severity=lesion.astype(float),
        dwi=np.where(distance < 7, 200.0, np.where(lesion, 160.0, 100.0)),
    )


def test_distance_is_in_half_widths_of_the_range():
    target = Target("x", 2.0, 4.0, "choice")
    assert [target.distance(value) for value in (1.0, 2.0, 3.0, 4.0, 6.0)] == [1, 0, 0, 0, 2]
    assert target.distance(float("nan")) == 3
    assert score({"x": 6.0, "y": 1.0}, (target, Target("y", 2.0, 4.0, ""))) == pytest.approx(5.0)


def test_figures_of_a_scan_that_is_known():
    figures = scan_figures(_case(core_cbf=10.0), DEFAULT_PHYSICS)
    assert figures.core_rcbf == pytest.approx(0.2)
    assert (figures.normal_tmax_s, figures.normal_mtt_s) == (1.5, 6.0)
    assert figures.mtt_ratio == pytest.approx(1.2)
    assert figures.lesion_ml == pytest.approx(400 * 0.02) and figures.lesion_ratio == 1
    # rCBF is 0.2 in the lesion and 1 elsewhere, Tmax 8 s and 1.5 s.
    np.testing.assert_array_equal(figures.cbf, (CBF_CUTS > 0.2).astype(float))
    np.testing.assert_array_equal(figures.tmax, (TMAX_CUTS_S < 8).astype(float))
    assert figures.outer_contrast == pytest.approx(0.6) and figures.rim_contrast == 0


def test_a_scan_without_core_or_lesion_has_no_such_figures():
    case = _case(core_cbf=10.0)
    nothing = np.zeros(SHAPE, bool)
    case.lesion = case.infarct = nothing
    figures = scan_figures(case, DEFAULT_PHYSICS)
    assert np.isnan([figures.core_rcbf, figures.lesion_ratio, figures.outer_contrast]).all()
    assert figures.lesion_ml == 0 and not figures.cbf[CBF_CUTS > 0.2].any()


def test_volumes_at_follow_up():
    figures = summarise_follow_up([0.0, 1.0, 2.0, 3.0, 14.0])
    assert list(figures.values()) == [4.0, 2.0, 1.0, 3.0, 14.0, 0.2]


def test_proposals_stay_within_the_bounds_and_differ_in_a_few_parameters():
    rng, physics = np.random.default_rng(0), DEFAULT_PHYSICS
    for _ in range(60):
        proposal = propose(physics, 1.0, rng)
        values = [(p.value(physics), p.value(proposal), p) for p in PARAMETERS]
        assert all(p.low - 1e-3 <= new <= p.high + 1e-3 for _, new, p in values)
        assert sum(old != new for old, new, _ in values) <= 3
        physics = proposal
    assert propose(physics, 0.3, np.random.default_rng(1)) == propose(
        physics, 0.3, np.random.default_rng(1)
    )


def test_the_defaults_lie_within_the_bounds():
    for parameter in PARAMETERS:
        assert parameter.low <= parameter.value(DEFAULT_PHYSICS) <= parameter.high, parameter.name


def test_search_keeps_what_lowers_the_score():
    """One figure depends on the physics: the noise, which is too low."""
    others = {target.name: 0.5 * (target.low + target.high) for target in ALL_TARGETS}

    def evaluate(physics):
        noise = physics.ct.ctp_noise_hu_mm - 13
        return others | {
            "CTP noise at 0.49 mm and 5 mm, HU": noise,
            "label over infarct, volume": 1.05,
        }

    best, tried = search(DEFAULT_PHYSICS, 80, evaluate, np.random.default_rng(0))
    assert len(tried) == 80
    name = "CTP noise at 0.49 mm and 5 mm, HU"
    assert evaluate(DEFAULT_PHYSICS)[name] < 5 and 6 <= evaluate(best)[name] <= 9


def test_the_table_says_what_is_met():
    targets = (Target("a", 0.0, 1.0, "choice"), Target("b", 0.0, 1.0, "choice"))
    rows = markdown([{"a": 0.5, "b": 1.0}, {"a": 1.5, "b": 1.5}], targets).splitlines()[2:]
    assert rows[0] == "| a | 1 | 0.5, 1.5 | 0-1 | met | choice |"
    assert rows[1] == "| b | 1.25 | 1, 1.5 | 0-1 | not met | choice |"
