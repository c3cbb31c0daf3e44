"""The tissue that a scanner would see: perfusion, damage and density of the brain's voxels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.ctp.deconvolution import PerfusionMaps
from nnunetv2_strokesynth.phantom.anatomy import Head
from nnunetv2_strokesynth.phantom.hemodynamics import true_tmax_s
from nnunetv2_strokesynth.phantom.physics import Physics, StrokePhysics, TissuePhysics
from nnunetv2_strokesynth.phantom.random_field import draw_random_field
from nnunetv2_strokesynth.phantom.stroke import Stroke, sigmoid

_SPARED_MARGIN = 1.0
"""In severity: no tissue of a spared patient comes near its tolerance."""


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


class TissueState(NamedTuple):
    """Perfusion of brain voxels, (N,) float32: CBF mL/100 g/min, CBV mL/100 g, arrival delay s."""

    cbf: np.ndarray
    cbv: np.ndarray
    delay_s: np.ndarray


def flow_left(severity: np.ndarray, physics: StrokePhysics) -> np.ndarray:
    """Share of its normal flow that tissue keeps at a severity of 0 to 1."""
    return 1 - physics.flow_loss * np.clip(severity, 0, 1) ** physics.flow_exponent


def apply_deficit(
    normal: TissueState,
    severity: np.ndarray,
    collateral_delay_s: float | np.ndarray,
    physics: StrokePhysics,
) -> TissueState:
    """Perfusion under a deficit.

    With the default physics CBF falls to 30 % at a severity of 0.55 (core). Delays saturate, so
    that Tmax > 6 s outlines core and penumbra. CBV stays up by vasodilation until autoregulation
    fails near the core.

    Args:
        normal: perfusion without the deficit, (N,) each.
        severity: (N,), 0 to 1.
        collateral_delay_s: delay at a severity of 1, one value or (N,).
        physics: what a deficit takes.
    """
    flow = flow_left(severity, physics)
    dilated = physics.dilation * np.clip(severity / 0.4, 0, 1)
    failed = physics.volume_loss * sigmoid((severity - physics.failure_severity) / 0.05)
    volume = (1 + dilated) * (1 - failed)
    # How late blood arrives says less about how short of blood the tissue is.
    saturation = physics.delay_saturation
    late = (1 - np.exp(-severity / saturation)) / (1 - np.exp(-1 / saturation))
    return TissueState(
        (normal.cbf * flow).astype(np.float32),
        (normal.cbv * volume).astype(np.float32),
        (normal.delay_s + collateral_delay_s * late).astype(np.float32),
    )


class Tissue(NamedTuple):
    """What is true of the brain's voxels, (N,) each.

    Attributes:
        state: CBF, CBV and arrival delay under the deficit.
        deficit: severity, 0 to 1, benign deficits included.
        damage: over 0 where tissue has infarcted at the time of the MRI.
        damage_at_ct: the same at the time of the CT.
        spared: whether nothing infarcts, whatever the deficit.
        hu_change: what disease takes from the CT density, HU.
        shine: relative hyperintensity on DWI that is no lesion.
    """

    state: TissueState
    deficit: np.ndarray
    damage: np.ndarray
    damage_at_ct: np.ndarray
    spared: bool
    hu_change: np.ndarray
    shine: np.ndarray

    def perfusion(self, dispersion_per_delay: float) -> PerfusionMaps:
        """CBF, CBV, MTT and Tmax without noise; the argument is ``BolusPhysics``'s."""
        cbf, cbv, delay_s = self.state
        mtt_s = 60 * cbv / np.maximum(cbf, 1e-6)
        return PerfusionMaps(cbf, cbv, mtt_s, true_tmax_s(cbf, cbv, delay_s, dispersion_per_delay))


def _normal_tissue(
    rng: np.random.Generator, brain: Brain, stroke: Stroke, physics: TissuePhysics
) -> TissueState:
    """Perfusion without the deficit."""
    points = brain.points_mm
    flow = rng.normal(1.0, physics.scan_flow_sd)
    flow = flow * np.exp(physics.flow_sd * draw_random_field(rng, 22.0)(points))
    texture = np.exp(physics.texture_sd * draw_random_field(rng, 6.0)(points))
    cbf = physics.gm_cbf_ml_per_100g_min * brain.gm + physics.wm_cbf_ml_per_100g_min * brain.wm
    cbv = physics.gm_cbv_ml_per_100g * brain.gm + physics.wm_cbv_ml_per_100g * brain.wm
    cbf, cbv = cbf * flow * texture, cbv * np.sqrt(flow) * texture
    delay_s = physics.delay_s + physics.wm_delay_s * brain.wm
    delay_s = delay_s + physics.delay_sd_s * draw_random_field(rng, 25.0)(points)
    delay_s = delay_s + stroke.stenosis_delay_s * sigmoid(stroke.stenosis_side * points[0] / 3)
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


def simulate_tissue(
    rng: np.random.Generator, brain: Brain, stroke: Stroke, *, scale: float, physics: Physics
) -> Tissue:
    """Perfusion and damage of a patient's brain.

    Args:
        rng: the scan's generator, for the normal variation of perfusion.
        brain: the imaged voxels.
        stroke: the patient's.
        scale: of the stroke's territory, from ``fit_scale``.
        physics: of tissue and stroke.
    """
    points, healthy = brain.points_mm, physics.tissue
    damage = stroke.damage_at(points)(scale) - (_SPARED_MARGIN if stroke.spared else 0.0)
    damage_at_ct = damage - stroke.growth
    severity = stroke.severity_at(points)(scale)
    deficit = np.clip(np.maximum(severity, stroke.benign_severity(points)), 0, 1)
    old = _old_lesions(stroke, points)
    pale = stroke.leukoaraiosis * _periventricular(points) * brain.wm
    normal = _normal_tissue(rng, brain, stroke, healthy)
    left = 1 - healthy.old_perfusion_loss * old
    left = left * (1 - healthy.pale_perfusion_loss * np.clip(pale, 0, 1))
    normal = TissueState(normal.cbf * left, normal.cbv * left, normal.delay_s)
    late = np.exp(physics.stroke.collateral_delay_sd * draw_random_field(rng, 15.0)(points))
    oedema = sigmoid((damage_at_ct - 0.08) / 0.06)
    hu_change = -stroke.hypoattenuation_hu * oedema
    hu_change = hu_change * (brain.gm + physics.stroke.wm_hypoattenuation * brain.wm)
    hu_change = hu_change - healthy.old_loss_hu * old * (brain.gm + brain.wm)
    hu_change = hu_change - healthy.pale_loss_hu * pale
    return Tissue(
        apply_deficit(normal, deficit, stroke.collateral_delay_s * late, physics.stroke),
        deficit,
        damage,
        damage_at_ct,
        stroke.spared,
        hu_change,
        healthy.pale_shine * pale + healthy.old_shine * old,
    )
