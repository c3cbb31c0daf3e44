"""One patient's stroke: what blood flow lost, and what of it became an infarct.

A severity field s in [0, 1] falls from the occluded territory's centre to its border. Perfusion
follows s. The infarct follows u = s + hidden terms, above the patient's own tolerance. The hidden
terms (unequal tolerance of tissue, reperfusion between CT and MRI, emboli that left no deficit,
deficits that never infarcted) are what no perfusion map can know; they make the phantom as hard as
patients are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.phantom.random_field import (
    RandomField,
    draw_random_field,
)

# Wang et al. 2020 report their test lesions in these groups (mL).
VOLUME_GROUPS = ((0.39, (1.2, 10.0)), (0.43, (10.0, 50.0)), (0.18, (50.0, 160.0)))
TERRITORIES = (("MCA", 0.78), ("ACA", 0.08), ("PCA", 0.14))
_DELAY_SATURATION = 0.4
_LEAST_ML = 0.9


OfScale = Callable[[float], np.ndarray]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -30, 30)))


class Blob(NamedTuple):
    """An ellipsoid with an irregular border; ``scale`` multiplies the radii."""

    centre_mm: np.ndarray
    radii_mm: np.ndarray
    softness: float
    field: RandomField
    roughness: float

    def at(self, points_mm: np.ndarray) -> OfScale:
        """The blob at fixed points (3, N) as a function of its scale.

        The function returns (N,): 1 inside, 0 outside, 0.5 at the border.
        """
        offset = (points_mm - self.centre_mm[:, None]) / self.radii_mm[:, None]
        distance = np.sqrt((offset**2).sum(axis=0))
        rough = self.roughness * self.field(points_mm)
        return lambda scale: _sigmoid((1.0 - distance / scale - rough) / self.softness)

    def __call__(self, points_mm: np.ndarray) -> np.ndarray:
        """The blob at its own size: (3, N) -> (N,)."""
        return self.at(points_mm)(1.0)


class Stroke(NamedTuple):
    """Parameters of one patient's stroke.

    Attributes:
        territory: MCA, ACA or PCA.
        side: +1 right, -1 left.
        deficit: the territory of the occlusion.
        depth: severity at the centre; collaterals keep it under 1.
        tolerance: severity from which tissue infarcts, in this patient.
        tolerance_field, tolerance_sd: how it varies from place to place.
        reperfused, reperfusion: where flow came back in time, and how much severity that took away.
        benign: deficits that never infarct (moderate severity); emboli: infarcts that left no
            deficit.
        stenosis_side, stenosis_delay_s: late arrival in one hemisphere from an old carotid
            stenosis.
        collateral_delay_s: how late blood arrives where severity is 1, through collaterals.
        old: old infarcts. leukoaraiosis: 0 to 1, damage of the periventricular white matter.
        hypoattenuation_hu: what an infarct loses on CT by the time of the scan.
    """

    territory: str
    side: float
    deficit: Blob
    depth: float
    tolerance: float
    tolerance_field: RandomField
    tolerance_sd: float
    reperfused: RandomField
    reperfusion: float
    benign: tuple[tuple[Blob, float], ...]
    emboli: tuple[Blob, ...]
    stenosis_side: float
    stenosis_delay_s: float
    collateral_delay_s: float
    old: tuple[Blob, ...]
    leukoaraiosis: float
    hypoattenuation_hu: float

    def severity_at(self, points_mm: np.ndarray) -> OfScale:
        """Severity (N,) of the occlusion alone, as a function of the scale."""
        gate = self.depth * territory_mask(points_mm, self.territory, self.side)
        deficit = self.deficit.at(points_mm)
        return lambda scale: deficit(scale) * gate

    def benign_severity(self, points_mm: np.ndarray) -> np.ndarray:
        """Severity (N,) of the deficits that never infarct."""
        parts = [level * blob(points_mm) for blob, level in self.benign]
        return np.max(parts, axis=0) if parts else np.zeros(points_mm.shape[1], np.float32)

    def damage_at(self, points_mm: np.ndarray) -> OfScale:
        """Severity plus hidden terms minus tolerance (N,), as a function of the scale.

        The infarct is where this is over 0.
        """
        severity_at = self.severity_at(points_mm)
        hidden = self.tolerance_sd * self.tolerance_field(points_mm)
        hidden = hidden - self.reperfusion * _sigmoid((self.reperfused(points_mm) - 0.3) / 0.2)
        emboli = np.max([blob(points_mm) - 0.5 for blob in self.emboli], axis=0, initial=-1.0)

        def damage(scale: float) -> np.ndarray:
            severity = severity_at(scale)
            # Hidden terms cannot infarct what was never short of blood.
            ischaemic = np.clip(severity / 0.25, 0, 1)
            return np.maximum(severity + ischaemic * hidden - self.tolerance, emboli)

        return damage


def territory_mask(points_mm: np.ndarray, territory: str, side: float) -> np.ndarray:
    """Soft membership (N,) of a hemisphere's vascular territory, simplified from the atlases."""
    x, y, z = points_mm
    lateral = side * x
    hemisphere = _sigmoid((lateral - 1.0) / 1.0)
    aca = _sigmoid((17 - lateral) / 2.5) * _sigmoid((y + 38) / 4) * _sigmoid((z - 14) / 4)
    aca = np.maximum(aca, _sigmoid((15 - lateral) / 2.5) * _sigmoid((y - 26) / 4))
    posterior = _sigmoid((-62 - y + 0.5 * np.minimum(lateral, 40)) / 4) * _sigmoid((34 - z) / 5)
    thalamus = _sigmoid((20 - lateral) / 2) * _sigmoid((-2 - y) / 3) * _sigmoid((20 - z) / 4)
    pca = np.maximum(posterior, thalamus) * (1 - aca)
    return hemisphere * {"ACA": aca, "PCA": pca, "MCA": 1 - aca - pca}[territory]


