"""The tissue a scanner would see: perfusion, damage and density of the brain's voxels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.ctp.deconvolution import PerfusionMaps
from nnunetv2_strokesynth.phantom.anatomy import Head
from nnunetv2_strokesynth.phantom.hemodynamics import true_tmax_s
from nnunetv2_strokesynth.phantom.random_field import draw_random_field
from nnunetv2_strokesynth.phantom.stroke import (
    Stroke,
    TissueState,
    apply_deficit,
)

GM_CBF, WM_CBF = 60.0, 25.0
GM_CBV, WM_CBV = 4.0, 2.0


class Brain(NamedTuple):
    """The brain's voxels as a list: ``where`` (Z, Y, X) bool, positions (3, N), fractions (N,)."""

    where: np.ndarray
    points_mm: np.ndarray
    gm: np.ndarray
    wm: np.ndarray
    csf: np.ndarray
    artery: np.ndarray
    vein: np.ndarray

    def volume(self, values: np.ndarray) -> np.ndarray:
        """(N,) -> (Z, Y, X) float32, 0 outside the brain."""
        result = np.zeros(self.where.shape, np.float32)
        result[self.where] = values
        return result


def list_brain(head: Head) -> Brain:
    """The voxels that are brain or CSF to more than 30 %."""
    where = head.gm + head.wm + head.csf > 0.3
    fractions = (head.gm, head.wm, head.csf, head.artery, head.vein)
    return Brain(where, head.positions_mm[:, where], *(values[where] for values in fractions))


class Tissue(NamedTuple):
    """What is true of the brain's voxels, (N,) each.

    Attributes:
        state: CBF, CBV and arrival delay under the deficit.
        deficit: severity, 0 to 1, benign deficits included.
        damage: over 0 where tissue infarcts.
        hu_change: what disease takes from the CT density, HU.
        shine: relative hyperintensity on DWI that is no lesion.
    """

    state: TissueState
    deficit: np.ndarray
    damage: np.ndarray
    hu_change: np.ndarray
    shine: np.ndarray

    def perfusion(self) -> PerfusionMaps:
        """CBF, CBV, MTT and Tmax without noise."""
        cbf, cbv, delay_s = self.state
        mtt_s = 60 * cbv / np.maximum(cbf, 1e-6)
        return PerfusionMaps(cbf, cbv, mtt_s, true_tmax_s(cbf, cbv, delay_s))


def _normal_tissue(rng: np.random.Generator, brain: Brain, stroke: Stroke) -> TissueState:
    flow = rng.normal(1.0, 0.12) * np.exp(0.12 * draw_random_field(rng, 22.0)(brain.points_mm))
    texture = np.exp(0.10 * draw_random_field(rng, 6.0)(brain.points_mm))
    cbf = (GM_CBF * brain.gm + WM_CBF * brain.wm) * flow * texture
    cbv = (GM_CBV * brain.gm + WM_CBV * brain.wm) * np.sqrt(flow) * texture
    delay_s = 0.5 + 0.6 * brain.wm + 0.4 * draw_random_field(rng, 25.0)(brain.points_mm)
    side = 1 / (1 + np.exp(-stroke.stenosis_side * brain.points_mm[0] / 3))
    delay_s = delay_s + stroke.stenosis_delay_s * side
    return TissueState(cbf, cbv, np.maximum(delay_s, 0.0))


def _periventricular(points_mm: np.ndarray) -> np.ndarray:
    """1 beside the lateral ventricles' horns, falling to 0 within about 15 mm."""
    x, y, z = points_mm
    front = ((np.abs(x) - 18) / 8) ** 2 + ((y - 30) / 9) ** 2 + ((z - 16) / 14) ** 2
    back = ((np.abs(x) - 26) / 8) ** 2 + ((y + 48) / 11) ** 2 + ((z - 18) / 14) ** 2
    return np.exp(-0.5 * front) + np.exp(-0.5 * back)


def _old_lesions(stroke: Stroke, points_mm: np.ndarray) -> np.ndarray:
    parts = [blob(points_mm) for blob in stroke.old]
    return np.max(parts, axis=0) if parts else np.zeros(points_mm.shape[1], np.float32)


def simulate_tissue(rng: np.random.Generator, brain: Brain, stroke: Stroke, scale: float) -> Tissue:
    """Perfusion and damage of a patient's brain.

    Args:
        rng: the scan's generator, for the normal variation of perfusion.
        scale: of the stroke, from ``fit_scale``.
    """
    points = brain.points_mm
    damage = stroke.damage_at(points)(scale)
    severity = stroke.severity_at(points)(scale)
    deficit = np.clip(np.maximum(severity, stroke.benign_severity(points)), 0, 1)
    old = _old_lesions(stroke, points)
    pale = stroke.leukoaraiosis * _periventricular(points) * brain.wm
    normal = _normal_tissue(rng, brain, stroke)
    lost = (1 - 0.85 * old) * (1 - 0.4 * np.clip(pale, 0, 1))
    normal = TissueState(normal.cbf * lost, normal.cbv * lost, normal.delay_s)
    late = np.exp(0.15 * draw_random_field(rng, 15.0)(points))
    edema = 1 / (1 + np.exp(-np.clip((damage - 0.08) / 0.06, -30, 30)))
    hu_change = -stroke.hypoattenuation_hu * edema * (brain.gm + 0.6 * brain.wm)
    hu_change = hu_change - 20 * old * (brain.gm + brain.wm) - 6 * pale
    return Tissue(
        apply_deficit(normal, deficit, stroke.collateral_delay_s * late),
        deficit,
        damage,
        hu_change,
        0.25 * pale + 0.2 * old,
    )
