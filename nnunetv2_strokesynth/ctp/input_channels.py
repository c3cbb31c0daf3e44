"""From the images of a CT perfusion scan to the channels of a preset.

The converters and the prediction of a single patient both use this module, so that a network sees
the same channels in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.channels import (
    CT,
    CT_Z,
    CTA,
    CTP,
    DWI,
    EQUALISED,
    MIRRORED,
    PERFUSION_MAPS,
    Preset,
)
from nnunetv2_strokesynth.ctp.brain_mask import Brain, brain_of_scan
from nnunetv2_strokesynth.ctp.frames import sample_frames
from nnunetv2_strokesynth.ctp.intensity_windows import WINDOWS, equalised
from nnunetv2_strokesynth.ctp.mirror import (
    Mirror,
    find_mirror,
    mirrored,
)
from nnunetv2_strokesynth.ctp.perfusion_window import (
    PerfusionWindow,
    find_perfusion_window,
)
from nnunetv2_strokesynth.ctp.plausibility.brain import check_brain
from nnunetv2_strokesynth.ctp.plausibility.densities import check_densities
from nnunetv2_strokesynth.ctp.plausibility.finding import Finding, label, settle, warn_only
from nnunetv2_strokesynth.ctp.plausibility.perfusion_maps import check_maps
from nnunetv2_strokesynth.ctp.plausibility.series import check_contrast, check_n_frames
from nnunetv2_strokesynth.ctp.time_intensity_curve import SeriesSummary, summarise
from nnunetv2_strokesynth.io.series import Series


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
        files: ``CT``, ``CBF``, ... -> name of the file, of those that are given.
        cta: (Z, Y, X), HU, the CT angiography; None without one.
    """

    ct: np.ndarray
    maps: np.ndarray
    series: Series
    series_name: str
    spacing_zyx_mm: tuple[float, float, float]
    dwi: np.ndarray | None = None
    brain: np.ndarray | None = None
    files: Mapping[str, str] = MappingProxyType({})
    cta: np.ndarray | None = None


class CtpChannels(NamedTuple):
    """What a network reads of a scan.

    Attributes:
        channels: (Z, Y, X) float32 each, in the preset's order, not masked. A list, because of a
            scan of 512 x 512 x 80 voxels one array of 12 would take a further 1 GB.
        mask: (Z, Y, X), bool, the brain.
        curve: (T,), q(t).
        window: the perfusion window.
        row: cells of the scan's line in the report.
        warnings: sentences for the user.
    """

    channels: list[np.ndarray]
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
        ValueError: there is no brain; the series does not change over time or holds NaN or
            infinity; the values of an image that the preset reads cannot be right, see
            ``plausibility``; or there is no CTA and the preset reads it.
    """
    settle(_of_preset(preset, _doubts_at_once(images)))
    brain = _brain(images)
    mask = brain.mask
    summary = summarise(images.series, images.series_name, brain=mask)
    if not summary.changes:
        raise ValueError(
            f"the {len(images.series)} frames of {images.series_name} are all equal: "
            "no contrast agent"
        )
    doubts = settle(_of_preset(preset, _doubts(images, mask, summary)))
    window = find_perfusion_window(summary.curve, first_pass=preset.first_pass)
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
    if preset.reads_cta and images.cta is None:
        raise ValueError("there is no CT angiography, which a channel is made from")
    parts = _Parts(summary.mip, window, mask, lay_over)
    channels = _in_order(preset, images, parts)
    warnings = [*brain.warnings, *doubts]
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


def _ct_label(images: CtpImages) -> str:
    return label(CT, images.files.get(CT))


def _series_label(images: CtpImages) -> str:
    return label(CTP, images.series_name)


def _doubts_at_once(images: CtpImages) -> list[Finding]:
    """What is wrong before the brain is known; an offset CT would lead the search astray."""
    n_frames = check_n_frames(_series_label(images), len(images.series))
    return [*n_frames, *check_densities(_ct_label(images), images.ct)]


def _doubts(images: CtpImages, mask: np.ndarray, summary: SeriesSummary) -> list[Finding]:
    """What is wrong with the images and the brain; only warnings for a series of few frames."""
    series = _series_label(images)
    assert summary.brain_hu is not None  # the brain is given
    return [
        *check_n_frames(series, len(images.series)),
        *check_brain(mask, images.spacing_zyx_mm),
        *check_densities(_ct_label(images), images.ct, mask),
        *check_densities(series, summary.first, mask),
        *check_contrast(series, summary.brain_hu),
        *check_maps(PERFUSION_MAPS, images.maps, mask, files=images.files),
    ]


def _of_preset(preset: Preset, findings: list[Finding]) -> list[Finding]:
    """The findings; those about images that the preset's channels do not show only warn."""
    from_series = any(name.startswith(("MIP", "CTA_")) for name in preset.names)

    def is_not_read(finding: Finding) -> bool:
        name = finding.image.split(" (")[0]
        return not from_series if name == CTP else name not in preset.images

    return warn_only(findings, is_not_read)


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


class _Parts(NamedTuple):
    """What was found in a scan: MIP, window, brain, and how a mirrored channel is made."""

    mip: np.ndarray
    window: PerfusionWindow
    mask: np.ndarray
    lay_over: Callable[[str, np.ndarray], np.ndarray] | None


def _in_order(preset: Preset, images: CtpImages, parts: _Parts) -> list[np.ndarray]:
    """(Z, Y, X) float32 each, in the preset's order."""
    _, window, mask, lay_over = parts
    maps = dict(zip(PERFUSION_MAPS, images.maps, strict=True))
    channels = {CT: images.ct, CT_Z: images.ct, **maps, "MIP": parts.mip}
    if images.dwi is not None:
        channels[DWI] = images.dwi
    if images.cta is not None:
        channels[CTA] = images.cta
    if preset.n_frames:
        limits = (window.t_start, window.t_end)
        frames = sample_frames(images.series, *limits, n_frames=preset.n_frames)
        channels["MIP_P"] = frames.max(axis=0)
        channels |= {f"CTA_{k}": frame for k, frame in enumerate(frames)}
    if EQUALISED + CTA in preset.names and images.cta is not None:
        for name, volume in {**maps, CTA: images.cta}.items():
            # Skull and air have no part in the histogram.
            channels[EQUALISED + name] = equalised(np.where(mask, volume, 0), WINDOWS[name])
    if lay_over is not None:
        channels |= {f"{name}_M": lay_over(name, channels[name]) for name in MIRRORED}
    return [channels[name].astype(np.float32, copy=False) for name in preset.names]
