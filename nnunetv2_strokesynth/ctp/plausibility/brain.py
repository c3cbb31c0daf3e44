"""Whether a brain mask has a brain's size, and a lesion's share of it is plausible."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnunetv2_strokesynth.channels import BRAIN_MASK
from nnunetv2_strokesynth.ctp.plausibility.finding import Finding

_MOST_ML = 2500.0
"""Choice: the largest brains have 2 L; a mask may have sulci and a rim besides."""
_MOST_MM = 220.0
"""Choice: from the foramen magnum to the vertex are 150 mm."""
_WIDEST_CM2 = (40.0, 300.0)
"""Choice: of the widest slice. That of a brain 170 mm long and 135 mm wide has 180 cm2."""
_LEAST_MEAN_CM2 = 20.0
_MOST_OF_BRAIN = 0.5
"""Choice: a hemisphere. The largest lesion of ISLES 2024 (222 mL) is a sixth of a brain; in a slab
that shows little else, an infarct of the middle cerebral artery has less than a half."""
_MOST_OUTSIDE = 0.1


def check_brain(brain: np.ndarray, spacing_zyx_mm: Sequence[float]) -> list[Finding]:
    """What is wrong with the size of a brain mask; at most one finding, which warns.

    A slab of two slices is a legitimate scan. So a small volume says nothing, and the areas of the
    slices do.

    Args:
        brain: (Z, Y, X) bool, not empty.
        spacing_zyx_mm: voxel sizes.
    """
    z_mm, y_mm, x_mm = (float(size) for size in spacing_zyx_mm)
    areas = brain.sum(axis=(1, 2)) * y_mm * x_mm / 100
    held = np.flatnonzero(areas)
    ml, long_mm = float(areas.sum()) * z_mm / 10, (held[-1] - held[0] + 1) * z_mm
    widest, mean = float(areas.max()), float(areas[held].mean())
    found = (
        f"{ml:.0f} mL in {len(held)} slices over {long_mm:.0f} mm, {widest:.0f} cm2 in the widest "
        f"slice and {mean:.0f} on average"
    )
    low, high = _WIDEST_CM2
    action = "look at the mask and at the voxel sizes"
    if ml > _MOST_ML or widest > high or long_mm > _MOST_MM:
        expected = f"at most {_MOST_ML:.0f} mL, {high:g} cm2 and {_MOST_MM:g} mm"
        action += ": is everything in the image taken as brain? Give a brain mask"
        return [Finding(BRAIN_MASK, found, expected, action, refuses=False)]
    if widest < low or mean < _LEAST_MEAN_CM2:
        expected = f"at least {low:g} cm2 in the widest slice and {_LEAST_MEAN_CM2:g} on average"
        action += ": is most of the brain missing? Give a brain mask"
        return [Finding(BRAIN_MASK, found, expected, action, refuses=False)]
    return []


def check_lesion(image: str, lesion: np.ndarray, brain: np.ndarray) -> list[Finding]:
    """A finding, which warns, where a lesion fills the brain.

    Args:
        image: what to call it.
        lesion, brain: (Z, Y, X) bool.
    """
    size = int(np.count_nonzero(brain))
    share = int(np.count_nonzero(lesion & brain)) / max(size, 1)
    if share <= _MOST_OF_BRAIN:
        return []
    return [
        Finding(
            image,
            f"{share:.0%} of the brain",
            f"at most {_MOST_OF_BRAIN:.0%}",
            "look at it: are lesion and background swapped, or the images not in their units?",
            refuses=False,
        )
    ]


def check_prediction(
    lesion: np.ndarray, probability: np.ndarray, brain: np.ndarray
) -> list[Finding]:
    """What a reader of a predicted lesion must know about it; all findings warn.

    Args:
        lesion: (Z, Y, X) bool, predicted.
        probability: (Z, Y, X), of lesion.
        brain: (Z, Y, X) bool.
    """
    image = "predicted lesion"
    size = int(np.count_nonzero(lesion))
    if not size:
        highest = float(probability.max())
        found = f"no voxel, with a highest probability of {highest:.2f}"
        action = "a small or early infarct may be missed: look at the images"
        return [Finding(image, found, "a lesion in most scans", action, refuses=False)]
    outside = int(np.count_nonzero(lesion & ~brain)) / size
    findings = check_lesion(image, lesion, brain)
    if outside > _MOST_OUTSIDE:
        found, expected = f"{outside:.0%} outside the brain mask", f"at most {_MOST_OUTSIDE:.0%}"
        action = "look at the mask, and at how the head lies"
        findings.append(Finding(image, found, expected, action, refuses=False))
    return findings
