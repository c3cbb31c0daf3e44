"""A patient: the head and the stroke that all slabs of the patient share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.phantom.anatomy import (
    HeadShape,
    SlabGrid,
    build_head,
    draw_head_shape,
)
from nnunetv2_strokesynth.phantom.physics import Physics, StrokePhysics, StudyPhysics
from nnunetv2_strokesynth.phantom.random_field import draw_random_field
from nnunetv2_strokesynth.phantom.stroke import Blob, Stroke, territory_mask

_COARSE_SIZE = 72


class Patient(NamedTuple):
    """What the slabs of one patient share; ``scale`` is that of the stroke's territory."""

    shape: HeadShape
    stroke: Stroke
    scale: float
    slabs: tuple[SlabGrid, ...]


def draw_patient(
    rng: np.random.Generator, slabs: tuple[SlabGrid, ...], physics: Physics
) -> Patient:
    """Draw a patient's head and stroke; the stroke is scaled to a lesion volume per scan."""
    shape = draw_head_shape(rng)
    points, centres, voxel_ml = [], [], 0.0
    for index, slab in enumerate(slabs):
        pixel_mm = slab.pixel_mm * slab.size / _COARSE_SIZE
        coarse = slab._replace(size=_COARSE_SIZE, pixel_mm=pixel_mm)
        head = build_head(coarse, shape, physics.densities, supersample=(1, 1))
        solid = head.gm + head.wm > 0.5
        points.append(head.positions_mm[:, solid])
        # Two slabs were acquired to cover one lesion, so the lesion lies where they meet.
        near = solid.copy()
        if len(slabs) > 1:
            near[slice(None, -1) if index == 0 else slice(1, None)] = False
        centres.append(head.positions_mm[:, near])
        voxel_ml = pixel_mm**2 * slab.slice_mm / 1000
    tissue_mm, centres_mm = np.concatenate(points, axis=1), np.concatenate(centres, axis=1)
    stroke = draw_stroke(rng, tissue_mm, centres_mm, physics)
    target_ml = physics.stroke.infarct_per_lesion * draw_volume_ml(rng, physics.study)
    least_ml = physics.stroke.least_ml
    scale = fit_scale(stroke, points, voxel_ml, target_ml=target_ml, least_ml=least_ml)
    return Patient(shape, stroke, scale, slabs)


def draw_volume_ml(rng: np.random.Generator, physics: StudyPhysics) -> float:
    """Lesion volume within a scan: one of the groups, log-uniform inside the group."""
    shares = np.array([share for share, _ in physics.volume_groups_ml])
    group = rng.choice(len(shares), p=shares / shares.sum())
    return _log_uniform(rng, physics.volume_groups_ml[group][1])


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    low, high = limits
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _draw_blob(rng: np.random.Generator, points_mm: np.ndarray, radius_mm: float) -> Blob:
    centre = points_mm[:, rng.integers(points_mm.shape[1])].astype(float)
    radii = radius_mm * np.exp(rng.normal(0, 0.2, 3))
    field = draw_random_field(rng, max(5.0, 0.6 * radius_mm))
    return Blob(centre, radii, softness=0.18, field=field, roughness=0.2)


def _draw_count(rng: np.random.Generator, probability: float, highest: int) -> int:
    return int(rng.integers(1, highest + 1)) if rng.random() < probability else 0


def _draw_territory(
    rng: np.random.Generator, centres_mm: np.ndarray, side: float, physics: StrokePhysics
) -> tuple[str, np.ndarray]:
    """A territory that has imaged tissue, and the positions (3, M) in it."""
    shares = np.array([physics.mca_share, physics.aca_share, physics.pca_share])
    territory, inside = "MCA", np.zeros(0, int)
    for _ in range(20):
        territory = str(rng.choice(["MCA", "ACA", "PCA"], p=shares / shares.sum()))
        inside = np.flatnonzero(territory_mask(centres_mm, territory, side) > 0.6)
        if inside.size > 20:
            break
    return territory, centres_mm[:, inside] if inside.size else centres_mm


def _draw_deficit(
    rng: np.random.Generator, candidates_mm: np.ndarray, physics: StrokePhysics
) -> Blob:
    centre = candidates_mm[:, rng.integers(candidates_mm.shape[1])].astype(float)
    radii = 24.0 * np.exp(rng.normal(0, 0.22, 3)) * np.array([1.0, 1.25, 1.0])
    softness = rng.uniform(*physics.softness_range)
    return Blob(centre, radii, softness, draw_random_field(rng, 13.0), rng.uniform(0.15, 0.3))