def draw_volume_ml(rng: np.random.Generator) -> float:
    """Lesion volume within a scan: groups as in Wang et al. 2020, log-uniform inside a group."""
    group = rng.choice(len(VOLUME_GROUPS), p=[share for share, _ in VOLUME_GROUPS])
    low, high = VOLUME_GROUPS[group][1]
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _draw_blob(
    rng: np.random.Generator, points_mm: np.ndarray, radius_mm: float, *, roughness: float = 0.2
) -> Blob:
    centre = points_mm[:, rng.integers(points_mm.shape[1])].astype(float)
    radii = radius_mm * np.exp(rng.normal(0, 0.2, 3))
    field = draw_random_field(rng, max(5.0, 0.6 * radius_mm))
    return Blob(centre, radii, 0.18, field, roughness)


def _draw_some(rng: np.random.Generator, probability: float, highest: int) -> int:
    return int(rng.integers(1, highest + 1)) if rng.random() < probability else 0


def draw_stroke(rng: np.random.Generator, tissue_mm: np.ndarray, centres_mm: np.ndarray) -> Stroke:
    """Draw a patient's stroke.

    Args:
        rng: the patient's generator.
        tissue_mm: (3, N) positions of imaged brain tissue.
        centres_mm: (3, M) those among which the centre of the deficit is drawn.
    """
    names, shares = zip(*TERRITORIES, strict=True)
    side = float(rng.choice([-1.0, 1.0]))
    territory, inside = "MCA", np.zeros(0, int)
    for _ in range(20):
        territory = str(rng.choice(names, p=shares))
        inside = np.flatnonzero(territory_mask(centres_mm, territory, side) > 0.6)
        if inside.size > 20:
            break
    candidates = centres_mm[:, inside] if inside.size else centres_mm
    centre = candidates[:, rng.integers(candidates.shape[1])].astype(float)
    radii = 24.0 * np.exp(rng.normal(0, 0.22, 3)) * np.array([1.0, 1.25, 1.0])
    softness = rng.uniform(0.18, 0.45)
    deficit = Blob(centre, radii, softness, draw_random_field(rng, 13.0), rng.uniform(0.15, 0.3))
    depth = rng.uniform(0.78, 1.0)
    benign = [
        (_draw_blob(rng, tissue_mm, rng.uniform(10, 24)), rng.uniform(0.25, 0.5))
        for _ in range(_draw_some(rng, 0.3, 1))
    ]
    emboli = [
        _draw_blob(rng, tissue_mm, np.exp(rng.uniform(np.log(2.5), np.log(6.0))))
        for _ in range(_draw_some(rng, 0.2, 2))
    ]
    old = [_draw_blob(rng, tissue_mm, rng.uniform(4, 12)) for _ in range(_draw_some(rng, 0.2, 2))]
    stenosis = rng.random() < 0.25
    return Stroke(
        territory=territory,
        side=side,
        deficit=deficit,
        depth=depth,
        tolerance=depth * rng.uniform(0.55, 0.80),
        tolerance_field=draw_random_field(rng, 9.0),
        tolerance_sd=rng.uniform(0.03, 0.09),
        reperfused=draw_random_field(rng, 16.0),
        reperfusion=rng.uniform(0.15, 0.45) if rng.random() < 0.3 else 0.0,
        benign=tuple(benign),
        emboli=tuple(emboli),
        stenosis_side=float(rng.choice([-1.0, 1.0])),
        stenosis_delay_s=rng.uniform(1.5, 4.0) if stenosis else 0.0,
        collateral_delay_s=rng.uniform(5.5, 10.0),
        old=tuple(old),
        leukoaraiosis=float(rng.beta(1.2, 2.5)),
        hypoattenuation_hu=rng.uniform(1.0, 5.5),
    )


