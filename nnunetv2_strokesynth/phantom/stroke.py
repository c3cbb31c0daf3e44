"""One patient's stroke: what blood flow lost, and what of it became an infarct.

A severity field s in [0, 1] falls from the occluded territory's centre to its border. Perfusion
follows s. The infarct follows u = s + hidden terms, above the patient's own tolerance. The hidden
terms (unequal tolerance of tissue, reperfusion between CT and MRI, emboli that left no deficit,
deficits that never infarcted) are what no perfusion map shows; they make the phantom as hard as
patients are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.phantom.random_field import RandomField

OfScale = Callable[[float], np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), of any shape."""
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
        return lambda scale: sigmoid((1.0 - distance / scale - rough) / self.softness)

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
        tolerance_field, tolerance_sd: how the tolerance varies from place to place.
        reperfused, reperfusion: where flow came back in time, and how much severity that took away.
        benign: deficits that never infarct (moderate severity); emboli: infarcts that left no
            deficit.
        stenosis_side, stenosis_delay_s: late arrival in one hemisphere from an old carotid
            stenosis.
        collateral_delay_s: how late blood arrives where severity is 1, through collaterals.
        old: old infarcts. leukoaraiosis: 0 to 1, damage of the periventricular white matter.
        hypoattenuation_hu: what an infarct loses on CT by the time of the scan.
        hours: from the onset to the MRI.
        growth: how much severity less the tissue tolerates at the MRI than it did at the CT; under
            0 where the infarct shrinks.
        spared: whether flow came back in time for all tissue, so that nothing infarcts.
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
    hours: float
    growth: float
    spared: bool

    def severity_at(self, points_mm: np.ndarray) -> OfScale:
        """Severity (N,) of the occlusion alone, as a function of the scale."""
        gate = self.depth * territory_mask(points_mm, self.territory, self.side)
        gate = gate / sigmoid(np.array(1.0 / self.deficit.softness))  # the deficit's centre is 1
        deficit = self.deficit.at(points_mm)
        return lambda scale: np.minimum(deficit(scale) * gate, self.depth)

    def benign_severity(self, points_mm: np.ndarray) -> np.ndarray:
        """Severity (N,) of the deficits that never infarct."""
        parts = [level * blob(points_mm) for blob, level in self.benign]
        return np.max(parts, axis=0) if parts else np.zeros(points_mm.shape[1], np.float32)

    def damage_at(self, points_mm: np.ndarray) -> OfScale:
        """Severity plus hidden terms minus tolerance (N,), as a function of the scale.

        The infarct at the time of the MRI is where this is over 0, in a patient who is not spared.
        """
        severity_at = self.severity_at(points_mm)
        hidden = self.tolerance_sd * self.tolerance_field(points_mm)
        hidden = hidden - self.reperfusion * sigmoid((self.reperfused(points_mm) - 0.3) / 0.2)
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
    hemisphere = sigmoid((lateral - 1.0) / 1.0)
    aca = sigmoid((17 - lateral) / 2.5) * sigmoid((y + 38) / 4) * sigmoid((z - 14) / 4)
    aca = np.maximum(aca, sigmoid((15 - lateral) / 2.5) * sigmoid((y - 26) / 4))
    posterior = sigmoid((-62 - y + 0.5 * np.minimum(lateral, 40)) / 4) * sigmoid((34 - z) / 5)
    thalamus = sigmoid((20 - lateral) / 2) * sigmoid((-2 - y) / 3) * sigmoid((20 - z) / 4)
    pca = np.maximum(posterior, thalamus) * (1 - aca)
    return hemisphere * {"ACA": aca, "PCA": pca, "MCA": 1 - aca - pca}[territory]
