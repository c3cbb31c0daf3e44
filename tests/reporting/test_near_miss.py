"""What a scan without lesion nearly had."""

import numpy as np
import pytest

from nnunetv2_strokesynth.reporting.near_miss import near_miss


def test_the_place_of_the_highest_probability_and_half_of_it():
    probability = np.full((3, 4, 4), 0.01, np.float32)
    probability[2, 1, 1:3] = 0.37, 0.2
    missed = near_miss(probability > 0.5, probability, voxel_ml=0.25)
    assert missed.slice_index == 2
    assert missed.threshold == pytest.approx(0.18)
    assert missed.volume_ml == 0.5
    assert "highest probability is 0.37, in slice 3; above 0.18 lie 0.5 mL" in missed.sentence


def test_a_lesion_or_a_probability_of_next_to_nothing_has_none():
    probability = np.full((1, 2, 2), 0.6, np.float32)
    assert near_miss(probability > 0.5, probability, 1.0) is None
    assert near_miss(np.zeros((1, 2, 2), bool), np.full((1, 2, 2), 0.01), 1.0) is None
