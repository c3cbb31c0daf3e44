"""Which way round the slices of a patient's page are."""

import numpy as np
import pytest

from nnunetv2_strokesynth.inference.patient import Prediction
from nnunetv2_strokesynth.io.nifti import Geometry
from nnunetv2_strokesynth.reporting.near_miss import NearMiss
from nnunetv2_strokesynth.reporting.patient_page import Page, _view, draw_page


@pytest.mark.parametrize(("known", "order"), [(True, "from the feet"), (False, "as stored")])
def test_slices_are_shown_as_they_come(known, order):
    """They come in LPS order (tests/inference/test_patient_orders.py), or as stored."""
    marked = np.zeros((20, 30))
    marked[6, 8] = 1  # anterior and right of the middle
    mask = np.zeros((2, 20, 30), bool)
    mask[:, 2:18, 3:27] = True
    view = _view(mask, Geometry((5.0, 0.8, 0.4)), known)
    shown = view.of(marked)
    assert view.order == order
    assert view.aspect == pytest.approx(2)
    y, x = np.argwhere(shown)[0]
    assert y < shown.shape[0] / 2 and x < shown.shape[1] / 2


def test_the_brain_and_its_surroundings_are_shown():
    mask = np.zeros((1, 100, 100), bool)
    mask[0, 40:60, 30:50] = True
    view = _view(mask, Geometry((1.0, 1.0, 1.0)), True)
    assert (view.rows, view.columns) == (slice(37, 63), slice(27, 53))
    mask[:] = True
    assert view.of(mask[0]).shape == (26, 26)
    assert _view(mask, Geometry((1.0, 1.0, 1.0)), True).of(mask[0]).shape == (100, 100)


def test_what_was_nearly_called_is_outlined_where_nothing_was(scene):
    """And every image has a bar, so all columns are of one width."""
    page = Page("a scan", ["a line"], [], orientation_known=True)
    geometry = Geometry(scene.spacing_zyx_mm)
    titles = []
    for share in (1.0, 0.3):
        probability = share * scene.probability
        prediction = Prediction(probability > 0.5, probability, probability)
        figure = draw_page(page, scene.prepared, prediction, geometry, scene.times_s)
        titles.append({axes.get_title(): axes for axes in figure.axes if axes.get_title()})
        assert sum(axes.get_label() == "<colorbar>" for axes in figure.axes) == 8
    assert "CBF (mL/100 g/min)" in titles[0] and "predicted lesion on the CT" in titles[0]
    (nearly,) = (title for title in titles[1] if title.startswith("nearly called"))
    lines = titles[1][nearly].collections
    assert lines and lines[0].get_linestyle()[0][1] is not None  # dashed


def test_sentences_are_whole_and_stand_above_the_notes(scene):
    """A sentence has lost its middle, and one line more has covered the first note."""
    nearly = NearMiss(0.39, 0.2, 123.4, 11, np.zeros(1, bool)).sentence
    said = [f"first {nearly}", f"Model: {'a_long_name/' * 30}", f"last {nearly}"]
    page = Page("a scan", said, ["a note"], orientation_known=True)
    prediction = Prediction(scene.probability > 0.5, scene.probability, None)
    figure = draw_page(page, scene.prepared, prediction, Geometry(scene.spacing_zyx_mm), None)
    band = figure.subfigs[0]
    _, sentences, note = sorted(band.texts, key=lambda text: -text.get_position()[1])
    words = sentences.get_text().split()
    assert words[: len(said[0].split())] == said[0].split()
    assert words[-len(said[2].split()) :] == said[2].split()
    figure.draw_without_rendering()
    page_width = figure.bbox.width
    boxes = [text.get_window_extent() for text in (sentences, note)]
    assert boxes[0].y0 > boxes[1].y1 and all(box.x1 < page_width for box in boxes)
