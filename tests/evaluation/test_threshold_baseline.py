"""The best single threshold, against a plain loop over all thresholds."""

import numpy as np

from nnunetv2_strokesynth.evaluation.threshold_baseline import (
    best_threshold,
    mean_dice_of_rule,
    relative_map,
)


def _scans(seed=0, n=4):
    rng = np.random.default_rng(seed)
    maps = {"CBF": [], "Tmax": []}
    lesions = []
    for _ in range(n):
        lesion = np.zeros((2, 20, 20), dtype=bool)
        lesion[:, 5:12, 6:13] = True
        scale = rng.uniform(1, 5)
        maps["CBF"].append(scale * (10 - 7 * lesion + rng.normal(0, 1.5, lesion.shape)))
        maps["Tmax"].append(2 + 3 * lesion + rng.normal(0, 3, lesion.shape))
        lesions.append(lesion)
    return maps, lesions


def _dice(mask, lesion):
    return 2 * (mask & lesion).sum() / (mask.sum() + lesion.sum())


def test_reported_dice_is_what_the_rule_gives():
    maps, lesions = _scans()
    rule = best_threshold(maps, lesions)
    assert (rule.map_name, rule.side, rule.relative) == ("CBF", "below", True)
    brain = np.ones_like(lesions[0])
    scores = [
        _dice(relative_map(scan, brain) < rule.threshold, lesion)
        for scan, lesion in zip(maps["CBF"], lesions, strict=True)
    ]
    np.testing.assert_allclose(rule.mean_dice, np.mean(scores), rtol=1e-12)


def test_no_threshold_on_the_grid_is_better():
    maps, lesions = _scans(seed=1)
    rule = best_threshold(maps, lesions)
    brain = np.ones_like(lesions[0])
    for threshold in np.linspace(0.05, 1.5, 40):
        below = np.mean(
            [
                _dice(relative_map(scan, brain) < threshold, lesion)
                for scan, lesion in zip(maps["CBF"], lesions, strict=True)
            ]
        )
        assert below <= rule.mean_dice + 0.02


def test_above_is_found_when_it_is_better():
    maps, lesions = _scans(seed=2)
    rule = best_threshold({"Tmax": maps["Tmax"]}, lesions)
    assert rule.side == "above"


def test_absolute_thresholds_are_tried_too():
    """Scans of equal units but different medians: only the absolute threshold is exact."""
    lesion = np.zeros((1, 20, 20), dtype=bool)
    lesion[:, :4] = True
    scans = [np.where(lesion, 12.0, background) for background in (2.0, 8.0)]
    rule = best_threshold({"Tmax": scans}, [lesion, lesion])
    assert not rule.relative and rule.side == "above"
    assert rule.mean_dice == 1.0 and str(rule) == f"Tmax above {rule.threshold:.3g}"


def test_lesion_outside_the_brain_counts_as_missed():
    maps, lesions = _scans(seed=3, n=1)
    for scan in (maps["CBF"][0], maps["Tmax"][0]):
        scan[1] = 0  # not brain
    assert best_threshold(maps, lesions).mean_dice <= 2 * 49 / (49 + 98) + 1e-9


def test_rule_on_other_scans():
    """On its own scans a rule gives the Dice it reports; on others, what a plain loop gives."""
    maps, lesions = _scans(seed=4)
    rule = best_threshold(maps, lesions)
    assert mean_dice_of_rule(rule, maps, lesions) == rule.mean_dice
    others, other_lesions = _scans(seed=5)
    brain = np.ones_like(other_lesions[0])
    expected = np.mean(
        [
            _dice(relative_map(scan, brain) < rule.threshold, lesion)
            for scan, lesion in zip(others["CBF"], other_lesions, strict=True)
        ]
    )
    np.testing.assert_allclose(mean_dice_of_rule(rule, others, other_lesions), expected)
