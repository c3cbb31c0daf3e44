"""Perfusion maps of a series whose brain mask is known, as a scanner's software makes them.

The phantom's maps are made by these functions. For a series of which nothing else is known, see
``compute_maps.py``.
"""

from __future__ import annotations

import numpy as np

from nnunetv2_strokesynth.ctp.arteries import find_aif
from nnunetv2_strokesynth.ctp.baseline import baseline_frames
from nnunetv2_strokesynth.ctp.deconvolution import (
    SVD_THRESHOLD,
    PerfusionMaps,
    perfusion_maps,
)
from nnunetv2_strokesynth.ctp.voxel_curves import (
    SMOOTHING_SIGMA_MM,
    collect_curves,
    into_volume,
    over_baseline,
    smooth_in_plane,
)
from nnunetv2_strokesynth.io.series import Series


def measured_curves(
    series: Series,
    brain: np.ndarray,
    *,
    pixel_mm: float,
    smoothing_mm: float = SMOOTHING_SIGMA_MM,
) -> tuple[np.ndarray, np.ndarray]:
    """Smoothed tissue curves and the arterial input function, both over their baseline.

    Args:
        series: frames (Z, Y, X), in any unit that is proportional to concentration up to a
            constant.
        brain: (Z, Y, X) bool.
        pixel_mm: in-plane voxel size.
        smoothing_mm: sigma of the in-plane Gaussian.

    Returns:
        (N, T) float32, a row for each voxel of the brain, and (T,), in the units of ``series``.
    """
    (curves,) = collect_curves(series, brain)
    arterial = find_aif(curves, brain, pixel_mm=pixel_mm).curve
    baseline = baseline_frames(arterial)
    smooth_in_plane(curves, brain, sigma_px=smoothing_mm / pixel_mm)
    return over_baseline(curves, baseline), arterial - arterial[baseline].mean()


def maps_from_series(
    ctp: np.ndarray,
    brain: np.ndarray,
    *,
    pixel_mm: float,
    frame_s: float,
    smoothing_mm: float = SMOOTHING_SIGMA_MM,
    threshold: float = SVD_THRESHOLD,
) -> PerfusionMaps:
    """CBF, CBV, MTT and Tmax volumes of a CTP series whose brain is known.

    Args:
        ctp: (T, Z, Y, X) HU.
        brain: (Z, Y, X) bool; the maps are 0 outside.
        pixel_mm: in-plane voxel size, for the spatial smoothing.
        frame_s: time between frames, s.
        smoothing_mm: sigma of the in-plane Gaussian.
        threshold: of the singular values, see ``perfusion_maps``.

    Returns:
        Volumes (Z, Y, X) float32 in the units of ``perfusion_maps``.
    """
    curves, aif = measured_curves(ctp, brain, pixel_mm=pixel_mm, smoothing_mm=smoothing_mm)
    result = perfusion_maps(curves, aif, frame_s, threshold=threshold)
    return PerfusionMaps(*(into_volume(values, brain) for values in result))
