"""Perfusion maps of a raw CTP series of which nothing else is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.ctp.arteries import Vessel
from nnunetv2_strokesynth.ctp.bolus_passage import (
    Passage,
    describe,
    list_warnings,
)
from nnunetv2_strokesynth.ctp.brain_mask import (
    brain_ml,
    brain_of_series,
    rim_of_brain,
    tissue_of_brain,
)
from nnunetv2_strokesynth.ctp.deconvolution import PerfusionMaps
from nnunetv2_strokesynth.ctp.find_passage import find_passage, scaled, second_passage
from nnunetv2_strokesynth.ctp.maps_by import FOR_NETWORKS, maps_by
from nnunetv2_strokesynth.ctp.motion import Motion
from nnunetv2_strokesynth.ctp.plausibility.densities import check_densities
from nnunetv2_strokesynth.ctp.plausibility.finding import settle
from nnunetv2_strokesynth.ctp.time_steps import (
    check_times,
    evenly_sampled,
)
from nnunetv2_strokesynth.ctp.unusable_voxels import check_unusable, clear_unusable
from nnunetv2_strokesynth.ctp.voxel_curves import (
    SMOOTHING_SIGMA_MM,
    collect_curves,
    into_volume,
    over_baseline,
    smooth_in_plane,
)
from nnunetv2_strokesynth.io.series import Series

_CHUNK = 32768


class SecondArtery(NamedTuple):
    """The maps by another artery: how much depends on the choice.

    Attributes:
        voxel_xyz: its first voxel, as the user knows it.
        peak_hu: of its curve.
        maps: as ``threshold_maps`` of ``ComputedMaps``.
    """

    voxel_xyz: str
    peak_hu: float
    maps: PerfusionMaps


class ComputedMaps(NamedTuple):
    """What ``compute_maps`` finds. Volumes are (Z, Y, X); T frames at even steps.

    Attributes:
        maps: CBF in mL/100 g/min, CBV in mL/100 g, MTT and Tmax in s; float32, 0 outside the brain
            and in its CSF.
        brain: bool.
        aif: the artery as measured, before any scaling.
        vof: the vein; None if none was found.
        baseline_hu: mean of the frames without contrast, float32; serves as a plain CT.
        warnings: sentences for the reader of the maps.
        row: plain numbers and strings for a report.
        times_s: (T,) of the curves, from the first frame on.
        tissue_hu: (T,) mean enhancement where there are maps.
        highest_hu: maximum over time, float32.
        baseline_frames: those without contrast.
        threshold_maps: the maps that thresholds are applied to: ``maps``, or those of a method
            that was asked for beside it.
        second: such maps by another artery; None if they were not asked for, or there is none.
        motion: what was taken out of the series before; None if it was not looked for.
    """

    maps: PerfusionMaps
    brain: np.ndarray
    aif: Vessel
    vof: Vessel | None
    baseline_hu: np.ndarray
    warnings: list[str]
    row: dict[str, Any]
    times_s: np.ndarray
    tissue_hu: np.ndarray
    highest_hu: np.ndarray
    baseline_frames: slice
    threshold_maps: PerfusionMaps
    second: SecondArtery | None = None
    motion: Motion | None = None


def compute_maps(
    series: Series,
    *,
    spacing_zyx_mm: tuple[float, float, float],
    times_s: Sequence[float],
    brain: np.ndarray | None = None,
    aif_at: tuple[int, int, int] | None = None,
    vof_at: tuple[int, int, int] | None = None,
    scale_aif: bool = True,
    method: str = FOR_NETWORKS,
    threshold_method: str | None = None,
    stored_voxel: Callable[[tuple[int, int, int]], tuple[int, int, int]] | None = None,
    second_artery: bool = False,
) -> ComputedMaps:
    """Brain mask, AIF, VOF, CBF, CBV, MTT and Tmax of a CTP series.

    The series is never in memory as a whole. It is read once for its mean and maximum, once for the
    curves of the brain and its rim, once up to the contrast's arrival for the baseline, and once
    more for each vessel that is given. The peak is 4 N T bytes for the N voxels of brain and rim,
    about ten volumes, and 200 MB of work space: 0.6 GB measured with N = 1.5 million, T = 60.

    Args:
        series: frames (Z, Y, X) in HU; an array (T, Z, Y, X) will do.
        spacing_zyx_mm: voxel sizes.
        times_s: (T,) times of the frames; if they are uneven, frames are interpolated linearly to
            the median step.
        brain: (Z, Y, X) bool; None to find it.
        aif_at, vof_at: 0-based voxel x, y, z of artery and vein; None to find them.
        scale_aif: whether the AIF is corrected for partial volume by the VOF, see
            ``partial_volume_scale``. On the phantom this brings CBV near the truth, and CBF and CBV
            of different scans nearer to each other (see docs/explanation/perfusion-maps.md).
        method: one of ``maps_by.METHOD_NAMES``.
        threshold_method: of further maps, to apply thresholds to; None for no others.
        stored_voxel: from a voxel x, y, z of the series to the indices that the user knows, for
            ``row`` and messages; None if they are the same.
        second_artery: whether the maps are computed by another artery, too: the one that is found
            15 mm or more from the first.

    Raises:
        KeyError: no such method.
        ValueError: there are fewer than 10 frames or 20 s; the times do not increase; frames differ
            in shape or hold NaN or infinity; nothing changes over time; the values are not HU; no
            brain is found; the artery has no bolus; or a given voxel lies outside the image.
    """
    times = check_times(times_s, len(series))
    mean_hu, highest_hu = _survey(series)
    settle(check_densities("the series", mean_hu))
    brain = _checked_brain(brain, mean_hu, spacing_zyx_mm)
    even, frame_s = evenly_sampled(series, times)
    rim = rim_of_brain(brain, mean_hu, spacing_zyx_mm)
    curves, rim_curves = collect_curves(even, brain, rim)
    pixel_mm = float(np.sqrt(spacing_zyx_mm[1] * spacing_zyx_mm[2]))
    regions = ((curves, brain), (rim_curves, rim))
    passage = find_passage(
        even,
        regions,
        at=(aif_at, vof_at),
        pixel_mm=pixel_mm,
        frame_s=frame_s,
        stored_voxel=stored_voxel,
    )
    second = second_passage(passage, regions[0], pixel_mm) if second_artery else None
    if scale_aif:
        passage, second = scaled(passage), second and scaled(second)
    del regions, rim_curves  # a fifth of the memory
    tissue = tissue_of_brain(brain, mean_hu, spacing_zyx_mm)
    smooth_in_plane(curves, brain, sigma_px=SMOOTHING_SIGMA_MM / pixel_mm, tissue=tissue)
    methods = {"method": method, "threshold_method": threshold_method or method}
    found = _all_maps(curves, brain, tissue, passages=(passage, second), **methods)
    del curves
    maps, said = _sound([into_volume(values, tissue) for values in found.computed], brain)
    return ComputedMaps(
        maps,
        brain,
        passage.aif,
        passage.vof,
        _mean_of(even, passage.baseline),
        [*list_warnings(passage, times), *said],
        {**_row(passage, series, brain, spacing_zyx_mm), **methods},
        frame_s * np.arange(len(even)),
        found.tissue_hu,
        highest_hu,
        passage.baseline,
        found.threshold or maps,
        found.second,
    )


class _AllMaps(NamedTuple):
    """What ``_all_maps`` gives.

    Attributes:
        computed: (N,) each, a value for each voxel of the tissue, not yet checked.
        tissue_hu: (T,) mean enhancement of the tissue.
        threshold: volumes by the other method; None where it is the same.
        second: volumes by the other artery; None without one.
    """

    computed: PerfusionMaps
    tissue_hu: np.ndarray
    threshold: PerfusionMaps | None
    second: SecondArtery | None


def _all_maps(
    curves: np.ndarray,
    brain: np.ndarray,
    tissue: np.ndarray,
    *,
    passages: tuple[Passage, Passage | None],
    method: str,
    threshold_method: str,
) -> _AllMaps:
    """The maps by the first artery, those for thresholds, and those by the second artery.

    Args:
        curves: (N, T) blurred, a row for each voxel of the brain.
        brain, tissue: (Z, Y, X) bool.
        passages: the bolus as the first and the second artery saw it.
        method, threshold_method: see ``compute_maps``.
    """
    rows, (first, second) = np.flatnonzero(tissue[brain]), passages
    computed, tissue_hu = _deconvolved(curves, rows, first, method)

    def for_thresholds(passage: Passage) -> PerfusionMaps:
        values = _deconvolved(curves, rows, passage, threshold_method)[0]
        return _cleared([into_volume(one, tissue) for one in values])

    return _AllMaps(
        computed,
        tissue_hu,
        for_thresholds(first) if threshold_method != method else None,
        _second(second, for_thresholds(second)) if second else None,
    )


def _survey(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Check all frames; mean and maximum over time, (Z, Y, X) float32 each."""
    total = lowest = highest = np.empty(0)  # until the first frame
    for index, frame in enumerate(series):
        if frame.ndim != 3 or (index > 0 and frame.shape != total.shape):
            expected = total.shape if index > 0 else "(Z, Y, X)"
            raise ValueError(f"frame {index} has shape {frame.shape}, expected {expected}")
        if not np.isfinite(frame).all():
            raise ValueError(f"frame {index} holds NaN or infinity, expected HU everywhere")
        if index == 0:
            total, lowest, highest = frame.astype(np.float64), frame.copy(), frame.copy()
            continue
        total += frame
        np.minimum(lowest, frame, out=lowest)
        np.maximum(highest, frame, out=highest)
    if np.array_equal(lowest, highest):
        raise ValueError("the series is constant over time: there is no bolus in it")
    return (total / len(series)).astype(np.float32), highest.astype(np.float32)


