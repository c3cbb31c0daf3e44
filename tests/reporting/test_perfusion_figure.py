"""What the picture of the vessels shows."""

import numpy as np

from nnunetv2_strokesynth.ctp.compute_maps import compute_maps
from nnunetv2_strokesynth.reporting.perfusion_figure import draw_perfusion


def test_curves_places_and_maps(make_head):
    head = make_head(artery_share=0.5)
    computed = compute_maps(head.series, **head.inputs)
    figure = draw_perfusion(computed, (5, 2.5, 2.5), title="a file")
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
    assert "orientation not assumed" in figure.get_supxlabel()


def test_without_a_vein(make_head, tmp_path):
    head = make_head(vein=False)
    computed = compute_maps(head.series, **head.inputs)
    figure = draw_perfusion(computed, (5, 2.5, 2.5), title="a file")
    assert sum("maximum over time" in axes.get_title() for axes in figure.axes) == 1
    figure.savefig(tmp_path / "a.png", dpi=40)
