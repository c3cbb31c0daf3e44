"""One simulated MRI study, from seed to images: acute perfusion and diffusion, later outline."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.ctp.curves import (
    find_onset,
    into_volume,
    measured_curves,
    time_to_peak_s,
)
from nnunetv2_strokesynth.ctp.deconvolution import (
    PerfusionMaps,
    perfusion_maps,
)
from nnunetv2_strokesynth.phantom import (
    acquisition,
    hemodynamics,
    mri_signal,
)
from nnunetv2_strokesynth.phantom.anatomy import (
    Head,
    SlabGrid,
    build_head,
)
from nnunetv2_strokesynth.phantom.case import (
    Patient,
    dwi_and_lesion,
)
from nnunetv2_strokesynth.phantom.contrast import enhancement
from nnunetv2_strokesynth.phantom.random_field import draw_random_field
from nnunetv2_strokesynth.phantom.tissue import (
    Brain,
    Tissue,
    list_brain,
    simulate_tissue,
)

SMOOTHING_SIGMA_MM = 2.0
_SVD_THRESHOLD = 0.06
_MOTION_LEFT = 0.4
"""Choice: of the motion of a CT series, since the release's frames have been registered."""
_PWI_NOISE, _B0_NOISE, _DWI_NOISE = 1.5, 2.0, 1.2
"""Of the signal of grey matter without contrast and diffusion weighting, which is 100."""


class MRICase(NamedTuple):
    """A simulated MRI study. Volumes (Z, Y, X), 0 outside the brain.

    Attributes:
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
    rng: np.random.Generator, head: Head, brain: Brain, curves_mm: np.ndarray, grid: SlabGrid
) -> np.ndarray:
    """The noisy, moving series, (T, Z, Y, X) float32, without what is no brain."""
    parts = (head.gm, head.wm, head.csf)
    baseline = mri_signal.diffusion_signal(parts, (0.0, 0.0, 0.0), 0.0)
    bias = np.exp(0.08 * draw_random_field(rng, 50.0)(brain.points_mm))
    n_frames = curves_mm.shape[1]
    motion = _MOTION_LEFT * acquisition.draw_motion(rng, n_frames)
    series = np.empty((n_frames, *baseline.shape), np.float32)
    for k in range(n_frames):
        frame = brain.volume(mri_signal.dsc_signal(baseline[brain.where] * bias, curves_mm[:, k]))
        frame = acquisition.move_slices(frame, motion[k], grid.pixel_mm)
        frame = acquisition.mr_image(frame, rng, sd=_PWI_NOISE, pixel_mm=grid.pixel_mm)
        series[k] = np.where(brain.where, frame, 0)
    return series


def _perfusion_maps(
    series: np.ndarray, brain: np.ndarray, pixel_mm: float
) -> tuple[PerfusionMaps, np.ndarray]:
    """rCBF, rCBV, MTT, Tmax and TTP of a signal series, as a scanner's software computes them."""
    # Contrast darkens the whole brain before it can be told voxel by voxel.
    loss = -np.log(series[:, brain].mean(axis=1, dtype=np.float64))
    concentration = mri_signal.concentration_mm(series, find_onset(loss))
    curves, aif = measured_curves(
        concentration, brain, pixel_mm=pixel_mm, smoothing_mm=SMOOTHING_SIGMA_MM
    )
    maps = perfusion_maps(curves, aif, hemodynamics.FRAME_S, _SVD_THRESHOLD)
    ttp = time_to_peak_s(curves, hemodynamics.FRAME_S)
    return PerfusionMaps(*(into_volume(values, brain) for values in maps)), into_volume(ttp, brain)


