"""Contrast enhancement of the brain: tissue by convolution, vessels by their own curves."""

from __future__ import annotations

import numpy as np

from nnunetv2_strokesynth.phantom import hemodynamics
from nnunetv2_strokesynth.phantom.physics import Physics
from nnunetv2_strokesynth.phantom.random_field import draw_random_field
from nnunetv2_strokesynth.phantom.timetable import Timetable
from nnunetv2_strokesynth.phantom.tissue import Brain, Tissue


def pial_vessels(
    rng: np.random.Generator, brain: Brain, fraction: float
) -> tuple[np.ndarray, np.ndarray]:
    """Volume fractions (N,) of small arteries and veins in the sulci."""
    x, y, z = brain.points_mm
    ventricles = np.exp(-0.5 * ((x / 22) ** 4 + ((y + 8) / 40) ** 4 + ((z - 12) / 18) ** 4))
    sulci = brain.csf * (1 - np.clip(3 * ventricles, 0, 1))
    amount = fraction * np.clip(draw_random_field(rng, 2.2)(brain.points_mm) - 0.2, 0, 1.2) * sulci
    arterial = draw_random_field(rng, 5.0)(brain.points_mm) > 0.2
    return amount * arterial, amount * ~arterial


def enhancement(
    rng: np.random.Generator,
    brain: Brain,
    tissue: Tissue,
    *,
    bolus: hemodynamics.BolusCurves,
    timetable: Timetable,
    physics: Physics,
) -> np.ndarray:
    """Enhancement (N, T) float32 in HU.

    Args:
        rng: the scan's generator, for the small vessels.
        brain: the imaged voxels.
        tissue: their perfusion and deficit.
        bolus: the scan's bolus.
        timetable: of the series.
        physics: of tissue and bolus.
    """
    pial = pial_vessels(rng, brain, physics.tissue.pial_fraction)
    offset_s = timetable.offsets(len(brain.where))[np.nonzero(brain.where)[0]]
    curves = np.empty((len(offset_s), len(timetable.times_s)), np.float32)
    for offset in np.unique(offset_s):
        rows = offset_s == offset
        times_s = np.array(timetable.times_s) + offset
        curves[rows] = _curves(
            brain, tissue, pial, rows, bolus=bolus, times_s=times_s, physics=physics
        )
    return curves


def _curves(
    brain: Brain,
    tissue: Tissue,
    pial: tuple[np.ndarray, np.ndarray],
    rows: np.ndarray,
    *,
    bolus: hemodynamics.BolusCurves,
    times_s: np.ndarray,
    physics: Physics,
) -> np.ndarray:
    """Enhancement of some voxels, which are imaged at the same times."""
    vessels = physics.tissue
    cbf, cbv, delay_s = (values[rows] for values in tissue.state)
    table = hemodynamics.unit_flow_curves(bolus, times_s, physics.bolus.dispersion_per_delay)
    curves = hemodynamics.tissue_curves(cbf, cbv, delay_s, table)
    fine_s = np.arange(-30.0, times_s[-1] + 1.0, 0.1)
    # Beyond the clot arteries fill late through collaterals, and less; veins drain what arrived.
    late = np.maximum(delay_s - 1.0, 0.0)
    for fraction, small, curve, loss in (
        (brain.artery, pial[0], bolus.arterial(fine_s), vessels.arterial_loss),
        (brain.vein, pial[1], bolus.venous(fine_s), vessels.venous_loss),
    ):
        amount = np.minimum(fraction + small, 1.0) * (1 - loss * tissue.deficit)
        amount = amount[rows]
        some = np.flatnonzero(amount > 0.01)
        shifted = np.interp(times_s[None] - late[some, None] * 0.8, fine_s, curve)
        curves[some] = curves[some] * (1 - amount[some, None]) + amount[some, None] * shifted
    return curves
