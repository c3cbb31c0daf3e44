"""One simulated MRI study: acute perfusion and diffusion, and the outline of a later scan."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.ctp.baseline import find_onset
from nnunetv2_strokesynth.ctp.deconvolution import (
    PerfusionMaps,
    perfusion_maps,
)
from nnunetv2_strokesynth.ctp.scanner_maps import measured_curves
from nnunetv2_strokesynth.ctp.voxel_curves import (
    into_volume,
    time_to_peak_s,
)
from nnunetv2_strokesynth.phantom import hemodynamics, mri_signal
from nnunetv2_strokesynth.phantom.acquisition import draw_motion, move_slices, mr_image
from nnunetv2_strokesynth.phantom.anatomy import Head, SlabGrid, build_head
from nnunetv2_strokesynth.phantom.contrast import enhancement
from nnunetv2_strokesynth.phantom.diffusion import Oedema, draw_oedema, mobility_loss
from nnunetv2_strokesynth.phantom.dwi import dwi_and_lesion
from nnunetv2_strokesynth.phantom.patient import Patient
from nnunetv2_strokesynth.phantom.physics import MRIPhysics, Physics
from nnunetv2_strokesynth.phantom.random_field import draw_random_field
from nnunetv2_strokesynth.phantom.timetable import FRAME_S, Timetable
from nnunetv2_strokesynth.phantom.tissue import Brain, Tissue, list_brain, simulate_tissue


class MRICase(NamedTuple):
    """A simulated MRI study. Volumes (Z, Y, X), 0 outside the brain.

    Attributes:
        grid: its voxels.
        pwi: signal of the perfusion series, (T, Z, Y, X) float32, arbitrary units.
        adc: 1e-6 mm2/s, from two noisy images.
        maps: rCBF, rCBV, MTT, Tmax as computed from ``pwi``; the last two in s.
        ttp: time to peak of the concentration after the first frame, s.
        lesion: bool, the rater's outline on a later scan, in its slightly different position.
        truth: CBF, CBV, MTT, Tmax without noise, from the simulated tissue.
        adc_truth: of a voxel's grey and white matter without noise; 0 where there is none.
        severity: of the deficit, 0 to 1. infarct: bool, what is dead in the end.
        brain: bool, what is left after skull stripping.
        bolus: the injected curve.
    """

    grid: SlabGrid
    pwi: np.ndarray
    adc: np.ndarray
    maps: PerfusionMaps
    ttp: np.ndarray
    lesion: np.ndarray
    truth: PerfusionMaps
    adc_truth: np.ndarray
    severity: np.ndarray
    infarct: np.ndarray
    brain: np.ndarray
    bolus: hemodynamics.BolusCurves


def _perfusion_series(
    rng: np.random.Generator,
    head: Head,
    brain: Brain,
    curves_mmol_l: np.ndarray,
    *,
    grid: SlabGrid,
    physics: Physics,
) -> np.ndarray:
    """The noisy, moving series of the brain alone, (T, Z, Y, X) float32."""
    mri, parts = physics.mri, (head.gm, head.wm, head.csf)
    baseline = mri_signal.diffusion_signal(parts, (0.0, 0.0, 0.0), 0.0, mri)
    bias = np.exp(physics.dwi.bias_sd * draw_random_field(rng, 50.0)(brain.points_mm))
    n_frames = curves_mmol_l.shape[1]
    motion = mri.motion_share * draw_motion(rng, n_frames, physics.ct)
    series = np.empty((n_frames, *baseline.shape), np.float32)
    for k in range(n_frames):
        signal = mri_signal.dsc_signal(baseline[brain.where] * bias, curves_mmol_l[:, k], mri)
        frame = move_slices(brain.volume(signal), motion[k], grid.pixel_mm)
        frame = mr_image(rng, frame, sd=mri.pwi_noise_sd, pixel_mm=grid.pixel_mm)
        series[k] = np.where(brain.where, frame, 0)
    return series


def _perfusion_maps(
    series: np.ndarray, brain: np.ndarray, pixel_mm: float, physics: Physics
) -> tuple[PerfusionMaps, np.ndarray]:
    """rCBF, rCBV, MTT, Tmax and TTP of a signal series, as a scanner's software computes them."""
    software = physics.mri_maps
    # The whole brain's darkening shows the arrival of contrast; single voxels are too noisy.
    loss = -np.log(series[:, brain].mean(axis=1, dtype=np.float64))
    concentration = mri_signal.concentration_mmol_l(series, find_onset(loss), physics.mri)
    curves, aif = measured_curves(
        concentration,
        brain,
        pixel_mm=pixel_mm,
        frame_s=FRAME_S,
        smoothing_mm=software.smoothing_sigma_mm,
    )
    maps = perfusion_maps(
        curves,
        aif,
        FRAME_S,
        threshold=software.svd_threshold,
        reference_mtt_s=software.reference_mtt_s,
    )
    ttp = time_to_peak_s(curves, FRAME_S)
    return PerfusionMaps(*(into_volume(values, brain) for values in maps)), into_volume(ttp, brain)


