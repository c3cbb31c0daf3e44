"""How well a lesion is seen in an image, against hand-computed values and brute force."""

import math

import numpy as np
import pytest

from nnunetv2_strokesynth.evaluation import metrics
from nnunetv2_strokesynth.evaluation.lesion_visibility import (
    CUTS,
    best_cut,
    best_dice,
    dice_by_cut,
    lesion_auc,
    lesion_contrast,
)


@pytest.fixture
def scan():
    """A noisy image with a bright lesion, a tenth of it outside the brain."""
    rng = np.random.default_rng(0)
    brain = np.zeros((2, 20, 20), bool)
    brain[:, 2:18, 2:18] = True
    lesion = np.zeros_like(brain)
    lesion[0, 4:9, 0:8] = True
    image = np.round(rng.normal(0.5, 0.1, brain.shape) + 0.2 * lesion, 2)  # with ties
    return image, lesion, brain


def test_contrast_by_hand():
    image = np.array([[[1.0, 3, 10, 99]]])
    lesion = np.array([[[False, False, True, False]]])
    brain = np.array([[[True, True, True, False]]])
    assert lesion_contrast(image, lesion, brain) == 8.0  # (10 - 2) / 1
    assert lesion_contrast(-image, lesion, brain) == -8.0


def test_contrast_and_auc_do_not_depend_on_the_unit(scan):
    image, lesion, brain = scan
    for measure in (lesion_contrast, lesion_auc):
        value = measure(image, lesion, brain)
        assert measure(300 * image - 7, lesion, brain) == pytest.approx(value)


def test_auc_counts_pairs(scan):
    image, lesion, brain = scan
    inside, others = image[lesion][:, None], image[brain & ~lesion][None]
    pairs = (inside > others).mean() + 0.5 * (inside == others).mean()
    assert lesion_auc(image, lesion, brain) == pytest.approx(pairs)
    assert lesion_auc(-image, lesion, brain) == pytest.approx(1 - pairs)
    assert lesion_auc(np.ones(image.shape), lesion, brain) == 0.5


def test_dice_at_every_threshold_is_that_of_the_mask(scan):
    image, lesion, brain = scan
    expected = [metrics.dice(lesion, brain & (image > cut)) for cut in CUTS]
    np.testing.assert_allclose(dice_by_cut(image, lesion, brain), expected)


def test_the_best_dice_of_a_scan_is_that_of_its_best_value(scan):
    image, lesion, brain = scan
    values = [*np.unique(image), image.min() - 1]
    expected = max(metrics.dice(lesion, brain & (image > value)) for value in values)
    assert best_dice(image, lesion, brain) == pytest.approx(expected)
    assert best_dice(image, lesion, brain) >= dice_by_cut(image, lesion, brain).max()


def test_one_threshold_for_all_scans_is_the_best_on_the_average():
    curves = np.array([[0.0, 0.6, 0.9], [0.0, 0.5, 0.0]])
    assert best_cut(curves) == 1  # 0.55 against 0.45


def test_without_a_lesion_or_without_other_brain(scan):
    image, lesion, brain = scan
    empty = np.zeros_like(lesion)
    for measure in (lesion_contrast, lesion_auc, best_dice):
        assert math.isnan(measure(image, empty, brain))
    for measure in (lesion_contrast, lesion_auc):
        assert math.isnan(measure(image, lesion, lesion))
    assert math.isnan(lesion_contrast(np.ones(image.shape), lesion, brain))
    curve = dice_by_cut(image, empty, brain)
    assert set(curve) == {0.0, 1.0} and curve[-1] == 1.0
