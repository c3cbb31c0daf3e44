"""One simulated scan, from seed to images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.phantom import acquisition, hemodynamics
from nnunetv2_strokesynth.phantom.anatomy import (
    Head,
    HeadShape,
    SlabGrid,
    build_head,
    draw_head_shape,
)
from nnunetv2_strokesynth.phantom.deconvolution import PerfusionMaps
from nnunetv2_strokesynth.phantom.maps import maps_from_series
from nnunetv2_strokesynth.phantom.random_field import draw_random_field
from nnunetv2_strokesynth.phantom.stroke import (
    Stroke,
    TissueState,
    apply_deficit,
    draw_stroke,
    draw_volume_ml,
    fit_scale,
)

GM_CBF, WM_CBF = 60.0, 25.0
GM_CBV, WM_CBV = 4.0, 2.0
_COARSE_SIZE = 72
_RATER_LOSS = 1.15
"""The infarct is drawn so much larger than the lesion wanted: raters leave out sulci and specks."""


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


class _Brain(NamedTuple):
    """The brain's voxels as a list: ``where`` (Z, Y, X) bool and (N,) vectors."""

    where: np.ndarray
    points_mm: np.ndarray
    gm: np.ndarray
    wm: np.ndarray
    csf: np.ndarray

    def volume(self, values: np.ndarray) -> np.ndarray:
        result = np.zeros(self.where.shape, np.float32)
        result[self.where] = values
        return result


def _list_brain(head: Head) -> _Brain:
    where = head.gm + head.wm + head.csf > 0.3
    return _Brain(
        where, head.positions_mm[:, where], head.gm[where], head.wm[where], head.csf[where]
    )


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
    target_ml = _RATER_LOSS * draw_volume_ml(rng)
    return Patient(shape, stroke, fit_scale(stroke, points, voxel_ml, target_ml), slabs)


def _normal_tissue(rng: np.random.Generator, brain: _Brain, stroke: Stroke) -> TissueState:
    flow = rng.normal(1.0, 0.12) * np.exp(0.12 * draw_random_field(rng, 22.0)(brain.points_mm))
    texture = np.exp(0.10 * draw_random_field(rng, 6.0)(brain.points_mm))
    cbf = (GM_CBF * brain.gm + WM_CBF * brain.wm) * flow * texture
    cbv = (GM_CBV * brain.gm + WM_CBV * brain.wm) * np.sqrt(flow) * texture
    delay_s = 0.8 + 0.8 * brain.wm + 0.5 * draw_random_field(rng, 25.0)(brain.points_mm)
    side = 1 / (1 + np.exp(-stroke.stenosis_side * brain.points_mm[0] / 3))
    delay_s = delay_s + stroke.stenosis_delay_s * side
    return TissueState(cbf, cbv, np.maximum(delay_s, 0.0))


def _periventricular(points_mm: np.ndarray) -> np.ndarray:
    """1 beside the lateral ventricles' horns, falling to 0 within about 15 mm."""
    x, y, z = points_mm
    front = ((np.abs(x) - 18) / 8) ** 2 + ((y - 30) / 9) ** 2 + ((z - 16) / 14) ** 2
    back = ((np.abs(x) - 26) / 8) ** 2 + ((y + 48) / 11) ** 2 + ((z - 18) / 14) ** 2
    return np.exp(-0.5 * front) + np.exp(-0.5 * back)


def _pial_vessels(rng: np.random.Generator, brain: _Brain) -> tuple[np.ndarray, np.ndarray]:
    """Volume fractions of small arteries and veins in the sulci."""
    x, y, z = brain.points_mm
    ventricles = np.exp(-0.5 * ((x / 22) ** 4 + ((y + 8) / 40) ** 4 + ((z - 12) / 18) ** 4))
    sulci = brain.csf * (1 - np.clip(3 * ventricles, 0, 1))
    amount = 0.30 * np.clip(draw_random_field(rng, 2.2)(brain.points_mm) - 0.2, 0, 1.2) * sulci
    arterial = draw_random_field(rng, 5.0)(brain.points_mm) > 0.2
    return amount * arterial, amount * ~arterial


def _old_lesions(stroke: Stroke, points_mm: np.ndarray) -> np.ndarray:
    parts = [blob(points_mm) for blob in stroke.old]
    return np.max(parts, axis=0) if parts else np.zeros(points_mm.shape[1], np.float32)


