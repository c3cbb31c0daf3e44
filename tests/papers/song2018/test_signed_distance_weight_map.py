"""The weight map of Song & Huang 2018 by brute force."""

import math

import numpy as np
import pytest

from nnunetv2_strokesynth.papers.song2018.signed_distance_weight_map import (
    signed_distance_weight_map,
)


@pytest.mark.parametrize("decay_px", [50.0, 3.0])
def test_signed_distance_weights_equal_brute_force(decay_px):
    lesion = np.zeros((9, 11), bool)
    lesion[2:7, 3:8] = True
    weight = signed_distance_weight_map(lesion, decay_px)
    for y, x in np.ndindex(lesion.shape):
        other = np.argwhere(lesion != lesion[y, x])
        distance = min(math.hypot(y - yy, x - xx) for yy, xx in other)
        phi = distance if lesion[y, x] else -distance
        assert weight[y, x] == pytest.approx(0.5 + 1 / (1 + math.exp(-phi / decay_px)), rel=1e-6)
    assert (
        weight[4, 5] == weight.max() and (weight[lesion] > 1).all() and (weight[~lesion] < 1).all()
    )


def test_signed_distance_weights_without_an_edge():
    assert (signed_distance_weight_map(np.zeros((3, 4), bool)) == 0.5).all()
    assert (signed_distance_weight_map(np.ones((3, 4), bool)) == 1.5).all()
    stack = np.zeros((2, 5, 5), bool)
    stack[0, 2, 2] = True
    weights = signed_distance_weight_map(stack)
    assert (weights[1] == 0.5).all(), "distances stay within the slice"
    with pytest.raises(ValueError, match="decay_px = 0"):
        signed_distance_weight_map(stack, 0)
