"""Perfusion maps of one patient's series, of which motion is taken out first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnunetv2_strokesynth.ctp.compute_maps import ComputedMaps, compute_maps
from nnunetv2_strokesynth.ctp.maps_by import FOR_NETWORKS
from nnunetv2_strokesynth.ctp.motion import WithoutMotion, measure_motion
from nnunetv2_strokesynth.inference.study import Study
from nnunetv2_strokesynth.io.series import Series

Voxel = tuple[int, int, int]


def maps_of_study(
    study: Study,
    *,
    brain: np.ndarray | None = None,
    aif_at: Voxel | None = None,
    vof_at: Voxel | None = None,
    scale_aif: bool = True,
    method: str = FOR_NETWORKS,
    threshold_method: str | None = None,
    correct_motion: bool = True,
    second_artery: bool = False,
    watch: Callable[[Series], Series] = lambda series: series,
) -> ComputedMaps:
    """``compute_maps`` of a study without motion; vessels are named as the user knows them.

    Args:
        study: the images.
        brain: (Z, Y, X) bool, in the order in which the scan is read; None to find the brain.
        aif_at, vof_at: voxels (x, y, z) of artery and vein, as the series stores them.
        scale_aif, method, threshold_method, second_artery: see ``compute_maps``.
        correct_motion: whether frames are brought to where the head lay in the first ones.
        watch: function that is given the series and returns it, to show how far reading is.

    Returns:
        The maps; the motion is in ``row`` and ``motion``, and a large one in ``warnings``.

    Raises:
        ValueError: the times of the frames are unknown, or see ``compute_maps``.
    """
    if study.times_s is None:
        raise ValueError(
            f"maps must be computed from {study.series_name}, but the time between its frames is "
            f"unknown ({'; '.join(study.notes)})"
        )
    spacing = study.geometry.spacing_zyx_mm
    series, motion = watch(study.map_series), None
    # A series that cannot be used is refused by compute_maps, which says why.
    if correct_motion and len(series) > 1:
        motion = measure_motion(series, spacing)
        series = WithoutMotion(series, motion, spacing) if motion.corrected else series
    computed = compute_maps(
        series,
        spacing_zyx_mm=spacing,
        times_s=study.times_s,
        brain=brain,
        aif_at=None if aif_at is None else study.reference.read_voxel(aif_at),
        vof_at=None if vof_at is None else study.reference.read_voxel(vof_at),
        scale_aif=scale_aif,
        method=method,
        threshold_method=threshold_method,
        stored_voxel=study.reference.stored_voxel,
        second_artery=second_artery,
    )
    if motion is None:
        return computed
    return computed._replace(
        row={**computed.row, **motion.row},
        warnings=[*motion.warnings, *computed.warnings],
        motion=motion,
    )
