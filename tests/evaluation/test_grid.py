from __future__ import annotations

import numpy as np
import pytest

from nnunetv2_strokesynth.evaluation.components import clean_lesion
from nnunetv2_strokesynth.evaluation.grid import (
    best_combination,
    mean_ranks,
    score_case,
)
from nnunetv2_strokesynth.evaluation.metrics import (
    dice,
    hausdorff_mm,
)

SPACING = (6.0, 0.9, 1.1)
THRESHOLDS = (0.2, 0.5, 0.35, 0.8, 0.97)
SIZES = (0, 60, 3, 15, 10_000)


@pytest.mark.parametrize("seed", range(5))
def test_every_combination_is_what_the_metrics_say(blobs, seed):
    probs, gt = blobs(seed, sigma=1.3), blobs(seed + 30) > 0.6
    scores = score_case(probs, gt, SPACING, THRESHOLDS, SIZES)
    finite = 0
    for i, threshold in enumerate(THRESHOLDS):
        for j, smallest in enumerate(SIZES):
            pred = clean_lesion(probs, threshold, smallest)
            assert scores.dice[i, j] == pytest.approx(dice(gt, pred))
            expected = hausdorff_mm(gt, pred, SPACING) if pred.any() else np.inf
            assert scores.hausdorff_mm[i, j] == pytest.approx(expected)
            finite += np.isfinite(expected)
    assert 12 < finite < scores.dice.size  # the seeds reach both kinds


def test_without_true_lesion(blobs):
    probs = blobs(0)
    thresholds = (0.5, float(probs.max()))
    scores = score_case(probs, np.zeros(probs.shape, bool), SPACING, thresholds, (0, 10_000))
    np.testing.assert_array_equal(scores.dice, [[0, 1], [1, 1]])
    np.testing.assert_array_equal(scores.hausdorff_mm, [[np.inf, np.nan], [np.nan, np.nan]])


def test_nothing_anywhere():
    nothing = np.zeros((2, 4, 4))
    scores = score_case(nothing, nothing > 0, SPACING, (0.5,), (0, 10))
    assert (scores.dice == 1).all() and np.isnan(scores.hausdorff_mm).all()


def test_ranks_by_hand():
    # Two cases, one threshold, three sizes.
    dice_scores = np.array([[[0.9, 0.5, 0.5]], [[0.2, 0.4, 0.6]]])
    hd = np.array([[[10.0, 5.0, np.inf]], [[np.nan, 3.0, 3.0]]])
    # Dice ranks 1, 2.5, 2.5 and 3, 2, 1; HD ranks 2, 1, 3 and 1, 2.5, 2.5.
    expected = [[(1 + 3 + 2 + 1) / 4, (2.5 + 2 + 1 + 2.5) / 4, (2.5 + 1 + 3 + 2.5) / 4]]
    np.testing.assert_allclose(mean_ranks(dice_scores, hd), expected)


def test_best_rank_wins_and_ties_go_to_dice_then_to_the_first():
    mean_dice = np.array([[0.5, 0.6], [0.6, 0.9]])
    assert best_combination(np.array([[2.0, 2.0], [1.0, 3.0]]), mean_dice) == (1, 0)
    assert best_combination(np.array([[2.0, 2.0], [2.0, 3.0]]), mean_dice) == (0, 1)
    assert best_combination(np.ones((2, 2)), np.ones((2, 2))) == (0, 0)
