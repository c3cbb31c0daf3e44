"""One simulated scan, from seed to images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.ctp.curves import maps_from_series
from nnunetv2_strokesynth.ctp.deconvolution import PerfusionMaps
from nnunetv2_strokesynth.phantom import (
    acquisition,
    hemodynamics,
)
from nnunetv2_strokesynth.phantom.anatomy import (
    Head,
    HeadShape,
    SlabGrid,
    build_head,
    draw_head_shape,
)
from nnunetv2_strokesynth.phantom.contrast import enhancement
from nnunetv2_strokesynth.phantom.random_field import draw_random_field
from nnunetv2_strokesynth.phantom.stroke import (
    Stroke,
    draw_stroke,
    draw_volume_ml,
    fit_scale,
)
from nnunetv2_strokesynth.phantom.tissue import (
    Brain,
    Tissue,
    list_brain,
    simulate_tissue,
)

_COARSE_SIZE = 72
_INFARCT_PER_LESION = 0.95
"""Infarct over lesion volume: raters round outlines; small slabs are topped up (fit_scale)."""


class Patient(NamedTuple):
    """What the slabs of one patient share."""

    shape: HeadShape
    stroke: Stroke
    scale: float
    slabs: tuple[SlabGrid, ...]


class Case(NamedTuple):
    """A simulated scan. Volumes (Z, Y, X) unless said otherwise.

    Attributes:
        ct, ctp: HU; ctp is (T, Z, Y, X) float32.
        maps: CBF, CBV, MTT, Tmax as computed from ``ctp``; mL/100 g/min, mL/100 g, s, s.
        dwi: arbitrary units. lesion: bool, the rater's outline on the DWI.
        truth: the same four quantities without noise, from the simulated tissue.
        severity: of the deficit, 0 to 1. infarct: bool, in the CT's geometry.
        brain: bool. bolus: the injected curve.
    """

    grid: SlabGrid
    ct: np.ndarray
    ctp: np.ndarray
    maps: PerfusionMaps
    dwi: np.ndarray
    lesion: np.ndarray
    truth: PerfusionMaps
    severity: np.ndarray
    infarct: np.ndarray
    brain: np.ndarray
    bolus: hemodynamics.BolusCurves


def draw_patient(rng: np.random.Generator, slabs: tuple[SlabGrid, ...]) -> Patient:
    """Anatomy and stroke of a patient, the stroke scaled to a drawn lesion volume per scan."""
    shape = draw_head_shape(rng)
    points, centres, voxel_ml = [], [], 0.0
    for index, slab in enumerate(slabs):
        pixel_mm = slab.pixel_mm * slab.size / _COARSE_SIZE
        coarse = slab._replace(size=_COARSE_SIZE, pixel_mm=pixel_mm)
        head = build_head(coarse, shape, supersample=(1, 1))
        solid = head.gm + head.wm > 0.5
        points.append(head.positions_mm[:, solid])
        # Two slabs were acquired to cover one lesion: it sits where they meet.
        near = solid.copy()
        if len(slabs) > 1:
            near[slice(None, -1) if index == 0 else slice(1, None)] = False
        centres.append(head.positions_mm[:, near])
        voxel_ml = pixel_mm**2 * slab.slice_mm / 1000
    tissue_mm = np.concatenate(points, axis=1)
    stroke = draw_stroke(rng, tissue_mm, np.concatenate(centres, axis=1))
    target_ml = _INFARCT_PER_LESION * draw_volume_ml(rng)
    return Patient(shape, stroke, fit_scale(stroke, points, voxel_ml, target_ml), slabs)


def _series(
    rng: np.random.Generator, head_hu: np.ndarray, brain: Brain, curves: np.ndarray, grid: SlabGrid
) -> np.ndarray:
    """The noisy, moving CTP series in whole HU, (T, Z, Y, X) float32."""
    n_frames = curves.shape[1]
    motion = acquisition.draw_motion(rng, n_frames)
    series = np.empty((n_frames, *head_hu.shape), np.float32)
    voxel_mm = (grid.slice_mm, grid.pixel_mm)
    for k in range(n_frames):
        frame = head_hu.copy()
        frame[brain.where] += curves[:, k]
        frame = acquisition.move_slices(frame, motion[k], grid.pixel_mm)
        frame += acquisition.noise_image(
            rng, frame.shape, density_hu_mm=acquisition.CTP_NOISE_HU_MM, voxel_mm=voxel_mm
        )
        series[k] = np.rint(np.maximum(frame, -1024))
    return series


def _native_ct(rng: np.random.Generator, hu: np.ndarray, grid: SlabGrid) -> np.ndarray:
    """The CT without contrast, (Z, Y, X) int32 HU: its own position and noise."""
    moved = acquisition.move_slices(hu, rng.normal(0, [0.3, 0.3, 0.2]), grid.pixel_mm)
    noise = acquisition.noise_image(
        rng,
        hu.shape,
        density_hu_mm=acquisition.NCCT_NOISE_HU_MM,
        voxel_mm=(grid.slice_mm, grid.pixel_mm),
    )
    return np.rint(np.maximum(moved + noise, -1024)).astype(np.int32)


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


def dwi_and_lesion(
    rng: np.random.Generator,
    head: Head,
    brain: Brain,
    tissue: Tissue,
    grid: SlabGrid,
) -> tuple[np.ndarray, np.ndarray]:
    """The DWI and the rater's lesion on it, both in the MRI's slightly different position."""
    points = brain.points_mm
    infarct = brain.volume(1 / (1 + np.exp(-np.clip(tissue.damage / 0.03, -30, 30))))
    gain = rng.uniform(0.55, 1.1) * np.exp(0.18 * draw_random_field(rng, 8.0)(points))
    shown = tissue.shine + 0.10 * np.clip(draw_random_field(rng, 7.0)(points) - 1.0, 0, 2)
    bias = np.exp(0.08 * draw_random_field(rng, 50.0)(points))
    fields = {
        "gm": head.gm,
        "wm": head.wm,
        "csf": head.csf,
        "scalp": (head.hu > -300) & ~brain.where,
        "infarct": infarct,
        "infarct_gain": brain.volume(gain),
        "shine": brain.volume(shown),
        "bias": np.where(brain.where, brain.volume(bias), 1.0),
    }
    offset = rng.normal(0, [1.0, 1.0, 1.0])
    moved = {
        name: acquisition.move_slices(values.astype(np.float32), offset, grid.pixel_mm)
        for name, values in fields.items()
    }
    dwi = acquisition.dwi_signal(moved, rng, grid.pixel_mm)
    wobble = 0.6 * draw_random_field(rng, 7.0)(points) + rng.normal(0, 0.3)
    solid = moved["gm"] + moved["wm"] > 0.25
    outline = acquisition.draw_by_rater(
        moved["infarct"], brain.volume(wobble), grid.pixel_mm, solid
    )
    return dwi, outline


def simulate_case(patient: Patient, slab: int, rng: np.random.Generator, *, n_frames: int) -> Case:
    """Simulate one scan.

    Args:
        patient: from ``draw_patient``.
        slab: which of the patient's slabs.
        rng: the scan's own generator (bolus, motion, noise, rater).
        n_frames: T, one frame a second.
    """
    grid, stroke = patient.slabs[slab], patient.stroke
    head = build_head(grid, patient.shape)
    brain = list_brain(head)
    bolus = hemodynamics.draw_bolus(rng)
    tissue = simulate_tissue(rng, brain, stroke, patient.scale)
    hu = head.hu + brain.volume(tissue.hu_change)
    curves = enhancement(rng, brain, tissue, bolus=bolus, n_frames=n_frames)
    series = _series(rng, hu, brain, curves, grid)
    mask = _software_brain_mask(series, brain, grid.pixel_mm)
    ct = _native_ct(rng, hu, grid)
    maps = maps_from_series(series, mask, pixel_mm=grid.pixel_mm, frame_s=hemodynamics.FRAME_S)
    dwi, lesion = dwi_and_lesion(rng, head, brain, tissue, grid)
    return Case(
        grid=grid,
        ct=ct,
        ctp=series,
        maps=maps,
        dwi=dwi,
        lesion=lesion,
        truth=PerfusionMaps(*(brain.volume(values) for values in tissue.perfusion())),
        severity=brain.volume(tissue.deficit),
        infarct=brain.volume(tissue.damage) > 0,
        brain=brain.where,
        bolus=bolus,
    )
