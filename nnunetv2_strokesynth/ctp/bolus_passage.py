"""The bolus as the vessels saw it: the numbers and warnings that a reader of the maps needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.ctp.arteries import (
    LARGEST_SCALE,
    LEAST_AREA,
    LEAST_SIGNIFICANCE,
    Vessel,
)
from nnunetv2_strokesynth.ctp.baseline import find_onset

LEAST_PEAK_HU = 15.0
"""Choice: the arterial curves measured on ISLES 2018 peak at 35 to 265 HU."""
_TRUNCATED = 0.4
"""Choice: of the peak; recirculating contrast reaches about as much, and does little harm."""
_STEEPEST_PER_S = 0.5
"""Choice: of the peak; a bolus 4 s wide, narrower than any measured, rises by 0.35 of it."""


class Passage(NamedTuple):
    """The bolus as the vessels saw it.

    Attributes:
        aif, vof: curves of T frames; ``vof`` is None where no vein was found.
        given: whether the user chose AIF, and VOF.
        baseline: the frames without contrast.
        frame_s: time between frames, s.
        scale: factor of the AIF's enhancement in the deconvolution.
        stored_voxel: from indices x, y, z to those that the user knows, if the series was brought
            to another order of axes; None if it was not.
    """

    aif: Vessel
    vof: Vessel | None
    given: tuple[bool, bool]
    baseline: slice
    frame_s: float
    scale: float = 1.0
    stored_voxel: Callable[[tuple[int, int, int]], tuple[int, int, int]] | None = None

    def names_of(self, vessel: Vessel) -> list[str]:
        """``x y z`` of each of a vessel's voxels, as the user knows them."""
        voxels = [(x, y, z) for z, y, x in vessel.voxels]
        named = [self.stored_voxel(voxel) for voxel in voxels] if self.stored_voxel else voxels
        return [f"{x} {y} {z}" for x, y, z in named]

    @property
    def onset(self) -> int:
        """Frames before the contrast arrives, at least 1."""
        return find_onset(self.aif.curve)

    def enhancement(self, vessel: Vessel) -> np.ndarray:
        """(T,) HU over the baseline."""
        return vessel.curve - vessel.curve[self.baseline].mean()


def check_bolus(passage: Passage) -> None:
    """Raise ``ValueError`` unless the artery enhances enough, and stands out of the noise.

    Enough is ``LEAST_PEAK_HU``, and ``LEAST_SIGNIFICANCE`` times the noise where it was found.
    """
    peak_hu = _smooth(passage.enhancement(passage.aif), passage.frame_s).max()
    voxel = passage.names_of(passage.aif)[0]
    advice = "choose another --aif" if passage.given[0] else "pass --aif X Y Z if there is one"
    if passage.aif.significance < LEAST_SIGNIFICANCE:
        raise ValueError(
            f"no bolus: nothing in the brain enhances as an artery does. The best voxel, x y z = "
            f"{voxel}, stands {passage.aif.significance:.1f} times as high as the noise, expected "
            f"at least {LEAST_SIGNIFICANCE:.0f}; {advice}"
        )
    if peak_hu < LEAST_PEAK_HU:
        raise ValueError(
            f"no bolus: the artery at voxel x y z = {voxel} enhances by {peak_hu:.1f} HU, "
            f"expected at least {LEAST_PEAK_HU:.0f}; {advice}"
        )


def list_warnings(passage: Passage, times_s: np.ndarray) -> list[str]:
    """Sentences about what makes the maps doubtful.

    Args:
        passage: of the series at even steps.
        times_s: (T,) times of the frames as recorded.
    """
    found = []
    steps = np.diff(times_s)
    if steps.max() > 1.1 * steps.min():
        found.append(
            f"frames lie {steps.min():.2f} to {steps.max():.2f} s apart: interpolated to "
            f"{passage.frame_s:.2f} s"
        )
    enhancement = _smooth(passage.enhancement(passage.aif), passage.frame_s)
    last = float(enhancement[-1] / enhancement.max())
    if last > _TRUNCATED:
        found.append(
            f"the series ends before the bolus has passed: the artery's last value is {last:.0%} "
            "of its peak; CBV and MTT are too low where blood arrives late"
        )
    raw = passage.enhancement(passage.aif)
    if np.abs(np.diff(raw)).max() > _STEEPEST_PER_S * passage.frame_s * raw.max():
        found.append(
            "the artery's curve jumps from one frame to the next, as where the head moved: look at "
            "the picture, and choose another --aif"
        )
    if passage.onset < 2 or passage.baseline.start is not None:
        found.append(
            "no frame, or one, precedes the contrast: the baseline is uncertain, and so are all "
            "maps"
        )
    return found + _vein_warnings(passage)


def _vein_warnings(passage: Passage) -> list[str]:
    if passage.vof is None:
        return ["no vein was found: the AIF cannot be checked for partial volume"]
    areas = [passage.enhancement(vessel).sum() for vessel in (passage.aif, passage.vof)]
    if areas[1] < LEAST_AREA * areas[0]:
        return [f"the vein's area is {areas[1] / areas[0]:.0%} of the artery's: a wrong vein?"]
    if passage.scale >= LARGEST_SCALE:
        return [
            f"the vein's area is {LARGEST_SCALE:.0f} times the artery's or more: the AIF is scaled "
            "by no more than that; choose a thicker artery with --aif"
        ]
    return []


def describe(passage: Passage) -> dict[str, float | int | str]:
    """The passage as plain numbers and strings, for a table or JSON."""
    row: dict[str, float | int | str] = {
        "frame_s": round(passage.frame_s, 4),
        "onset_frame": passage.onset,
        "onset_s": round(passage.onset * passage.frame_s, 2),
        "baseline": "last frames" if passage.baseline.start is not None else "before the contrast",
    }
    for name, vessel, given in zip(
        ("aif", "vof"), (passage.aif, passage.vof), passage.given, strict=True
    ):
        if vessel is None:
            row[f"{name}_source"] = "not found"
            continue
        curve = passage.enhancement(vessel)
        row |= {
            f"{name}_source": "given" if given else "automatic",
            f"{name}_voxels_xyz": "; ".join(passage.names_of(vessel)),
            f"{name}_peak_hu": round(float(curve.max()), 1),
            f"{name}_peak_s": round(float(curve.argmax()) * passage.frame_s, 2),
            f"{name}_area_hu_s": round(float(curve.sum()) * passage.frame_s, 1),
        }
    row["aif_scale"] = round(passage.scale, 3)
    return row


def _smooth(curve: np.ndarray, frame_s: float) -> np.ndarray:
    """A curve smoothed by a second."""
    return ndimage.gaussian_filter1d(curve.astype(np.float64), 1.0 / frame_s)
