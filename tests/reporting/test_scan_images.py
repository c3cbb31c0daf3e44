"""Which voxels of the maps are shown as black."""

import numpy as np

from nnunetv2_strokesynth.reporting.scan_images import computed_images, tissue_of
from nnunetv2_strokesynth.reporting.viewer import ViewedImage


def test_only_where_the_brain_has_no_flow():
    """A single map may be 0 in the brain, as Tmax is where blood comes with the artery's."""
    cbf, tmax = np.float32([[[0, 20, 30, 40]]]), np.float32([[[9, 0, 4, 5]]])
    tissue = tissue_of([cbf, tmax], np.array([[[True, True, True, False]]]))
    image = ViewedImage("tmax", "Tmax", "s", tmax, (0, 12), "turbo", inside=tissue)
    np.testing.assert_array_equal(image.part(0), [[np.nan, 0, 4, np.nan]])


def test_computed_maps_have_units_and_fixed_scales(scene):
    images = {image.name: image for image in computed_images(scene.computed)}
    assert [image.unit for image in images.values()] == ["mL/100 g/min", "mL/100 g", "s", "s"]
    assert images["Tmax"].window == (0.0, 12.0)
    whole = images["CBF"].part((slice(None),) * 3)
    assert np.isnan(whole[~scene.computed.brain]).all()
    assert np.isfinite(whole[scene.computed.maps.cbf > 0]).all()
