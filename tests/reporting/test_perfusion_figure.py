"""What the picture of the vessels shows."""

import numpy as np

from nnunetv2_strokesynth.ctp.compute_maps import compute_maps
from nnunetv2_strokesynth.io.nifti import Geometry
from nnunetv2_strokesynth.io.placement import Grid, reference_of
from nnunetv2_strokesynth.reporting.perfusion_figure import draw_perfusion

RAS = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)
REFERENCE = reference_of("series", Grid((2, 64, 64), Geometry((5, 2.5, 2.5)), True))


def test_curves_places_and_maps(make_head):
    head = make_head(artery_share=0.5)
    computed = compute_maps(head.series, **head.inputs)
    figure = draw_perfusion(computed, REFERENCE, title="a file")
    curves, tissue = (axes for axes in figure.axes if "enhancement" in axes.get_ylabel())
    assert curves.get_xlabel() == "time after the first frame (s)"
    drawn = {line.get_label(): line for line in curves.lines}
    aif = next(line for label, line in drawn.items() if label.startswith("AIF"))
    assert "scaled by 2.0" in aif.get_label()
    np.testing.assert_allclose(aif.get_ydata(), head.arterial, atol=0.5)
    assert drawn["VOF"].get_ydata().max() > aif.get_ydata().max()
    assert any("contrast arrives" in label for label in drawn)
    np.testing.assert_allclose(tissue.lines[0].get_ydata(), computed.tissue_hu)
    places = [axes for axes in figure.axes if "maximum over time" in axes.get_title()]
    marked = places[0].collections[-2].get_offsets()
    assert {(x, y) for x, y in marked} <= {(x, y) for _, y, x in np.argwhere(head.artery)}
    labels = [axes.get_ylabel() for axes in figure.axes]
    for label in ("CBF (mL/100 g/min)", "CBV (mL/100 g)", "MTT (s)", "Tmax (s)"):
        assert label in labels
    assert "Slices: radiological orientation" in figure.get_supxlabel()
    assert all({"R", "L"} <= {text.get_text() for text in axes.texts} for axes in places)


def test_stored_voxel_numbers_and_sides(make_head):
    """A series stored RAS is drawn LPS, and its axes are numbered as the file counts."""
    head = make_head()
    computed = compute_maps(head.series, **head.inputs)
    for known, words in ((True, "order RAS"), (False, "side unknown")):
        grid = Grid((2, 64, 64), Geometry((5, 2.5, 2.5), direction=RAS), known)
        figure = draw_perfusion(computed, reference_of("series", grid), title="a file")
        assert words in figure.get_supxlabel()
        axes = next(axes for axes in figure.axes if "CBF, slice" in axes.get_title())
        number = axes.xaxis.get_major_formatter()(3, None)
        assert number == ("60" if known else "3")
        texts = {text.get_text() for text in axes.texts}
        assert texts == ({"R", "L"} if known else {"side unknown"})


def test_maps_are_shown_where_the_brain_is(make_head):
    """A scan that goes far beyond the head, in which only the second of seven slices has brain."""
    head = make_head()
    computed = compute_maps(head.series, **head.inputs)

    def lower(volume: np.ndarray) -> np.ndarray:
        return np.concatenate([0 * volume[:1], volume[:1], *[0 * volume[:1]] * 5])

    computed = computed._replace(
        maps=type(computed.maps)(*map(lower, computed.maps)),
        threshold_maps=type(computed.maps)(*map(lower, computed.threshold_maps)),
        brain=lower(computed.brain).astype(bool),
        highest_hu=lower(computed.highest_hu),
    )
    grid = Grid((7, 64, 64), Geometry((5, 2.5, 2.5)), True)
    figure = draw_perfusion(computed, reference_of("series", grid), title="a file")
    axes = next(axes for axes in figure.axes if "CBF, slice" in axes.get_title())
    assert axes.get_title() == "CBF, slice z = 1"
    assert np.isfinite(axes.images[0].get_array().filled(np.nan)).any()


def test_without_a_vein(make_head, tmp_path):
    head = make_head(vein=False)
    computed = compute_maps(head.series, **head.inputs)
    figure = draw_perfusion(computed, REFERENCE, title="a file")
    assert sum("maximum over time" in axes.get_title() for axes in figure.axes) == 1
    figure.savefig(tmp_path / "a.png", dpi=40)
