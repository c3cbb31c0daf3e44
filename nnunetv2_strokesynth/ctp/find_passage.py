"""Artery and vein of a series, given or found, and the bolus as they saw it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nnunetv2_strokesynth.ctp.arteries import (
    away_from,
    find_aif,
    find_vof,
    partial_volume_scale,
    vessel_at,
)
from nnunetv2_strokesynth.ctp.baseline import lower_baseline
from nnunetv2_strokesynth.ctp.bolus_passage import Passage, check_bolus
from nnunetv2_strokesynth.io.series import Series


def find_passage(
    series: Series,
    regions: Sequence[tuple[np.ndarray, np.ndarray]],
    *,
    at: tuple[tuple[int, int, int] | None, tuple[int, int, int] | None],
    pixel_mm: float,
    frame_s: float,
    stored_voxel: Callable[[tuple[int, int, int]], tuple[int, int, int]] | None,
) -> Passage:
    """AIF and VOF, at the given voxels or found in the curves of the brain and its rim.

    Args:
        series: frames (Z, Y, X) in HU; it is read where a voxel is given.
        regions: curves (N, T) HU and mask (Z, Y, X) of the brain, and of its rim.
        at: 0-based voxels x, y, z of artery and vein; None to find them.
        pixel_mm: in-plane voxel size.
        frame_s: time between frames, s.
        stored_voxel: see ``Passage``.

    Raises:
        ValueError: there is no bolus, or a voxel lies outside the image.
    """
    aif_at, vof_at = at
    given = (aif_at is not None, vof_at is not None)
    if aif_at is not None:
        aif = vessel_at(series, aif_at)
    else:
        aif = find_aif(*regions[0], pixel_mm=pixel_mm, frame_s=frame_s)
    baseline = lower_baseline(aif.curve)
    passage = Passage(aif, None, given, baseline, frame_s, stored_voxel=stored_voxel)
    check_bolus(passage)
    if vof_at is not None:
        return passage._replace(vof=vessel_at(series, vof_at))
    voxels = {"pixel_mm": pixel_mm, "frame_s": frame_s}
    vof = find_vof(regions, aif.curve, baseline=passage.baseline, **voxels)
    return passage._replace(vof=vof)


def second_passage(
    passage: Passage, region: tuple[np.ndarray, np.ndarray], pixel_mm: float
) -> Passage | None:
    """The same bolus as seen by another artery; None where no other can be an artery.

    Args:
        passage: as the first artery saw it.
        region: curves (N, T) HU and mask (Z, Y, X) of the brain.
        pixel_mm: in-plane voxel size.
    """
    curves, brain = region
    allowed = away_from(passage.aif, brain.shape, pixel_mm)
    try:
        aif = find_aif(curves, brain, pixel_mm=pixel_mm, frame_s=passage.frame_s, allowed=allowed)
        other = passage._replace(
            aif=aif, given=(False, passage.given[1]), baseline=lower_baseline(aif.curve)
        )
        check_bolus(other)
    except ValueError:
        return None
    return other


def scaled(passage: Passage) -> Passage:
    """The passage with the artery's correction for partial volume, where there is a vein."""
    if passage.vof is None:
        return passage
    vessels = (passage.aif.curve, passage.vof.curve)
    scale = partial_volume_scale(*vessels, baseline=passage.baseline, frame_s=passage.frame_s)
    return passage._replace(scale=scale)
