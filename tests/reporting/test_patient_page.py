"""Which way round the slices of a patient's page are."""

import numpy as np
import pytest

from nnunetv2_strokesynth.io.nifti import Geometry
from nnunetv2_strokesynth.reporting.patient_page import _view

LPS = np.diag([1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("signs", "order"),
    [((1, 1, 1), "from the feet"), ((-1, -1, 1), "from the feet"), ((1, -1, -1), "from the head")],
)
def test_right_is_left_and_anterior_is_up(signs, order):
    """In LPS x grows to the patient's left and y to the back: such an array is shown as it is."""
    marked = np.zeros((20, 30))
    marked[6, 8] = 1  # anterior and right of the middle, where x and y are stored as LPS
    geometry = Geometry((5.0, 0.8, 0.4), direction=tuple((LPS * signs).ravel()))
    stored = marked[:: signs[1], :: signs[0]]
    mask = np.zeros((2, 20, 30), bool)
    mask[:, 2:18, 3:27] = True
    view = _view(mask, geometry)
    shown = view.of(stored)
    assert view.order == order
    assert view.aspect == pytest.approx(2)
    y, x = np.argwhere(shown)[0]
    assert y < shown.shape[0] / 2 and x < shown.shape[1] / 2


def test_the_brain_and_its_surroundings_are_shown():
    mask = np.zeros((1, 100, 100), bool)
    mask[0, 40:60, 30:50] = True
    view = _view(mask, Geometry((1.0, 1.0, 1.0)))
    assert (view.rows, view.columns) == (slice(37, 63), slice(27, 53))
    mask[:] = True
    assert view.of(mask[0]).shape == (26, 26)
    assert _view(mask, Geometry((1.0, 1.0, 1.0))).of(mask[0]).shape == (100, 100)
