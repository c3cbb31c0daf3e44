"""The stroke model: core inside penumbra, volumes, hidden terms."""

import numpy as np
import pytest

from nnunetv2_strokesynth.phantom.hemodynamics import true_tmax_s
from nnunetv2_strokesynth.phantom.patient import draw_stroke, draw_volume_ml, fit_scale
from nnunetv2_strokesynth.phantom.physics import Physics
from nnunetv2_strokesynth.phantom.random_field import draw_random_field
from nnunetv2_strokesynth.phantom.stroke import territory_mask
from nnunetv2_strokesynth.phantom.tissue import TissueState, apply_deficit

PHYSICS = Physics()
STROKE = PHYSICS.stroke


def _box(step_mm=4.0):
    axes = (np.arange(-66, 67, step_mm), np.arange(-96, 66, step_mm), np.arange(0, 40, step_mm))
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 3).T


def test_core_lies_inside_penumbra():
    severity = np.linspace(0, 1, 101)
    ones = np.ones_like(severity)
    state = apply_deficit(TissueState(50 * ones, 3.5 * ones, ones), severity, 9.0, STROKE)
    core = state.cbf < 0.3 * 50
    penumbra = true_tmax_s(*state, PHYSICS.bolus.dispersion_per_delay) > 6
    assert core.any()
    assert np.all(penumbra[core])
    assert np.count_nonzero(penumbra & ~core) > 10
    # CBV: normal or raised in the penumbra, down in the core.
    assert np.all(state.cbv[penumbra & (severity < STROKE.failure_severity - 0.15)] > 0.95 * 3.5)
    assert state.cbv[severity > 0.9].max() < 0.5 * 3.5
    assert np.all(np.diff(state.cbf) < 0)


def test_no_deficit_leaves_tissue_alone():
    normal = TissueState(*(np.array([v], np.float32) for v in (50.0, 3.5, 1.0)))
    assert np.allclose(apply_deficit(normal, np.zeros(1), 9.0, STROKE), normal, rtol=1e-5)


def test_territories_divide_one_hemisphere():
    points = _box()
    total = sum(territory_mask(points, name, 1.0) for name in ("MCA", "ACA", "PCA"))
    assert total.max() <= 1.0 + 1e-6
    assert total[points[0] < -6].max() < 0.01
    assert total[points[0] > 12].min() > 0.95


def test_volumes_are_drawn_in_the_published_groups():
    rng = np.random.default_rng(0)
    volumes = np.array([draw_volume_ml(rng, PHYSICS.study) for _ in range(4000)])
    shares = [
        np.mean(volumes < 10),
        np.mean((volumes >= 10) & (volumes < 50)),
        np.mean(volumes >= 50),
    ]
    assert np.allclose(shares, [0.39, 0.43, 0.18], atol=0.03)


@pytest.mark.parametrize("target_ml", [3.0, 20.0, 50.0])
def test_scale_gives_the_wanted_volume(target_ml):
    points, reached = _box(), []
    for seed in range(6):
        stroke = draw_stroke(np.random.default_rng(seed), points, points, PHYSICS)._replace(
            emboli=()
        )
        scale = fit_scale(stroke, [points], 0.064, target_ml=target_ml, least_ml=STROKE.least_ml)
        reached.append(np.count_nonzero(stroke.damage_at(points)(scale) > 0) * 0.064)
    assert np.median(reached) == pytest.approx(target_ml, rel=0.1)


def test_follow_up_volumes_have_the_published_quartiles_and_mean():
    """ISLES 2024: quartiles 3.9, 12.4 and 38.6 mL, mean 31.7, largest 222 of 149."""
    rng = np.random.default_rng(0)
    volumes = np.array([draw_volume_ml(rng, PHYSICS.follow_up) for _ in range(8000)])
    assert np.percentile(volumes, [25, 50, 75]) == pytest.approx([3.9, 12.4, 38.6], rel=0.08)
    assert volumes.mean() == pytest.approx(31.7, rel=0.06)
    assert 200 < volumes.max() <= 222


def test_infarcts_grow_shrink_or_stay_between_ct_and_mri():
    points = _box(8.0)
    strokes = [draw_stroke(np.random.default_rng(k), points, points, PHYSICS) for k in range(300)]
    growth = np.array([stroke.growth for stroke in strokes])
    study = PHYSICS.study
    assert np.mean(growth > 0) == pytest.approx(study.growth_share, abs=0.1)
    assert np.mean(growth < 0) == pytest.approx(study.shrinkage_share, abs=0.08)
    assert growth.max() <= study.growth_range[1] and -growth.min() <= study.shrinkage_range[1]
    assert not any(stroke.spared for stroke in strokes)


def test_infarct_is_not_a_copy_of_the_severity():
    """Hidden terms: no threshold of the severity gives the infarct back, as a rule."""
    points, best = _box(), []
    for seed in range(10):
        stroke = draw_stroke(np.random.default_rng(seed), points, points, PHYSICS)
        scale = fit_scale(stroke, [points], 0.064, target_ml=30.0, least_ml=STROKE.least_ml)
        infarct = stroke.damage_at(points)(scale) > 0
        severity = stroke.severity_at(points)(scale)
        overlap = []
        for level in np.arange(0.2, 0.95, 0.05):
            core = severity > level
            overlap.append(2 * np.sum(core & infarct) / max(1, np.sum(core) + np.sum(infarct)))
        best.append(max(overlap))
    assert 0.6 < np.mean(best) < 0.97


def test_random_field_has_unit_spread_and_the_correlation_length():
    rng = np.random.default_rng(0)
    start = rng.uniform(-80, 80, (3, 3000))
    products, spread = [], []
    for _ in range(30):
        field = draw_random_field(rng, 10.0)
        here = field(start)
        products.append(np.mean(here * field(start + np.array([[10.0], [0], [0]]))))
        spread.append(here.std())
    assert np.mean(spread) == pytest.approx(1.0, abs=0.1)
    assert np.mean(products) == pytest.approx(np.exp(-0.5), abs=0.15)
