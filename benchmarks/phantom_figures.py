"""Figures of one simulated scan: Dice of thresholds, map values, the DWI's contrast."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.phantom.acquisition import noise_image
from nnunetv2_strokesynth.phantom.case import Case
from nnunetv2_strokesynth.phantom.physics import Physics
from nnunetv2_strokesynth.phantom.tissue import flow_left

CBF_CUTS = np.round(np.arange(0.10, 0.91, 0.05), 2)
TMAX_CUTS_S = np.arange(3.0, 14.1, 0.5)
HEALTHY_TMAX_S = 4.0
CORE_FLOW = 0.30
"""Share of its normal flow under which tissue counts as core."""
PENUMBRA_FLOW = (0.35, 0.60)
_NORMAL_SEVERITY = 0.02
_LEAST_CORE_ML = 4.0
_LEAST_DWI_ML, _LEAST_ZONE_VOXELS = 5.0, 10
_SOLID = 0.7
# Distance outwards from the label's edge, in its slice.
_CENTRE_MM, _OUTER_MM, _RIM_MM = (-np.inf, -7.0), (-4.5, 0.0), (2.5, 8.0)
_NOISE_VOXEL_MM = (5.0, 0.49)


class ScanFigures(NamedTuple):
    """Figures of a scan; NaN where it has too few voxels for one.

    Attributes:
        cbf, tmax: Dice against the lesion for each of ``CBF_CUTS`` and ``TMAX_CUTS_S``.
        normal_tmax_s, normal_mtt_s, mtt_ratio: medians in normal tissue; MTT over the truth.
        core_rcbf: median rCBF where the true flow is under ``CORE_FLOW`` of its normal, in cores of
            4 mL or more; smaller ones are blurred by the maps' smoothing.
        penumbra_mtt: median MTT where 35 to 60 % of the normal flow is left and nothing infarcted,
            over that in normal tissue.
        lesion_ml: volume of the label. lesion_ratio: the same over that of the infarct.
        outer_contrast, rim_contrast: the DWI's mean contrast in the outer 4.5 mm of the label, and
            2.5 to 8 mm outside it, over that in its centre (more than 7 mm inside).
    """

    cbf: np.ndarray
    tmax: np.ndarray
    normal_tmax_s: float
    normal_mtt_s: float
    mtt_ratio: float
    core_rcbf: float
    penumbra_mtt: float
    lesion_ml: float
    lesion_ratio: float
    outer_contrast: float
    rim_contrast: float


def scan_figures(case: Case, physics: Physics) -> ScanFigures:
    """Measure one scan."""
    maps, brain, lesion = case.maps, case.maps.cbf > 0, case.lesion
    healthy = brain & (maps.tmax < HEALTHY_TMAX_S)
    rcbf = maps.cbf / np.median(maps.cbf[healthy if healthy.any() else brain])
    normal = brain & (case.severity < _NORMAL_SEVERITY) & ~case.infarct & (case.truth.cbf > 5)
    core = brain & case.infarct & (flow_left(case.severity, physics.stroke) < CORE_FLOW)
    left = flow_left(case.severity, physics.stroke)
    penumbra = brain & ~case.infarct & (left > PENUMBRA_FLOW[0]) & (left < PENUMBRA_FLOW[1])
    outer, rim = _dwi_figures(case)
    return ScanFigures(
        np.array([_dice(brain & (rcbf < cut), lesion) for cut in CBF_CUTS]),
        np.array([_dice(brain & (maps.tmax > cut), lesion) for cut in TMAX_CUTS_S]),
        float(np.median(maps.tmax[normal])),
        float(np.median(maps.mtt[normal])),
        float(np.median(maps.mtt[normal] / case.truth.mtt[normal])),
        float(np.median(rcbf[core])) if _ml(core, case) >= _LEAST_CORE_ML else float("nan"),
        _median_over(maps.mtt, penumbra, normal) if _ml(penumbra, case) > 5 else float("nan"),
        _ml(case.lesion, case),
        int(case.lesion.sum()) / int(case.infarct.sum()) if case.infarct.any() else float("nan"),
        outer,
        rim,
    )


def _median_over(values: np.ndarray, some: np.ndarray, others: np.ndarray) -> float:
    return float(np.median(values[some]) / np.median(values[others]))


def _ml(mask: np.ndarray, case: Case) -> float:
    return float(mask.sum() * case.grid.pixel_mm**2 * case.grid.slice_mm / 1000)


def _dice(found: np.ndarray, lesion: np.ndarray) -> float:
    total = int(found.sum()) + int(lesion.sum())
    return 2 * int((found & lesion).sum()) / total if total else 1.0


def _dwi_figures(case: Case) -> tuple[float, float]:
    """Contrast of the label's outer zone and of the rim outside it, over that of its centre."""
    tissue = case.solid > _SOLID
    away = tissue & ~ndimage.binary_dilation(case.lesion, np.ones((1, 3, 3), bool), iterations=4)
    if _ml(case.lesion, case) < _LEAST_DWI_ML or not away.any():
        return float("nan"), float("nan")
    contrast = case.dwi / np.median(case.dwi[away]) - 1
    outwards_mm = np.full(case.lesion.shape, np.inf)
    for k, plane in enumerate(case.lesion):
        if plane.any():
            outwards_mm[k] = ndimage.distance_transform_edt(~plane)
            outwards_mm[k] -= ndimage.distance_transform_edt(plane)
    outwards_mm *= case.grid.pixel_mm
    zones = [
        contrast[tissue & (outwards_mm > low) & (outwards_mm <= high)]
        for low, high in (_CENTRE_MM, _OUTER_MM, _RIM_MM)
    ]
    if min(zone.size for zone in zones) < _LEAST_ZONE_VOXELS:
        return float("nan"), float("nan")
    centre, outer, rim = (float(zone.mean()) for zone in zones)
    return outer / centre, rim / centre


def noise_hu(physics: Physics) -> float:
    """Standard deviation (HU) of a CTP frame's noise at a pixel of 0.49 mm and a slice of 5 mm."""
    noise = noise_image(
        np.random.default_rng(0),
        (1, 256, 256),
        density_hu_mm=physics.ct.ctp_noise_hu_mm,
        kernel_sigma_mm=physics.ct.kernel_sigma_mm,
        voxel_mm=_NOISE_VOXEL_MM,
    )
    return float(noise.std())