def _checked_brain(
    brain: np.ndarray | None, mean_hu: np.ndarray, spacing_zyx_mm: tuple[float, float, float]
) -> np.ndarray:
    if not all(np.isfinite(size) and size > 0 for size in spacing_zyx_mm):
        raise ValueError(f"voxel sizes {tuple(spacing_zyx_mm)} mm, expected positive numbers")
    if brain is None:
        return brain_of_series(mean_hu, spacing_zyx_mm)
    if brain.shape != mean_hu.shape:
        raise ValueError(f"the brain mask has shape {brain.shape}, the frames {mean_hu.shape}")
    if not brain.any():
        raise ValueError("the brain mask is empty")
    return brain.astype(bool)


def _second(passage: Passage, maps: PerfusionMaps) -> SecondArtery:
    peak_hu = float(passage.enhancement(passage.aif).max())
    return SecondArtery(passage.names_of(passage.aif)[0], peak_hu, maps)


def _deconvolved(
    curves: np.ndarray, rows: np.ndarray, passage: Passage, method: str
) -> tuple[PerfusionMaps, np.ndarray]:
    """Maps of the given rows of blurred curves (N, T), and their mean enhancement (T,)."""
    arterial = passage.scale * passage.enhancement(passage.aif)
    maps = PerfusionMaps(*(np.empty(len(rows), np.float32) for _ in PerfusionMaps._fields))
    total = np.zeros(curves.shape[1])
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        enhancement = over_baseline(curves[rows[part]], passage.baseline)
        total += enhancement.sum(axis=0, dtype=np.float64)
        computed = maps_by(
            method, enhancement, arterial, passage.frame_s, baseline=passage.baseline
        )
        for values, new in zip(maps, computed, strict=True):
            values[part] = new
    return maps, (total / len(rows)).astype(np.float32)