def draw_stroke(
    rng: np.random.Generator,
    tissue_mm: np.ndarray,
    centres_mm: np.ndarray,
    physics: Physics,
) -> Stroke:
    """Draw a patient's stroke.

    Args:
        rng: the patient's generator.
        tissue_mm: (3, N) positions of imaged brain tissue.
        centres_mm: (3, M) positions among which the centre of the deficit is drawn.
        physics: the distributions of all that is drawn.
    """
    return _draw_at_onset(rng, tissue_mm, centres_mm, physics.stroke)._replace(
        **_draw_course(rng, physics.study)
    )


def _draw_course(rng: np.random.Generator, physics: StudyPhysics) -> dict[str, float | bool]:
    """What happens until the MRI: the fields of ``Stroke`` that depend on the study."""
    hours = _log_uniform(rng, physics.hours_range)
    spared = bool(rng.random() < physics.spared_share)
    change, growth = rng.random(), 0.0
    if change < physics.growth_share:
        growth = rng.uniform(*physics.growth_range)
    elif change < physics.growth_share + physics.shrinkage_share:
        growth = -rng.uniform(*physics.shrinkage_range)
    return {"hours": hours, "spared": spared, "growth": growth}


def _draw_at_onset(
    rng: np.random.Generator,
    tissue_mm: np.ndarray,
    centres_mm: np.ndarray,
    physics: StrokePhysics,
) -> Stroke:
    """The stroke as it would be with an MRI at once."""
    side = float(rng.choice([-1.0, 1.0]))
    territory, candidates_mm = _draw_territory(rng, centres_mm, side, physics)
    deficit = _draw_deficit(rng, candidates_mm, physics)
    depth = rng.uniform(*physics.depth_range)
    benign = []
    for _ in range(_draw_count(rng, physics.benign_probability, 1)):
        blob = _draw_blob(rng, tissue_mm, rng.uniform(*physics.benign_radius_range_mm))
        benign.append((blob, rng.uniform(*physics.benign_severity_range)))
    emboli = [
        _draw_blob(rng, tissue_mm, _log_uniform(rng, physics.emboli_radius_range_mm))
        for _ in range(_draw_count(rng, physics.emboli_probability, 2))
    ]
    old = [
        _draw_blob(rng, tissue_mm, rng.uniform(*physics.old_radius_range_mm))
        for _ in range(_draw_count(rng, physics.old_probability, 2))
    ]
    stenosis = rng.random() < physics.stenosis_probability
    return Stroke(
        territory=territory,
        side=side,
        deficit=deficit,
        depth=depth,
        tolerance=depth * rng.uniform(*physics.tolerance_range),
        tolerance_field=draw_random_field(rng, 9.0),
        tolerance_sd=rng.uniform(*physics.tolerance_sd_range),
        reperfused=draw_random_field(rng, 16.0),
        reperfusion=_draw_reperfusion(rng, physics),
        benign=tuple(benign),
        emboli=tuple(emboli),
        stenosis_side=float(rng.choice([-1.0, 1.0])),
        stenosis_delay_s=rng.uniform(*physics.stenosis_delay_range_s) if stenosis else 0.0,
        collateral_delay_s=rng.uniform(*physics.collateral_delay_range_s),
        old=tuple(old),
        leukoaraiosis=float(rng.beta(*physics.leukoaraiosis_beta)),
        hypoattenuation_hu=rng.uniform(*physics.hypoattenuation_range_hu),
        hours=0.0,
        growth=0.0,
        spared=False,
    )


def _draw_reperfusion(rng: np.random.Generator, physics: StrokePhysics) -> float:
    happens = rng.random() < physics.reperfusion_probability
    return rng.uniform(*physics.reperfusion_range) if happens else 0.0


def fit_scale(
    stroke: Stroke,
    slabs_mm: list[np.ndarray],
    voxel_ml: float,
    *,
    target_ml: float,
    least_ml: float,
) -> float:
    """Scale of the occluded territory at which the infarct has the wanted volume per scan.

    Args:
        stroke: whose territory is scaled.
        slabs_mm: for each slab (3, N) positions of imaged tissue; each stands for ``voxel_ml``.
        voxel_ml: volume of a position's voxel.
        target_ml: mean volume over the slabs.
        least_ml: no slab gets less than this or a quarter of ``target_ml``, whichever is more.

    Returns:
        The scale, found by bisection; the largest one tried where the slabs cannot hold the volume.
    """
    damage = [stroke.damage_at(points) for points in slabs_mm]
    least_ml = min(target_ml, max(target_ml / 4, least_ml))
    low, high = 0.1, 4.0
    for _ in range(14):
        middle = np.sqrt(low * high)
        volumes = [np.count_nonzero(of_scale(middle) > 0) * voxel_ml for of_scale in damage]
        enough = np.mean(volumes) >= target_ml and min(volumes) >= least_ml
        low, high = (low, middle) if enough else (middle, high)
    return float(np.sqrt(low * high))
