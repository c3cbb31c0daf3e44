from __future__ import annotations

import numpy as np
import pytest

from nnunetv2_strokesynth.evaluation.components import (
    clean_lesion,
    label_components,
    min_voxels,
)


@pytest.fixture
def probs() -> np.ndarray:
    """Components above 0.5 of 1, 2 and 6 voxels; the last two voxels of the 6 only at 0.6."""
    probs = np.zeros((2, 6, 8), dtype=np.float32)
    probs[0, 0, 0] = 0.9
    probs[0, 3, 0], probs[1, 4, 1] = 0.9, 0.8  # joined by a corner
    probs[0, 0:2, 5:7], probs[1, 0, 5:7] = 0.9, 0.6
    return probs


def test_corner_neighbours_are_one_component(probs):
    assert label_components(probs > 0.5)[1] == 3


@pytest.mark.parametrize(
    ("threshold", "smallest", "left"),
    [(0.5, 0, 9), (0.5, 1, 9), (0.5, 2, 8), (0.5, 3, 6), (0.5, 6, 6), (0.5, 7, 0), (0.7, 5, 0),
     (0.7, 4, 4), (0.95, 1, 0)],
)  # fmt: skip
def test_threshold_first_then_size(probs, threshold, smallest, left):
    assert clean_lesion(probs, threshold, smallest).sum() == left


def test_probability_equal_to_the_threshold_is_background():
    assert not clean_lesion(np.full((1, 3, 3), 0.5), 0.5, 0).any()


@pytest.mark.parametrize(
    ("size", "unit", "expected"),
    [(200, "voxels", 200), (0, "voxels", 0), (1, "mL", 100), (1.001, "mL", 101), (0, "mL", 0)],
)
def test_minimum_in_voxels(size, unit, expected):
    assert min_voxels(size, unit, (5.0, 1.0, 2.0)) == expected


def test_rounding_does_not_raise_the_minimum():
    # 0.3 mL / 0.1 mm^3 is 3000.0000000000005 in floating point.
    assert min_voxels(0.3, "mL", (0.1, 1.0, 1.0)) == 3000


def test_unknown_unit():
    with pytest.raises(ValueError, match="litres"):
        min_voxels(1, "litres", (1, 1, 1))
