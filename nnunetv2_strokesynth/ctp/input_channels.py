"""From the images of a CT perfusion scan to the channels of a preset.

The converters and the prediction of a single patient both use this module, so that a network sees
the same channels in both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.channels import (
    CT,
    DWI,
    MIRRORED,
    PERFUSION_MAPS,
    Preset,
)
from nnunetv2_strokesynth.ctp.brain_mask import Brain, brain_of_scan
from nnunetv2_strokesynth.ctp.frames import sample_frames
from nnunetv2_strokesynth.ctp.mirror import (
    Mirror,
    find_mirror,
    mirrored,
)
from nnunetv2_strokesynth.ctp.perfusion_window import (
    PerfusionWindow,
    find_perfusion_window,
)
from nnunetv2_strokesynth.ctp.time_intensity_curve import summarise
from nnunetv2_strokesynth.io.series import Series

_BRAIN_HU = (10, 70)


class CtpImages(NamedTuple):
    """What a scan consists of.

    Attributes:
        ct: (Z, Y, X), HU.
        maps: (4, Z, Y, X), in the order of ``PERFUSION_MAPS``; 0 where nothing was computed, see
            ``background.clear_background``.
        series: the CTP, frames (Z, Y, X) in HU.
        series_name: name of the series in error messages.
        spacing_zyx_mm: voxel sizes.
        dwi: (Z, Y, X), as measured; None without one.
        brain: (Z, Y, X) bool, a brain mask that the user gives; None to find the brain.
    """

    ct: np.ndarray
    maps: np.ndarray
    series: Series
    series_name: str
    spacing_zyx_mm: tuple[float, float, float]
    dwi: np.ndarray | None = None
    brain: np.ndarray | None = None


class CtpChannels(NamedTuple):
    """What a network reads of a scan.

    Attributes:
        channels: (C, Z, Y, X), float32, in the preset's order, not masked.
        mask: (Z, Y, X), bool, the brain.
        curve: (T,), q(t).
        window: the perfusion window.
        row: cells of the scan's line in the report.
        warnings: sentences for the user.
    """

    channels: np.ndarray
    mask: np.ndarray
    curve: np.ndarray
    window: PerfusionWindow
    row: dict[str, object]
    warnings: list[str]


def make_channels(preset: Preset, images: CtpImages) -> CtpChannels:
    """The input channels of a preset; the series is read twice at most.

    Args:
        preset: one that is ``made_from_ctp``.
        images: the scan.

    Raises:
        ValueError: there is no brain, or the series does not change over time or holds NaN or
            infinity.
    """
    brain = _brain(images)
    mask = brain.mask
    summary = summarise(images.series, images.series_name)
    if not summary.changes:
        raise ValueError(
            f"the {len(images.series)} frames of {images.series_name} are all equal: "
            "no contrast agent"
        )
    window = find_perfusion_window(summary.curve, smooth_first=preset.smooth_window)
    needs_mirror = any(name.endswith("_M") for name in preset.names)
    mirror = find_mirror(images.ct, mask, images.spacing_zyx_mm) if needs_mirror else None
    lay_over = _laying_over(mirror, mask, images.spacing_zyx_mm) if mirror else None
    row = {
        "n_frames": len(images.series),
        "t_start": window.t_start,
        "t_end": window.t_end,
        "window_rule": window.rule,
        "brain_mask": brain.source,
        **(mirror.row if mirror else {}),
    }
    channels = _stack(preset, images, mip=summary.mip, window=window, lay_over=lay_over)
    warnings = [*brain.warnings, *_unit_warnings(images.ct, mask)]
    if summary.n_repeated:
        warnings.append(
            f"{summary.n_repeated} of the {len(images.series)} frames of {images.series_name} "
            "repeat the frame before them: is the series stored twice, or filled up?"
        )
    return CtpChannels(channels, mask, summary.curve, window, row, warnings)


def _brain(images: CtpImages) -> Brain:
    if images.brain is None:
        return brain_of_scan(images.maps, images.ct, images.spacing_zyx_mm)
    if not images.brain.any():
        raise ValueError("the brain mask is empty")
    return Brain(images.brain, "given", [])


def _unit_warnings(ct: np.ndarray, mask: np.ndarray) -> list[str]:
    """A warning if the CT is not in HU: a network normalises it by fixed numbers in HU."""
    median = float(np.median(ct[mask]))
    low, high = _BRAIN_HU
    if low <= median <= high:
        return []
    return [
        f"the CT's median in the brain is {median:.0f}, expected {low} to {high} HU: is it in HU?"
    ]


def _laying_over(
    mirror: Mirror, mask: np.ndarray, spacing_zyx_mm: tuple[float, float, float]
) -> Callable[[str, np.ndarray], np.ndarray]:
    def lay_over(name: str, volume: np.ndarray) -> np.ndarray:
        """Without the skull, which would lie on the other side's brain, and without background.

        In a map, 0 is background; in the CT it is a density.
        """
        inside = mask if name == CT else mask & (volume != 0)
        return mirrored(volume, mirror.transform, spacing_zyx_mm, inside=inside)

    return lay_over


def _stack(
    preset: Preset,
    images: CtpImages,
    *,
    mip: np.ndarray,
    window: PerfusionWindow,
    lay_over: Callable[[str, np.ndarray], np.ndarray] | None,
) -> np.ndarray:
    """(C, Z, Y, X), float32, in the preset's order."""
    channels = {CT: images.ct, **dict(zip(PERFUSION_MAPS, images.maps, strict=True)), "MIP": mip}
    if images.dwi is not None:
        channels[DWI] = images.dwi
    if preset.n_frames:
        limits = (window.t_start, window.t_end)
        frames = sample_frames(images.series, *limits, n_frames=preset.n_frames)
        channels["MIP_P"] = frames.max(axis=0)
        channels |= {f"CTA_{k}": frame for k, frame in enumerate(frames)}
    if lay_over is not None:
        channels |= {f"{name}_M": lay_over(name, channels[name]) for name in MIRRORED}
    return np.stack([channels[name] for name in preset.names]).astype(np.float32, copy=False)
