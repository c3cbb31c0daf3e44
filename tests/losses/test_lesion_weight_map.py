"""Eq. 9 of Wang et al. 2020 by brute force, and to the bit from SciPy's distances."""

import math

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from scipy.special import expit

from nnunetv2_strokesynth.losses.lesion_weight_map import lesion_weight_map


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def weight_map_by_brute_force(lesion: np.ndarray, w: float, decay_px: float) -> np.ndarray:
    inside = np.argwhere(lesion)
    out = np.empty(lesion.shape)
    for y, x in np.ndindex(lesion.shape):
        if lesion[y, x]:
            out[y, x] = w
            continue
        distance = min(math.hypot(y - yy, x - xx) for yy, xx in inside)
        decayed = math.exp(-distance / decay_px)
        out[y, x] = 0.5 + decayed / (decayed + 1)
    return out


@pytest.mark.parametrize(("w", "decay_px"), [(1.5, 50.0), (3.0, 4.0)])
def test_weight_map_equals_brute_force(rng, w, decay_px):
    lesion = rng.random((13, 17)) > 0.95
    expected = weight_map_by_brute_force(lesion, w, decay_px)
    found = lesion_weight_map(lesion, w, decay_px)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_weight_map_hand_values():
    lesion = np.zeros((8, 8), bool)
    lesion[0, 0] = True
    weight = lesion_weight_map(lesion)
    assert weight[0, 0] == 1.5
    # (3, 4) is 5 px away, and D = 50.
    assert weight[3, 4] == pytest.approx(0.5 + 1 / (1 + math.exp(0.1)))


def test_weight_map_without_lesion_is_one_half():
    assert (lesion_weight_map(np.zeros((4, 5), bool)) == 0.5).all()


def eq9_from_scipys_distances(lesion: np.ndarray, w: float, decay_px: float) -> np.ndarray:
    """In float64, rounded once: root and exponential of every pixel."""
    falling = 0.5 + expit(-distance_transform_edt(~lesion) / decay_px)
    return np.where(lesion, w, falling).astype(np.float32)


@pytest.mark.parametrize("shape", [(64, 96), (1, 50), (3, 1100)])
@pytest.mark.parametrize(("w", "decay_px"), [(1.5, 50.0), (4.0, 7.5)])
def test_looked_up_weights_are_the_computed_ones_to_the_bit(rng, shape, w, decay_px):
    """(3, 1100) is larger than the table of weights is made for."""
    lesion = rng.uniform(size=shape) > 0.98
    lesion[0, 0] = True
    found = lesion_weight_map(lesion, w, decay_px)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, eq9_from_scipys_distances(lesion, w, decay_px))


def test_weight_map_can_be_changed_without_changing_the_next(rng):
    lesion = rng.uniform(size=(20, 20)) > 0.9
    first = lesion_weight_map(lesion)
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(lesion_weight_map(lesion), kept)


def test_weight_map_of_a_stack_is_per_slice(rng):
    stack = rng.random((2, 3, 9, 8)) > 0.9
    stack[1, 2] = False
    found = lesion_weight_map(stack)
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(found[index], lesion_weight_map(stack[index]))
    assert (found[1, 2] == 0.5).all()


def test_weight_map_takes_integer_labels():
    labels = np.array([[0, 1], [0, 0]], dtype=np.int16)
    np.testing.assert_array_equal(lesion_weight_map(labels), lesion_weight_map(labels > 0))


@pytest.mark.parametrize(
    ("lesion", "kwargs"),
    [
        (np.zeros(4, bool), {}),
        (np.zeros((4, 4), bool), {"w": 0.9}),
        (np.zeros((4, 4), bool), {"decay_px": 0}),
    ],
)
def test_weight_map_refuses_bad_arguments(lesion, kwargs):
    with pytest.raises(ValueError, match="w >= 1 and decay_px > 0, found"):
        lesion_weight_map(lesion, **kwargs)