def _cleared(volumes: list[np.ndarray]) -> PerfusionMaps:
    """The maps without impossible values."""
    named = zip(PERFUSION_MAPS, volumes, strict=True)
    return PerfusionMaps(*(clear_unusable(*pair)[0] for pair in named))


def _sound(volumes: list[np.ndarray], brain: np.ndarray) -> tuple[PerfusionMaps, list[str]]:
    """The maps without impossible values, such as CBV over a CBF of nearly 0; and sentences."""
    unusable = []
    for index, name in enumerate(PERFUSION_MAPS):
        volumes[index], found = clear_unusable(name, volumes[index])
        unusable += found
    return PerfusionMaps(*volumes), check_unusable(unusable, brain)


def _mean_of(series: Series, frames: slice) -> np.ndarray:
    """Mean of some frames, (Z, Y, X) float32; reading stops after the last of them."""
    wanted = range(len(series))[frames]
    total: np.ndarray = np.zeros(())
    for index, frame in enumerate(series):
        if index in wanted:
            total = total + frame.astype(np.float64)
        if index == wanted[-1]:
            break
    return (total / len(wanted)).astype(np.float32)


def _row(
    passage: Passage,
    series: Series,
    brain: np.ndarray,
    spacing_zyx_mm: tuple[float, float, float],
) -> dict[str, float | int | str]:
    return {
        "frames": len(series),
        "brain_ml": brain_ml(brain, spacing_zyx_mm),
        **describe(passage),
    }
