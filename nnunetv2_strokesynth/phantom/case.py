"""One simulated CT perfusion scan, from seed to images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.ctp.deconvolution import PerfusionMaps
from nnunetv2_strokesynth.ctp.scanner_maps import maps_from_series
from nnunetv2_strokesynth.phantom import hemodynamics
from nnunetv2_strokesynth.phantom.acquisition import draw_motion, move_slices, noise_image
from nnunetv2_strokesynth.phantom.anatomy import SlabGrid, build_head
from nnunetv2_strokesynth.phantom.contrast import enhancement
from nnunetv2_strokesynth.phantom.diffusion import draw_oedema, mobility_loss
from nnunetv2_strokesynth.phantom.dwi import dwi_and_lesion
from nnunetv2_strokesynth.phantom.patient import Patient
from nnunetv2_strokesynth.phantom.physics import CTPhysics, Physics
from nnunetv2_strokesynth.phantom.timetable import Timetable
from nnunetv2_strokesynth.phantom.tissue import Brain, list_brain, simulate_tissue
from nnunetv2_strokesynth.phantom.vendors import REFERENCE, Detector, Vendor

_LEAST_HU = -1024.0


class Case(NamedTuple):
    """A simulated scan. Volumes (Z, Y, X) unless said otherwise.

    Attributes:
        grid: its voxels.
        ct, ctp: HU; ctp is (T, Z, Y, X) float32.
        maps: CBF, CBV, MTT, Tmax as computed from ``ctp``; mL/100 g/min, mL/100 g, s, s.
        dwi: arbitrary units. lesion: bool, the rater's outline on the DWI.
        computed: bool, where the software computed maps.
        truth: the same four quantities without noise, from the simulated tissue.
        delay_s: arrival delay of the blood, s, a part of the true Tmax.
        severity: of the deficit, 0 to 1. infarct: bool, at the MRI, in the CT's geometry.
        adc_loss: share of the ADC that is lost at the MRI, in the CT's geometry.
        brain: bool. solid: share of grey and white matter. bolus: the injected curve.
    """

    grid: SlabGrid
    ct: np.ndarray
    ctp: np.ndarray
    maps: PerfusionMaps
    computed: np.ndarray
    dwi: np.ndarray
    lesion: np.ndarray
    truth: PerfusionMaps
    delay_s: np.ndarray
    severity: np.ndarray
    infarct: np.ndarray
    adc_loss: np.ndarray
    brain: np.ndarray
    solid: np.ndarray
    bolus: hemodynamics.BolusCurves


def _series(
    rng: np.random.Generator,
    hu: np.ndarray,
    brain: Brain,
    curves: np.ndarray,
    *,
    grid: SlabGrid,
    physics: CTPhysics,
    detector: Detector,
) -> np.ndarray:
    """The noisy, moving CTP series in whole HU, (T, Z, Y, X) float32."""
    n_frames = curves.shape[1]
    motion = draw_motion(rng, n_frames, physics)
    series = np.empty((n_frames, *hu.shape), np.float32)
    for k in range(n_frames):
        frame = hu.copy()
        frame[brain.where] += curves[:, k]
        frame = move_slices(frame, motion[k], grid.pixel_mm)
        frame += _noise(rng, grid, physics.ctp_noise_hu_mm, physics, detector)
        series[k] = np.rint(np.maximum(frame, _LEAST_HU))
    return series


def _native_ct(
    rng: np.random.Generator,
    hu: np.ndarray,
    *,
    grid: SlabGrid,
    physics: CTPhysics,
    detector: Detector,
) -> np.ndarray:
    """The CT without contrast, (Z, Y, X) int32 HU, with its own position and noise."""
    moved = move_slices(hu, rng.normal(0, physics.ncct_offset_sd), grid.pixel_mm)
    noise = _noise(rng, grid, physics.ncct_noise_hu_mm, physics, detector)
    return np.rint(np.maximum(moved + noise, _LEAST_HU)).astype(np.int32)


def _noise(
    rng: np.random.Generator,
    grid: SlabGrid,
    density_hu_mm: float,
    physics: CTPhysics,
    detector: Detector,
) -> np.ndarray:
    return noise_image(
        rng,
        (grid.n_slices, grid.size, grid.size),
        density_hu_mm=density_hu_mm,
        kernel_sigma_mm=physics.kernel_sigma_mm,
        voxel_mm=(grid.slice_mm, grid.pixel_mm),
        slow_loss=detector.slow_noise_loss,
        slice_weight=detector.slice_weight,
    )


def _software_brain_mask(series: np.ndarray, brain: Brain, pixel_mm: float) -> np.ndarray:
    """Where perfusion software shows maps: the brain without skull, rim and ventricles."""
    mean = series[:: max(1, len(series) // 16)].mean(axis=0)
    sigma = 1.5 / pixel_mm
    smooth = ndimage.gaussian_filter(mean, (0, sigma, sigma))
    inside = brain.where & (smooth > 14) & (smooth < 90)
    disc = np.ones((1, 3, 3), bool)
    opened = ndimage.binary_opening(inside, disc)
    labels, count = ndimage.label(opened, structure=np.ones((3, 3, 3)))
    if count == 0:
        return inside
    sizes = np.bincount(labels.ravel())[1:]
    return np.isin(labels, 1 + np.flatnonzero(sizes > 0.05 * sizes.max()))


def simulate_case(
    patient: Patient,
    slab: int,
    rng: np.random.Generator,
    *,
    timetable: Timetable,
    physics: Physics,
    vendor: Vendor = REFERENCE,
) -> Case:
    """Simulate one scan.

    Args:
        patient: from ``draw_patient``.
        slab: which of the patient's slabs.
        rng: the scan's own generator (bolus, motion, noise, rater).
        timetable: of the series.
        physics: that of the patient, and of the reference scanner.
        vendor: of the scanner and its software.
    """
    grid, stroke = patient.slabs[slab], patient.stroke
    head = build_head(grid, patient.shape, physics.densities)
    brain = list_brain(head)
    bolus = hemodynamics.draw_bolus(rng, physics.bolus)
    tissue = simulate_tissue(rng, brain, stroke, scale=patient.scale, physics=physics)
    hu = head.hu + brain.volume(tissue.hu_change)
    curves = enhancement(rng, brain, tissue, bolus=bolus, timetable=timetable, physics=physics)
    curves *= np.float32(vendor.detector.contrast)
    # Its own generator, so that DWI and lesion do not depend on how many numbers a scanner draws.
    scanner_rng = np.random.default_rng(rng.integers(2**32, size=4))
    scanner = {"grid": grid, "physics": vendor.ct(physics.ct), "detector": vendor.detector}
    series = _series(scanner_rng, hu, brain, curves, **scanner)
    mask = _software_brain_mask(series, brain, grid.pixel_mm)
    ct = _native_ct(scanner_rng, hu, **scanner)
    maps = maps_from_series(
        series,
        mask,
        pixel_mm=grid.pixel_mm,
        times_s=timetable.times_s,
        slice_offset_s=timetable.slice_offset_s,
        settings=vendor.map_settings(physics.ct_maps),
    )
    oedema = draw_oedema(rng, stroke.hours, physics.diffusion)
    dwi, lesion = dwi_and_lesion(
        rng, head, brain, tissue, oedema=oedema, grid=grid, physics=physics
    )
    loss = mobility_loss(oedema, tissue.damage, brain.points_mm, physics.diffusion)
    truth = tissue.perfusion(physics.bolus.dispersion_per_delay)
    return Case(
        grid=grid,
        ct=ct,
        ctp=series,
        maps=maps,
        computed=mask,
        dwi=dwi,
        lesion=lesion,
        truth=PerfusionMaps(*(brain.volume(values) for values in truth)),
        delay_s=brain.volume(tissue.state.delay_s),
        severity=brain.volume(tissue.deficit),
        infarct=brain.volume(tissue.damage) > 0,
        adc_loss=brain.volume(loss),
        brain=brain.where,
        solid=head.gm + head.wm,
        bolus=bolus,
    )
