"""The images of one scan with their units and colour scales, the same in the page and in the PNG.

Scales are fixed where the unit is known, so that two scans can be compared by eye.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.ctp.compute_maps import ComputedMaps
from nnunetv2_strokesynth.ctp.map_files import UNITS
from nnunetv2_strokesynth.inference.patient import Prediction, Prepared
from nnunetv2_strokesynth.reporting.viewer import ViewedImage

# Okabe and Ito's, red and blue as arteries and veins are drawn; on white and on black.
AIF_COLOUR, VOF_COLOUR = "#D55E00", "#56B4E9"
CT_WINDOW_HU, MIP_WINDOW_HU = (0.0, 80.0), (0.0, 250.0)
# In the units of ``map_files.UNITS``.
WINDOWS = {"CBF": (0.0, 100.0), "CBV": (0.0, 6.0), "MTT": (0.0, 15.0), "Tmax": (0.0, 12.0)}
_IN_SECONDS = ("MTT", "Tmax")
_SHOWN_PERCENTILE = 98.0
_NO_UNIT = "unit of the file; scale of this scan"


def scan_images(prepared: Prepared, prediction: Prediction) -> list[ViewedImage]:
    """CT, the four maps, pseudo-DWI if there is one, and the probability of lesion."""
    images, computed = prepared.images, prepared.computed
    found = [ViewedImage("ct", "CT", "HU", images.ct, CT_WINDOW_HU)]
    if computed is not None and np.array_equal(images.maps[0], computed.maps.cbf):
        found += computed_images(computed)
    else:
        found += _given_images(images.maps, prepared.made.mask)
    if prediction.pseudo_dwi is not None:
        window = prediction.record.window
        found.append(ViewedImage("pseudo_dwi", "pseudo-DWI", "", prediction.pseudo_dwi, window))
    probability = prediction.probability
    return [
        *found,
        ViewedImage("probability", "probability of lesion", "", probability, (0.0, 1.0), "magma"),
    ]


def computed_images(computed: ComputedMaps) -> list[ViewedImage]:
    """The maps that this package has computed; those that thresholds are applied to."""
    maps = computed.threshold_maps
    tissue = tissue_of(maps, computed.brain)
    return [
        ViewedImage(
            name.lower(),
            name,
            UNITS[name.lower()],
            volume,
            WINDOWS[name],
            "turbo",
            inside=tissue,
        )
        for name, volume in zip(PERFUSION_MAPS, maps, strict=True)
    ]


def tissue_of(maps: Sequence[np.ndarray], brain: np.ndarray) -> np.ndarray:
    """Bool (Z, Y, X): where the brain has a CBF; elsewhere nothing was computed.

    So what lies above a threshold of Tmax on the page has the volume of ``perfusion_volumes``.

    Args:
        maps: CBF first.
        brain: bool, of the same shape.
    """
    return brain & (maps[0] > 0)


def vessel_image(computed: ComputedMaps) -> ViewedImage:
    """The maximum over time, on which artery and vein are marked."""
    note = "AIF red, VOF blue" if computed.vof is not None else "AIF red"
    highest = computed.highest_hu
    return ViewedImage("mip", "MIP", "HU", highest, MIP_WINDOW_HU, note=note)


def _given_images(maps: np.ndarray, brain: np.ndarray) -> list[ViewedImage]:
    """Times have fixed scales; flow and volume have the unit of the software that made them."""
    found, tissue = [], tissue_of(maps, brain)
    for name, volume in zip(PERFUSION_MAPS, maps, strict=True):
        unit, window, note = "s", WINDOWS[name], ""
        if name not in _IN_SECONDS:
            values = volume[tissue & (volume > 0)]
            top = float(np.percentile(values, _SHOWN_PERCENTILE)) if values.size else 1.0
            unit, window, note = "", (0.0, top), _NO_UNIT
        found.append(
            ViewedImage(name.lower(), name, unit, volume, window, "turbo", note, inside=tissue)
        )
    return found
