"""The two sides of a head that is rarely upright in the middle of its image."""

from __future__ import annotations

import math

import numpy as np

from nnunetv2_strokesynth.ctp.mirror import FLIPPED, find_mirror


def higher_x_side(
    ct: np.ndarray, brain: np.ndarray, spacing_zyx_mm: tuple[float, float, float]
) -> np.ndarray:
    """The side of the midline on which x is higher: the patient's left in ``LPS`` order.

    The midline is where a voxel lies on its own mirror image, by the registration of the flipped CT
    (``find_mirror``). Where that fails, it is a vertical line through the middle of the brain.

    Args:
        ct: (Z, Y, X), HU.
        brain: bool (Z, Y, X), with at least one voxel.
        spacing_zyx_mm: voxel sizes.

    Returns:
        bool (Z, Y, X).
    """
    mirror = find_mirror(ct, brain, spacing_zyx_mm)
    n_y, n_x = brain.shape[1:]
    x_mm = (np.arange(n_x) - (n_x - 1) / 2) * spacing_zyx_mm[2]
    if mirror.rule == FLIPPED:
        middle_mm = np.average(x_mm, weights=brain.sum(axis=(0, 1)))
        return np.broadcast_to(x_mm > middle_mm, brain.shape)
    y_mm = ((np.arange(n_y) - (n_y - 1) / 2) * spacing_zyx_mm[1])[:, None]
    (centre_x, centre_y), (shift_x, _) = (
        mirror.transform.GetCenter(),
        mirror.transform.GetTranslation(),
    )
    angle = mirror.transform.GetAngle()
    flipped_x = math.cos(angle) * (x_mm - centre_x) - math.sin(angle) * (y_mm - centre_y)
    # A voxel at x has its counterpart at -flipped_x; it is on the higher side if that is lower.
    return np.broadcast_to(x_mm + flipped_x + centre_x + shift_x > 0, brain.shape)


def side_of(found: np.ndarray, higher_x: np.ndarray, *, known: bool) -> str:
    """``left``, ``right``, ``both`` (a tenth or more on the smaller side), ``none`` or ``unknown``.

    Args:
        found: bool (Z, Y, X), such as a lesion, in ``LPS`` order.
        higher_x: of ``higher_x_side``.
        known: whether the header tells left from right.
    """
    total, left = int(found.sum()), int((found & higher_x).sum())
    if not total:
        return "none"
    if min(left, total - left) >= BOTH_SIDES * total:
        return "both"
    if not known:
        return "unknown"
    return "left" if left > total - left else "right"


BOTH_SIDES = 0.1
"""Choice: share of the smaller side from which a finding is on both."""
