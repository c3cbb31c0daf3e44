"""Voxels that hold no measurement: NaN, infinite, or a value that nothing in a head can have.

Perfusion software divides by a flow of nearly 0, and leaves NaN, infinity or MTTs of -54,112 s. One
such voxel spoils the mean and the spread of its whole image. It becomes background, it is counted,
and an image with many of them in the brain is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.channels import CT, CTA, CTP, DWI
from nnunetv2_strokesynth.io.series import LARGEST_HU

MOST_OF_BRAIN = 0.1
"""Choice: the part of the brain in which one image may hold no measurement."""
_SECONDS = (-5.0, 300.0)
"""Choice: no series lasts for 300 s; a peak a few seconds too early comes from noise."""
_LIMITS = {
    "MTT": (*_SECONDS, "s"),
    "Tmax": (*_SECONDS, "s"),
    "TTP": (*_SECONDS, "s"),
    CT: (-LARGEST_HU, LARGEST_HU, "HU"),
    CTA: (-LARGEST_HU, LARGEST_HU, "HU"),
    CTP: (-LARGEST_HU, LARGEST_HU, "HU"),
    DWI: (-1e30, 1e30, ""),
}
_ONE_SIDE = 0.9
_LEAST_OF_HIGH, _MOST_OF_HIGH = -0.1, 50.0
"""Choice: times the 90th percentile of what is positive, for flow, volume and diffusion."""


class Unusable(NamedTuple):
    """The voxels of one image that hold no measurement.

    Attributes:
        name: the image, such as ``MTT``.
        n_voxels: how many.
        where: (Z, Y, X), bool, or float32 shares of a voxel where several became one.
        found: the values, for the user.
    """

    name: str
    n_voxels: int
    where: np.ndarray
    found: str


def clear_unusable(
    name: str, volume: np.ndarray, *, background: float = 0.0
) -> tuple[np.ndarray, list[Unusable]]:
    """Write the background where an image holds no measurement.

    Args:
        name: of the image, as in ``channels.py``; it decides which values are possible. Times lie
            from -5 to 300 s. Flow, volume and diffusion, whose unit depends on the software, lie
            from -0.1 to 50 times the 90th percentile of what is positive. An image in another unit,
            such as a Tmax in ms, keeps its values: ``plausibility`` says what is wrong with it.
        volume: (Z, Y, X) float32; a background other than 0 must have become 0. Not changed.
        background: what is written.

    Returns:
        The volume, itself if it is sound; and one entry if it is not, else none.

    Raises:
        ValueError: no voxel holds a measurement.

    Source: our choice.
    """
    low, high, unit = _limits(name, volume)
    with np.errstate(invalid="ignore"):
        usable = (volume >= low) & (volume <= high)
    if _is_in_another_unit(volume, usable):
        usable = np.isfinite(volume)
    if usable.all():
        return volume, []
    where = ~usable
    count = int(np.count_nonzero(where))
    found = _found(volume[where], f"{low:g} to {high:g} {unit}".rstrip())
    if not usable.any():
        raise ValueError(f"{name} holds no measurement in any of its {count} voxels: {found}")
    return np.where(usable, volume, np.float32(background)), [Unusable(name, count, where, found)]


def series_unusable(where: np.ndarray | None) -> list[Unusable]:
    """The entry of a series: (Z, Y, X), where some frame holds no number; None for nowhere."""
    if where is None or not where.any():
        return []
    n_voxels = int(np.count_nonzero(where))
    found = f"{n_voxels} NaN, infinite or beyond 33,000 HU in some frame"
    return [Unusable(CTP, n_voxels, where, found)]


def counted(found: Sequence[Unusable]) -> str:
    """The counts as text: ``CBF 2; MTT 302261``; empty where there is none."""
    return "; ".join(f"{one.name} {one.n_voxels}" for one in found)


def check_unusable(found: Sequence[Unusable], brain: np.ndarray) -> list[str]:
    """Refuse images with too little left, and describe what was set to background.

    Args:
        found: from ``clear_unusable``, on the voxels of the brain.
        brain: (Z, Y, X) bool, with at least one voxel.

    Returns:
        A sentence for each image.

    Raises:
        ValueError: more than a tenth of the brain holds no measurement in some image.
    """
    said = []
    for one in found:
        share = float(one.where[brain].mean())
        if share > MOST_OF_BRAIN:
            raise ValueError(
                f"{one.name} holds no measurement in {share:.0%} of the brain ({one.found}), "
                f"expected at most {MOST_OF_BRAIN:.0%}. Export the image again, or leave it out"
            )
        said.append(
            f"{one.name} holds voxels without a measurement ({one.found}), which became "
            f"background; they are {100 * share:.2g} % of the brain"
        )
    return said


def _limits(name: str, volume: np.ndarray) -> tuple[float, float, str]:
    if name in _LIMITS:
        return _LIMITS[name]
    positive = volume[np.isfinite(volume) & (volume > 0)]
    if not positive.size:
        return -np.finfo(np.float32).max, np.finfo(np.float32).max, ""
    typical = float(np.percentile(positive, 90))
    return _LEAST_OF_HIGH * typical, _MOST_OF_HIGH * typical, ""


def _is_in_another_unit(volume: np.ndarray, usable: np.ndarray) -> bool:
    """Whether most values are impossible, all on one side of 0; divisions by 0 go to both."""
    measured = np.isfinite(volume) & (volume != 0)
    count = int(np.count_nonzero(measured))
    if np.count_nonzero(measured & ~usable) <= count / 2:
        return False
    positive = np.count_nonzero(volume[measured] > 0) / count
    return not 1 - _ONE_SIDE <= positive <= _ONE_SIDE


def _found(values: np.ndarray, expected: str) -> str:
    """``2 NaN or infinite, 1 of -54112, expected -5 to 300 s``."""
    finite = values[np.isfinite(values)]
    parts = [f"{values.size - finite.size} NaN or infinite"] if finite.size < values.size else []
    if finite.size:
        low, high = float(finite.min()), float(finite.max())
        span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
        parts.append(f"{finite.size} of {span}, expected {expected}")
    return ", ".join(parts)
