import numpy as np
import pytest

from nnunetv2_strokesynth.papers.gomez2023.lesion_classes import (
    boundary_classes,
    lesion_classes,
)


def by_brute_force(lesion):
    classes = np.zeros(lesion.shape, np.float32)
    for y, x in np.argwhere(lesion):
        neighbours = ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
        inside = [
            lesion[yy, xx]
            for yy, xx in neighbours
            if 0 <= yy < lesion.shape[0] and 0 <= xx < lesion.shape[1]
        ]
        classes[y, x] = 1 if all(inside) else 2
    return classes


def test_square():
    lesion = np.zeros((6, 7), bool)
    lesion[1:5, 2:6] = True
    expected = np.zeros((6, 7))
    expected[1:5, 2:6] = 2
    expected[2:4, 3:5] = 1
    found = boundary_classes(lesion)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_a_diagonal_neighbour_makes_no_boundary():
    lesion = np.ones((5, 5), bool)
    lesion[0, 0] = False
    expected = np.ones((5, 5))
    expected[0, 0] = 0
    expected[0, 1] = expected[1, 0] = 2
    np.testing.assert_array_equal(boundary_classes(lesion), expected)


def test_the_images_border_is_no_edge():
    np.testing.assert_array_equal(boundary_classes(np.ones((4, 5), bool)), np.ones((4, 5)))


def test_empty_and_thin_lesions():
    lesion = np.zeros((5, 6), bool)
    assert (boundary_classes(lesion) == 0).all()
    lesion[2:4, 1:4] = True
    np.testing.assert_array_equal(boundary_classes(lesion), 2 * lesion)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_equals_brute_force(share):
    lesion = np.random.default_rng(0).random((17, 13)) < share
    found = boundary_classes(lesion)
    np.testing.assert_array_equal(found, by_brute_force(lesion))
    np.testing.assert_array_equal(found > 0, lesion)


def test_binary_classes():
    lesion = np.random.default_rng(0).random((4, 5)) < 0.5
    found = lesion_classes(lesion)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, lesion)
