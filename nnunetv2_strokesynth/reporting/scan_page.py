"""The page about one scan, ``report.html``: slices to scroll through, curves, and numbers.

One file without any request: the viewer's script and all images lie in it, and its policy forbids
everything else. ``viewer.py`` writes what the script reads.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from nnunetv2_strokesynth.ctp.arteries import Vessel
from nnunetv2_strokesynth.ctp.compute_maps import ComputedMaps
from nnunetv2_strokesynth.ctp.scan_numbers import DISCLAIMER
from nnunetv2_strokesynth.inference.patient import Prediction, Prepared
from nnunetv2_strokesynth.inference.study import Study
from nnunetv2_strokesynth.reporting.near_miss import near_miss
from nnunetv2_strokesynth.reporting.page import Picture, environment, picture, render_page
from nnunetv2_strokesynth.reporting.patient_page import draw_bolus
from nnunetv2_strokesynth.reporting.perfusion_figure import draw_curves
from nnunetv2_strokesynth.reporting.result_table import lesion_volume, result_rows
from nnunetv2_strokesynth.reporting.scan_images import (
    CT_WINDOW_HU,
    VOF_COLOUR,
    computed_images,
    scan_images,
    vessel_image,
)
from nnunetv2_strokesynth.reporting.slice_image import PREDICTION_COLOUR, middle_slice
from nnunetv2_strokesynth.reporting.viewer import (
    Contour,
    Mark,
    Viewed,
    ViewedImage,
    reduction,
    viewer_json,
)

TMAX_COLOUR = "#ffffff"
_AIF_MARK = "#FF5A36"  # brighter than the curve, for it lies on grey
_PROBABILITIES = np.arange(1, 100) / 100
_TMAX_S = np.arange(4, 25) / 2
_FIRST_TMAX_S = 6.0


class ScanPage(NamedTuple):
    """What a page says beside its slices.

    Attributes:
        title: the scan's name.
        lines: sentences under the warnings; the first is the result.
        warnings: why the result is doubtful; they stand first.
        notes: what was done.
        numbers: rows of the main table, and of the folded one.
        pictures: curves, with what they show as their text.
    """

    title: str
    lines: Sequence[str]
    warnings: Sequence[str]
    notes: Sequence[str]
    numbers: tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str]]]
    pictures: Sequence[Picture]


def render_scan(page: ScanPage, viewed: Viewed) -> str:
    """The page as HTML."""
    script = _script()
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return render_page(
        "scan.html",
        page=page,
        disclaimer=DISCLAIMER,
        images=viewed.images,
        contours=viewed.contours,
        n_slices=len(viewed.brain),
        first_slice=viewed.first_slice,
        jumps=_jumps(viewed.marks),
        how_to_read=_how_to_read(viewed),
        data=Markup(viewer_json(viewed)),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
    )


def maps_page(
    title: str,
    computed: ComputedMaps,
    spacing_zyx_mm: tuple[float, float, float],
    *,
    sides_known: bool,
    result: Mapping[str, object],
    notes: Sequence[str] = (),
) -> str:
    """The page of ``strokesynth maps``.

    Args:
        title: the scan's name.
        computed: the maps, in ``LPS`` order or as stored.
        spacing_zyx_mm: of their voxels.
        sides_known: whether the header tells right from left.
        result: the numbers to list.
        notes: what was read and done; those that are warnings are not repeated.
    """
    tmax = computed.maps.tmax
    late = (tmax > _FIRST_TMAX_S).sum(axis=(1, 2))
    images = [
        ViewedImage("ct", "CT, baseline", "HU", computed.baseline_hu, CT_WINDOW_HU),
        *computed_images(computed),
        vessel_image(computed),
    ]
    viewed = Viewed(
        images,
        computed.brain,
        spacing_zyx_mm,
        sides_known,
        int(late.argmax()) if late.any() else middle_slice(computed.brain),
        [_tmax_contour(("tmax", "ct"))],
        _marks(computed),
    )
    lines = ["Perfusion maps without a model: no lesion is predicted."]
    notes = [note for note in notes if note not in computed.warnings]
    pictures = [picture(draw_curves(computed), _about_curves(computed))]
    page = ScanPage(title, lines, computed.warnings, notes, result_rows(result), pictures)
    return render_scan(page, viewed)


def prediction_page(
    title: str,
    study: Study,
    prepared: Prepared,
    prediction: Prediction,
    *,
    model: str,
    result: Mapping[str, object],
) -> str:
    """The page of ``strokesynth predict``.

    Args:
        title: the scan's name.
        study, prepared, prediction: of the scan.
        model: its name.
        result: content of ``result.json``.
    """
    spacing = study.geometry.spacing_zyx_mm
    missed = near_miss(prediction.lesion, prediction.probability, float(np.prod(spacing)) / 1000)
    lines = [
        f"Predicted lesion: {lesion_volume(result)} of {result['brain_ml']:.0f} mL brain in the "
        "scan",
        *([missed.sentence] if missed else []),
        f"Model: {model}",
    ]
    areas = prediction.lesion.sum(axis=(1, 2))
    if not areas.any():
        areas = prediction.probability.max(axis=(1, 2))
    outlines = Contour(
        "probability",
        "lesion: probability",
        "",
        _PROBABILITIES,
        _index(_PROBABILITIES, missed.threshold if missed else 0.5),
        PREDICTION_COLOUR,
    )
    computed = prepared.computed
    viewed = Viewed(
        [*scan_images(prepared, prediction), *([vessel_image(computed)] if computed else [])],
        prepared.made.mask,
        spacing,
        study.orientation_known,
        int(areas.argmax()),
        [outlines, _tmax_contour(("tmax",))],
        _marks(computed) if computed else (),
    )
    figures = [picture(draw_bolus(prepared, study.times_s), _about_bolus(prepared))]
    if computed is not None:
        figures.insert(0, picture(draw_curves(computed), _about_curves(computed)))
    notes = [note for note in prepared.notes if note not in prepared.warnings]
    page = ScanPage(title, lines, prepared.warnings, notes, result_rows(result), figures)
    return render_scan(page, viewed)


def _tmax_contour(shown_on: tuple[str, ...]) -> Contour:
    start = _index(_TMAX_S, _FIRST_TMAX_S)
    return Contour("tmax", "Tmax", "s", _TMAX_S, start, TMAX_COLOUR, shown_on)


def _index(thresholds: np.ndarray, wanted: float) -> int:
    return int(np.abs(thresholds - wanted).argmin())


def _marks(computed: ComputedMaps) -> list[Mark]:
    vessels = (("AIF", _AIF_MARK, computed.aif), ("VOF", VOF_COLOUR, computed.vof))
    return [Mark(name, colour, "mip", v.voxels) for name, colour, v in vessels if v is not None]


def _jumps(marks: Sequence[Mark]) -> list[tuple[str, int]]:
    """The slice where most voxels of each mark lie."""
    slices = [(mark.name, [z for z, _, _ in mark.voxels]) for mark in marks]
    return [(name, max(set(found), key=found.count)) for name, found in slices]


def _about_curves(computed: ComputedMaps) -> str:
    """What the picture of the vessels' curves shows."""
    words = [f"The contrast arrives at {computed.row['onset_s']:.1f} s"]
    for name, vessel in (("artery (AIF)", computed.aif), ("vein (VOF)", computed.vof)):
        if vessel is not None:
            words.append(f"the {name} rises by {_peak(computed, vessel)}")
    return "; ".join(words)


