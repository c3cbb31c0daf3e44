"""The readers' common outline and their agreement, by hand."""

import numpy as np
import pytest

from nnunetv2_strokesynth.outlining.consensus import agreement_of, consensus_of


def mask(*voxels):
    found = np.zeros((1, 1, 4), dtype=bool)
    found[0, 0, list(voxels)] = True
    return found


def test_agreement_is_the_mean_dice_of_all_pairs():
    one, two, three = mask(0, 1), mask(1, 2), mask(3)
    assert agreement_of([one, two]) == 0.5
    assert agreement_of([one, two, three]) == pytest.approx(0.5 / 3)


def test_empty_outlines():
    assert agreement_of([mask(), mask()]) == 1.0
    assert agreement_of([mask(), mask(1)]) == 0.0


def test_the_outline_is_where_the_mean_probability_is_above_one_half():
    one, two = (np.array([[values]]) for values in ([0.9, 0.6, 0.2], [0.7, 0.3, 0.7]))
    made = consensus_of([one, two])
    np.testing.assert_allclose(made.probability, [[[0.8, 0.45, 0.45]]], rtol=1e-6)
    assert made.outline.tolist() == [[[True, False, False]]]
    assert made.agreement == agreement_of([one > 0.5, two > 0.5])


@pytest.mark.parametrize("shapes", [[(1, 2, 2)], [(1, 2, 2), (1, 2, 3)]])
def test_one_reader_or_two_shapes(shapes):
    with pytest.raises(ValueError, match="at least two readers in one shape"):
        consensus_of([np.zeros(shape) for shape in shapes])