def fit_scale(
    stroke: Stroke, slabs_mm: list[np.ndarray], voxel_ml: float, target_ml: float
) -> float:
    """Scale of the occluded territory at which the infarct has the wanted volume per scan.

    Args:
        slabs_mm: for each slab (3, N) positions of imaged tissue; each stands for ``voxel_ml``.
        target_ml: mean over the slabs; no slab gets less than a quarter of it or ``_LEAST_ML`` (the
            release has no scan without a lesion).

    Returns:
        The scale, found by bisection; the largest one tried where the slabs cannot hold the volume.
    """
    damage = [stroke.damage_at(points) for points in slabs_mm]
    least_ml = min(target_ml, max(target_ml / 4, _LEAST_ML))
    low, high = 0.1, 4.0
    for _ in range(14):
        middle = np.sqrt(low * high)
        volumes = [np.count_nonzero(of_scale(middle) > 0) * voxel_ml for of_scale in damage]
        enough = np.mean(volumes) >= target_ml and min(volumes) >= least_ml
        low, high = (low, middle) if enough else (middle, high)
    return float(np.sqrt(low * high))


class TissueState(NamedTuple):
    """Perfusion of brain voxels, (N,) float32: CBF mL/100 g/min, CBV mL/100 g, arrival delay s."""

    cbf: np.ndarray
    cbv: np.ndarray
    delay_s: np.ndarray


def apply_deficit(
    normal: TissueState, severity: np.ndarray, collateral_delay_s: float | np.ndarray
) -> TissueState:
    """Perfusion under a deficit of the given severity (N,).

    CBF falls to 30 % at a severity of 0.73 (core); delays saturate, so that Tmax > 6 s outlines the
    core and the penumbra; CBV stays up (vasodilation) until autoregulation fails near the core.
    """
    flow = 1 - 0.96 * severity
    dilated = 0.3 * np.clip(severity / 0.4, 0, 1)
    failed = 0.72 * _sigmoid((severity - 0.77) / 0.05)
    volume = (1 + dilated) * (1 - failed)
    # Any territory fed through collaterals is late; how late says less about how short of blood.
    late = (1 - np.exp(-severity / _DELAY_SATURATION)) / (1 - np.exp(-1 / _DELAY_SATURATION))
    return TissueState(
        (normal.cbf * flow).astype(np.float32),
        (normal.cbv * volume).astype(np.float32),
        (normal.delay_s + collateral_delay_s * late).astype(np.float32),
    )