def _tissue_adc(rng: np.random.Generator, brain: Brain, tissue: Tissue) -> np.ndarray:
    """ADC of solid tissue relative to normal, (N,).

    It falls by up to 45 % where tissue is dying at the time of the scan, and is raised in old
    infarcts and pale white matter. Choice: the infarct's margin, up to a depth that differs from
    patient to patient, dies only after the scan, so that the ADC shows less than the later lesion.
    """
    growth = rng.uniform(0.0, 0.05)
    acute = 1 / (1 + np.exp(-np.clip((tissue.damage - growth) / 0.03, -30, 30)))
    fall = rng.uniform(0.30, 0.42) * np.exp(0.12 * draw_random_field(rng, 8.0)(brain.points_mm))
    texture = np.exp(0.04 * draw_random_field(rng, 6.0)(brain.points_mm))
    return texture * (1 + 2.0 * tissue.shine) * (1 - np.clip(fall, 0, 0.45) * acute)


def measured_adc(
    rng: np.random.Generator, head: Head, change: np.ndarray, pixel_mm: float
) -> np.ndarray:
    """ADC map (Z, Y, X) from an image without and one with diffusion weighting.

    Args:
        rng: of the noise.
        head: the tissues.
        change: (Z, Y, X), factor on the ADC of grey and white matter.
        pixel_mm: in-plane voxel size.
    """
    parts = (head.gm, head.wm, head.csf)
    adc = (mri_signal.GM_ADC * change, mri_signal.WM_ADC * change, mri_signal.CSF_ADC)
    images = []
    for b, sd in ((0.0, _B0_NOISE), (mri_signal.B_VALUE_S_PER_MM2, _DWI_NOISE)):
        signal = mri_signal.diffusion_signal(parts, adc, b)
        images.append(acquisition.mr_image(signal, rng, sd=sd, pixel_mm=pixel_mm))
    return mri_signal.adc_map(*images, mri_signal.B_VALUE_S_PER_MM2)


def _diffusion(
    rng: np.random.Generator, head: Head, brain: Brain, relative_adc: np.ndarray, pixel_mm: float
) -> np.ndarray:
    """ADC map (Z, Y, X) of the brain."""
    change = np.where(brain.where, brain.volume(relative_adc), 1.0)
    return np.where(brain.where, measured_adc(rng, head, change, pixel_mm), 0)


def simulate_mri_case(
    patient: Patient, slab: int, rng: np.random.Generator, *, n_frames: int
) -> MRICase:
    """Simulate one study.

    Args:
        patient: from ``case.draw_patient``.
        slab: which of the patient's slabs.
        rng: the scan's own generator (bolus, motion, noise, rater).
        n_frames: T, one frame a second.
    """
    grid, stroke = patient.slabs[slab], patient.stroke
    head = build_head(grid, patient.shape)
    brain = list_brain(head)
    bolus = hemodynamics.draw_bolus(rng)
    tissue = simulate_tissue(rng, brain, stroke, patient.scale)
    # Enhancement in HU is proportional to concentration; the dose of an MRI is its own.
    curves_mm = enhancement(rng, brain, tissue, bolus=bolus, n_frames=n_frames)
    curves_mm *= np.float32(mri_signal.ARTERIAL_PEAK_MM / bolus.peak_hu)
    pwi = _perfusion_series(rng, head, brain, curves_mm, grid)
    maps, ttp = _perfusion_maps(pwi, brain.where, grid.pixel_mm)
    relative_adc = _tissue_adc(rng, brain, tissue)
    adc = _diffusion(rng, head, brain, relative_adc, grid.pixel_mm)
    # ISLES 2017's lesion is drawn on a follow-up scan: here the outline of the whole infarct on a
    # DWI that lies about 1 mm and 1 degree off the acute images.
    _, lesion = dwi_and_lesion(rng, head, brain, tissue, grid)
    solid = brain.gm + brain.wm
    normal = mri_signal.GM_ADC * brain.gm + mri_signal.WM_ADC * brain.wm
    normal = np.divide(normal, solid, out=np.zeros_like(solid), where=solid > 0)
    return MRICase(
        grid=grid,
        pwi=pwi,
        adc=adc,
        maps=maps,
        ttp=ttp,
        lesion=lesion,
        truth=PerfusionMaps(*(brain.volume(values) for values in tissue.perfusion())),
        adc_truth=brain.volume(normal * relative_adc),
        severity=brain.volume(tissue.deficit),
        infarct=brain.volume(tissue.damage) > 0,
        brain=brain.where,
        bolus=bolus,
    )