def _enhancement(
    rng: np.random.Generator,
    brain: _Brain,
    vessels: tuple[np.ndarray, np.ndarray],
    state: TissueState,
    severity: np.ndarray,
    bolus: hemodynamics.BolusCurves,
    n_frames: int,
) -> np.ndarray:
    """Contrast enhancement of the brain's voxels, (N, T) float32 HU."""
    table = hemodynamics.unit_flow_curves(bolus, n_frames)
    curves = hemodynamics.tissue_curves(state.cbf, state.cbv, state.delay_s, table)
    fine_s = np.arange(-30.0, n_frames, 0.1)
    time_s = np.arange(n_frames) * hemodynamics.FRAME_S
    pial = _pial_vessels(rng, brain)
    # Beyond the clot arteries fill late through collaterals, and less; veins drain what arrived.
    late = np.maximum(state.delay_s - 1.0, 0.0)
    for fraction, small, curve, share in (
        (vessels[0], pial[0], bolus.arterial(fine_s), 0.6),
        (vessels[1], pial[1], bolus.venous(fine_s), 0.5),
    ):
        amount = np.minimum(fraction + small, 1.0) * (1 - share * severity)
        some = np.flatnonzero(amount > 0.01)
        shifted = np.interp(time_s[None] - late[some, None] * 0.8, fine_s, curve)
        curves[some] = curves[some] * (1 - amount[some, None]) + amount[some, None] * shifted
    return curves


def _series(
    rng: np.random.Generator, head_hu: np.ndarray, brain: _Brain, curves: np.ndarray, grid: SlabGrid
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


def _software_brain_mask(series: np.ndarray, brain: _Brain, pixel_mm: float) -> np.ndarray:
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


def _dwi_and_lesion(
    rng: np.random.Generator,
    head: Head,
    brain: _Brain,
    damage: np.ndarray,
    shine: np.ndarray,
    grid: SlabGrid,
) -> tuple[np.ndarray, np.ndarray]:
    """The DWI and the rater's lesion on it, both in the MRI's slightly different position."""
    points = brain.points_mm
    infarct = brain.volume(1 / (1 + np.exp(-np.clip(damage / 0.03, -30, 30))))
    gain = rng.uniform(0.45, 1.0) * np.exp(0.25 * draw_random_field(rng, 8.0)(points))
    shown = shine + 0.10 * np.clip(draw_random_field(rng, 7.0)(points) - 1.0, 0, 2)
    bias = np.exp(0.08 * draw_random_field(rng, 50.0)(points))
    tissue = {
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
        for name, values in tissue.items()
    }
    dwi = acquisition.dwi_signal(moved, rng, grid.pixel_mm)
    wobble = 0.7 * draw_random_field(rng, 7.0)(points) + rng.normal(0, 0.4)
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
    brain = _list_brain(head)
    points = brain.points_mm
    bolus = hemodynamics.draw_bolus(rng)
    severity = stroke.severity(points, patient.scale)
    damage = stroke.damage(points, patient.scale)
    deficit = np.clip(np.maximum(severity, stroke.benign_severity(points)), 0, 1)
    old = _old_lesions(stroke, points)
    pale = stroke.leukoaraiosis * _periventricular(points) * brain.wm
    normal = _normal_tissue(rng, brain, stroke)
    lost = (1 - 0.85 * old) * (1 - 0.4 * np.clip(pale, 0, 1))
    normal = TissueState(normal.cbf * lost, normal.cbv * lost, normal.delay_s)
    state = apply_deficit(normal, deficit)
    edema = 1 / (1 + np.exp(-np.clip((damage - 0.08) / 0.06, -30, 30)))
    change = -stroke.hypoattenuation_hu * edema * (brain.gm + 0.6 * brain.wm)
    change = change - 20 * old * (brain.gm + brain.wm) - 6 * pale
    hu = head.hu + brain.volume(change)
    curves = _enhancement(
        rng,
        brain,
        (head.artery[brain.where], head.vein[brain.where]),
        state,
        deficit,
        bolus,
        n_frames,
    )
    series = _series(rng, hu, brain, curves, grid)
    mask = _software_brain_mask(series, brain, grid.pixel_mm)
    ct_motion = rng.normal(0, [0.3, 0.3, 0.2])
    ct = acquisition.move_slices(hu, ct_motion, grid.pixel_mm) + acquisition.noise_image(
        rng,
        hu.shape,
        density_hu_mm=acquisition.NCCT_NOISE_HU_MM,
        voxel_mm=(grid.slice_mm, grid.pixel_mm),
    )
    maps = maps_from_series(series, mask, pixel_mm=grid.pixel_mm, frame_s=hemodynamics.FRAME_S)
    shine = 0.25 * pale + 0.2 * old
    dwi, lesion = _dwi_and_lesion(rng, head, brain, damage, shine, grid)
    true = (state.cbf, state.cbv, 60 * state.cbv / np.maximum(state.cbf, 1e-6))
    tmax_s = hemodynamics.true_tmax_s(state.cbf, state.cbv, state.delay_s)
    return Case(
        grid,
        np.rint(np.maximum(ct, -1024)).astype(np.int32),
        series,
        maps,
        dwi,
        lesion,
        PerfusionMaps(*(brain.volume(values) for values in (*true, tmax_s))),
        brain.volume(deficit),
        brain.volume(damage) > 0,
        brain.where,
        bolus,
    )
