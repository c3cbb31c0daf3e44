"""Perfusion maps of a series whose brain mask is known, as a scanner's software makes them.

The phantom's maps are made by these functions. For a series of which nothing else is known, see
``compute_maps.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.ctp.arteries import find_aif, find_vof, partial_volume_scale
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


class MapSettings(NamedTuple):
    """What one software does.

    Attributes:
        smoothing_mm: sigma of the in-plane Gaussian.
        threshold: of the singular values, see ``perfusion_maps``.
        delay_sensitive, reference_mtt_s: see ``perfusion_maps``.
        aif_voxels: of which the artery's curve is the mean.
        scale_aif: whether the vein corrects the artery for partial volume.
        step_s: time between frames that the series is interpolated to; None to take it as it is,
            which needs even times.
    """

    smoothing_mm: float = SMOOTHING_SIGMA_MM
    threshold: float = SVD_THRESHOLD
    delay_sensitive: bool = False
    reference_mtt_s: float | None = None
    aif_voxels: int = 6
    scale_aif: bool = False
    step_s: float | None = None


DEFAULT_SETTINGS = MapSettings()


def measured_curves(
    series: Series,
    brain: np.ndarray,
    *,
    pixel_mm: float,
    frame_s: float,
    smoothing_mm: float = SMOOTHING_SIGMA_MM,
) -> tuple[np.ndarray, np.ndarray]:
    """Smoothed tissue curves and the arterial input function, both over their baseline.

    Args:
        series: frames (Z, Y, X), in any unit that is proportional to concentration up to a
            constant.
        brain: (Z, Y, X) bool.
        pixel_mm: in-plane voxel size.
        frame_s: time between frames.
        smoothing_mm: sigma of the in-plane Gaussian.

    Returns:
        (N, T) float32, a row for each voxel of the brain, and (T,), in the units of ``series``.
    """
    (curves,) = collect_curves(series, brain)
    arterial = find_aif(curves, brain, pixel_mm=pixel_mm, frame_s=frame_s).curve
    baseline = baseline_frames(arterial)
    smooth_in_plane(curves, brain, sigma_px=smoothing_mm / pixel_mm)
    return over_baseline(curves, baseline), arterial - arterial[baseline].mean()


def maps_from_series(
    ctp: np.ndarray,
    brain: np.ndarray,
    *,
    pixel_mm: float,
    times_s: Sequence[float],
    slice_offset_s: Sequence[float] = (),
    settings: MapSettings = DEFAULT_SETTINGS,
) -> PerfusionMaps:
    """CBF, CBV, MTT and Tmax volumes of a CTP series whose brain is known.

    Args:
        ctp: (T, Z, Y, X) HU.
        brain: (Z, Y, X) bool; the maps are 0 outside.
        pixel_mm: in-plane voxel size, for the spatial smoothing.
        times_s: (T,) of the frames, from 0; they may be uneven where ``settings`` has a step.
        slice_offset_s: (Z,), how much later each slice is imaged; empty for no difference. It
            counts where ``settings`` has a step.
        settings: of the software.

    Returns:
        Volumes (Z, Y, X) float32 in the units of ``perfusion_maps``.
    """
    (measured,) = collect_curves(ctp, brain)
    times, offsets = np.asarray(times_s, np.float64), np.zeros(len(measured))
    if len(slice_offset_s):
        offsets = np.asarray(slice_offset_s)[np.nonzero(brain)[0]]
    frame_s = settings.step_s or float(times[1])
    curves = _evenly(measured, times, offsets, settings.step_s)
    aif = find_aif(
        curves, brain, pixel_mm=pixel_mm, frame_s=frame_s, n_voxels=settings.aif_voxels
    ).curve
    baseline = baseline_frames(aif)
    scale = 1.0
    if settings.scale_aif:
        vof = find_vof(
            ((curves, brain),), aif, baseline=baseline, pixel_mm=pixel_mm, frame_s=frame_s
        )
        if vof is not None:
            vessels = (aif, vof.curve)
            scale = partial_volume_scale(*vessels, baseline=baseline, frame_s=frame_s)
    smooth_in_plane(measured, brain, sigma_px=settings.smoothing_mm / pixel_mm)
    curves = _evenly(measured, times, offsets, settings.step_s)
    result = perfusion_maps(
        over_baseline(curves, baseline),
        scale * (aif - aif[baseline].mean()),
        frame_s,
        threshold=settings.threshold,
        delay_sensitive=settings.delay_sensitive,
        reference_mtt_s=settings.reference_mtt_s,
    )
    return PerfusionMaps(*(into_volume(values, brain) for values in result))


def _evenly(
    curves: np.ndarray, times_s: np.ndarray, offset_s: np.ndarray, step_s: float | None
) -> np.ndarray:
    """Curves (N, T) interpolated linearly to even steps, (N, T'); each row has an offset.

    Before its first and after its last frame a voxel keeps its value. Without a step, the same
    array.
    """
    if step_s is None:
        return curves
    wanted_s = np.arange(0.0, times_s[-1] + 1e-6, step_s)
    even = np.empty((len(curves), len(wanted_s)), np.float32)
    for offset in np.unique(offset_s):
        rows = offset_s == offset
        # Column k of the matrix holds the weights of frame k's neighbours.
        weights = [np.interp(wanted_s, times_s + offset, unit) for unit in np.eye(len(times_s))]
        even[rows] = curves[rows] @ np.array(weights, np.float32)
    return even