def _tissue_adc(
    rng: np.random.Generator, brain: Brain, tissue: Tissue, oedema: Oedema, physics: Physics
) -> np.ndarray:
    """ADC of solid tissue relative to normal, (N,).

    It falls where tissue is dying at the time of the scan, and is raised in old infarcts and pale
    white matter. Where the infarct grows after the scan the ADC shows less than the later lesion.
    """
    points = brain.points_mm
    loss = mobility_loss(oedema, tissue.damage_at_ct, points, physics.diffusion)
    texture = np.exp(physics.mri.adc_texture_sd * draw_random_field(rng, 6.0)(points))
    return texture * (1 + 2.0 * tissue.shine) * (1 - loss)


def measured_adc(
    rng: np.random.Generator,
    head: Head,
    change: np.ndarray,
    *,
    pixel_mm: float,
    physics: MRIPhysics,
) -> np.ndarray:
    """ADC map (Z, Y, X) from an image without and one with diffusion weighting.

    Args:
        rng: of the noise.
        head: the tissues.
        change: (Z, Y, X), factor on the ADC of grey and white matter.
        pixel_mm: in-plane voxel size.
        physics: signals, ADCs and noise.
    """
    parts = (head.gm, head.wm, head.csf)
    adc = (physics.gm_adc * change, physics.wm_adc * change, physics.csf_adc)
    b_value = physics.b_value_s_per_mm2
    unweighted, weighted = (
        mr_image(rng, mri_signal.diffusion_signal(parts, adc, b, physics), sd=sd, pixel_mm=pixel_mm)
        for b, sd in ((0.0, physics.b0_noise_sd), (b_value, physics.weighted_noise_sd))
    )
    return mri_signal.adc_map(unweighted, weighted, b_value)


def _normal_adc(brain: Brain, physics: MRIPhysics) -> np.ndarray:
    """ADC (N,) of a voxel's grey and white matter without disease; 0 where it has neither."""
    solid = brain.gm + brain.wm
    total = physics.gm_adc * brain.gm + physics.wm_adc * brain.wm
    return np.divide(total, solid, out=np.zeros_like(solid), where=solid > 0)


def simulate_mri_case(
    patient: Patient,
    slab: int,
    rng: np.random.Generator,
    *,
    timetable: Timetable,
    physics: Physics,
) -> MRICase:
    """Simulate one study.

    Args:
        patient: from ``draw_patient``.
        slab: which of the patient's slabs.
        rng: the scan's own generator (bolus, motion, noise, rater).
        timetable: of the series, a frame each second.
        physics: that of the patient.
    """
    grid, stroke, mri = patient.slabs[slab], patient.stroke, physics.mri
    head = build_head(grid, patient.shape, physics.densities)
    brain = list_brain(head)
    bolus = hemodynamics.draw_bolus(rng, physics.bolus)
    tissue = simulate_tissue(rng, brain, stroke, scale=patient.scale, physics=physics)
    # Enhancement in HU is proportional to concentration; the dose of an MRI is its own.
    curves_mmol_l = enhancement(
        rng, brain, tissue, bolus=bolus, timetable=timetable, physics=physics
    )
    curves_mmol_l *= np.float32(mri.arterial_peak_mmol_l / bolus.peak_hu)
    pwi = _perfusion_series(rng, head, brain, curves_mmol_l, grid=grid, physics=physics)
    maps, ttp = _perfusion_maps(pwi, brain.where, grid.pixel_mm, physics)
    oedema = draw_oedema(rng, stroke.hours, physics.diffusion)
    relative_adc = _tissue_adc(rng, brain, tissue, oedema, physics)
    change = np.where(brain.where, brain.volume(relative_adc), 1.0)
    adc = measured_adc(rng, head, change, pixel_mm=grid.pixel_mm, physics=mri)
    # ISLES 2017's lesion is drawn on a follow-up scan: here the outline of the whole infarct on a
    # DWI that lies about 1 mm and 1 degree off the acute images.
    _, lesion = dwi_and_lesion(rng, head, brain, tissue, oedema=oedema, grid=grid, physics=physics)
    truth = tissue.perfusion(physics.bolus.dispersion_per_delay)
    return MRICase(
        grid=grid,
        pwi=pwi,
        adc=np.where(brain.where, adc, 0),
        maps=maps,
        ttp=ttp,
        lesion=lesion,
        truth=PerfusionMaps(*(brain.volume(values) for values in truth)),
        adc_truth=brain.volume(_normal_adc(brain, mri) * relative_adc),
        severity=brain.volume(tissue.deficit),
        infarct=brain.volume(tissue.damage) > 0,
        brain=brain.where,
        bolus=bolus,
    )