def _peak(computed: ComputedMaps, vessel: Vessel) -> str:
    rise = vessel.curve - vessel.curve[computed.baseline_frames].mean()
    return f"{rise.max():.0f} HU, at {computed.times_s[rise.argmax()]:.1f} s"


def _about_bolus(prepared: Prepared) -> str:
    window = prepared.made.window
    return (
        "The scan's sum of HU over time, q(t); the network sees the perfusion window from frame "
        f"{window.t_start} to {window.t_end}, counted from 0"
    )


def _how_to_read(viewed: Viewed) -> str:
    sides = (
        "Slices are counted from the feet; R is the patient's right"
        if viewed.sides_known
        else "The header does not tell right from left: slices are shown as they are stored"
    )
    text = (
        "Wheel, the keys up, down, Home and End, or a sideways swipe change the slice; the key o "
        f"hides the outlines. {sides}. In colours, black was not computed. The volumes of the "
        "thresholds are counted on all voxels of the scan, nothing smoothed or removed."
    )
    if viewed.marks:
        text += " MIP is the maximum over time."
    factor = reduction(viewed)
    if factor > 1:
        text += f" The slices are shown at 1/{factor} of their resolution."
    return text


def _script() -> str:
    """The viewer's script as it lies in the templates."""
    env = environment()
    assert env.loader is not None
    return env.loader.get_source(env, "viewer.js")[0]
