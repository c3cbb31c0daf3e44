"""The background of an image: the constant that was written where nothing was measured.

Perfusion software writes 0, -1, -30, -1000, NaN or another constant outside the tissue, each map
its own. A constant is recognised by the rim of the slices, where no brain is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

_LEAST_SHARE = 0.2
"""Choice: of a slice's rim. The most frequent whole number in a brain at the rim has less."""
_LEAST_VOXELS = 8
_NOISE = 1e-4
"""Choice: a constant may vary by this part of the map's spread, as interpolation leaves it."""
_MARGIN = 16.0
"""Times the width of the narrowest fifth of the rim: covers normal noise of the constant."""
_ROUNDING = 1e-6
_FAR_ABOVE = 2.0
"""Choice: times the highest other value. A map that is clamped has other values just below."""
_AGREEMENT = 0.9
_MOST_CONSTANTS = 4
_SAMPLE = 50_000


class Constant(NamedTuple):
    """A value that many voxels share, and how far from it they may lie; NaN for what is no number.

    Attributes:
        value: the constant.
        margin: voxels within it count as the constant.
    """

    value: float
    margin: float

    @property
    def is_zero(self) -> bool:
        """Whether it is 0 but for noise."""
        return abs(self.value) <= self.margin

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Where the values are the constant, bool, the same shape."""
        if np.isnan(self.value):
            return ~np.isfinite(values)
        with np.errstate(invalid="ignore"):
            return np.abs(values - np.float32(self.value)) <= self.margin


class ClearedMaps(NamedTuple):
    """Perfusion maps whose background is 0.

    Attributes:
        maps: (Z, Y, X) float32 each; 0 where nothing was computed and nowhere else.
        constants: of each map, the constants that were its background, 0 left out.
    """

    maps: list[np.ndarray]
    constants: list[list[float]]


def clear_background(maps: Sequence[np.ndarray]) -> ClearedMaps:
    """Write 0 where a map holds its background, whatever constant that is.

    0 is always background: the software writes it in ventricles and vessels, too. Another constant
    is background where it fills at least a fifth of some slice's rim (or of the whole image) and
    cannot be perfusion: it is no number, or negative, or far above all other values, or the same
    voxels are background in another map. A map may have several. Where none is found, as in maps
    that were not masked, nothing changes.

    Args:
        maps: (Z, Y, X) each, as read; they are not changed.

    Source: our choice. No release says which constants its maps hold.
    """
    known = [volume == 0 for volume in maps]
    certain: list[list[Constant]] = []
    possible: list[list[Constant]] = []
    for volume, empty in zip(maps, known, strict=True):
        sure, perhaps = _constants(volume, empty)
        for constant in sure:
            empty |= constant.holds(volume)
        certain.append(sure)
        possible.append(perhaps)
    confirmed = _confirm(maps, known, possible)
    found = [sure + also for sure, also in zip(certain, confirmed, strict=True)]
    return ClearedMaps(
        [np.where(empty, np.float32(0), volume) for volume, empty in zip(maps, known, strict=True)],
        [[constant.value for constant in own if not constant.is_zero] for own in found],
    )


def name_backgrounds(names: Sequence[str], constants: Sequence[Sequence[float]]) -> str:
    """The backgrounds as text: ``MTT nan; Tmax -30``; empty if all maps have 0."""
    return "; ".join(
        f"{name} {' and '.join(f'{value:g}' for value in values)}"
        for name, values in zip(names, constants, strict=True)
        if values
    )


def constant_surroundings(volume: np.ndarray) -> np.ndarray:
    """Where a constant runs from the rim of a slice inwards: air of one value, or stripped tissue.

    The same value inside the head, such as 0 HU in a ventricle, does not count.

    Args:
        volume: (Z, Y, X), finite.

    Returns:
        (Z, Y, X) bool; empty where no constant fills a fifth of the slice's rim.
    """
    outside = np.zeros(volume.shape, bool)
    sample = _sample(volume)
    for plane, found in zip(volume, outside, strict=True):
        rim = _rim(plane)
        same = np.zeros(plane.shape, bool)
        for constant in _modes(rim, len(rim), sample):
            same |= constant.holds(plane)
        labels, _ = ndimage.label(same)
        found[:] = same & np.isin(labels, np.unique(_rim(labels)))
    return outside


def _confirm(
    maps: Sequence[np.ndarray], known: list[np.ndarray], possible: list[list[Constant]]
) -> list[list[Constant]]:
    """The possible constants whose voxels are background in another map, which become known."""
    regions = [
        [constant.holds(volume) & ~empty for constant in constants]
        for volume, empty, constants in zip(maps, known, possible, strict=True)
    ]
    confirmed: list[list[Constant]] = [[] for _ in maps]
    found = [empty.copy() for empty in known]
    for index, own in enumerate(regions):
        others = [k for k in range(len(maps)) if k != index]
        for constant, region in zip(possible[index], own, strict=True):
            # Of two constants that are only possible, each must confirm the other.
            shared = [region & known[k] for k in others]
            shared += [
                region & other
                for k in others
                for other in regions[k]
                if _mostly(region & other, other)
            ]
            agreeing = [both for both in shared if _mostly(both, region)]
            if agreeing:
                found[index] |= max(agreeing, key=np.count_nonzero)
                confirmed[index].append(constant)
    known[:] = found
    return confirmed


def _mostly(part: np.ndarray, whole: np.ndarray) -> bool:
    return bool(np.count_nonzero(part) >= _AGREEMENT * np.count_nonzero(whole) > 0)


def _constants(volume: np.ndarray, empty: np.ndarray) -> tuple[list[Constant], list[Constant]]:
    """The constants of a map that must be background, and those that may be; 0 is not among them.

    Args:
        volume: (Z, Y, X).
        empty: (Z, Y, X) bool, where it is 0.
    """
    sample = _sample(volume)
    certain: list[Constant] = []
    possible: list[Constant] = []
    for constant in _candidates(volume, empty, sample):
        others = sample[np.isfinite(sample) & (sample != 0) & ~constant.holds(sample)]
        far_above = others.size and constant.value > _FAR_ABOVE * max(others.max(), 0.0)
        if np.isnan(constant.value) or constant.value <= constant.margin or far_above:
            certain.append(constant)
        elif others.size:
            possible.append(constant)
    return certain, possible


def _candidates(volume: np.ndarray, empty: np.ndarray, sample: np.ndarray) -> list[Constant]:
    """Constants, other than 0, that fill a fifth of some slice's rim or of the whole image."""
    left = sample[np.isfinite(sample) & (sample != 0)]
    found: list[Constant] = []
    if np.count_nonzero(~np.isfinite(sample)) >= _LEAST_SHARE * len(sample):
        found.append(Constant(float("nan"), 0.0))
    for plane, off in zip(volume, empty, strict=True):
        rim, known = _rim(plane), _rim(off)
        bad = ~np.isfinite(rim)
        if bad.sum() >= _LEAST_SHARE * len(rim):
            found = _merged(found, Constant(float("nan"), 0.0))
        for constant in _modes(rim[~known & ~bad], len(rim), left):
            found = _merged(found, constant)
    for constant in found:
        left = left[~constant.holds(left)]
    # Where the field of view was turned, another constant lies between this one and the rim.
    inner = [constant for constant in _modes(left, len(sample), left) if constant.value < 0]
    return found + inner


def _merged(found: list[Constant], new: Constant) -> list[Constant]:
    """The constants and one more; one that is the same but for noise widens the one that is there.

    NaN equals itself here.
    """
    for index, old in enumerate(found):
        if np.isnan(old.value) or np.isnan(new.value):
            if np.isnan(old.value) and np.isnan(new.value):
                return found
        elif abs(old.value - new.value) <= old.margin + new.margin:
            return [*found[:index], old._replace(margin=max(old.margin, new.margin))] + found[
                index + 1 :
            ]
    return [*found, new]


def _modes(values: np.ndarray, n_all: int, sample: np.ndarray) -> list[Constant]:
    """The constants that at least a fifth of ``n_all`` values have, the narrowest first.

    Args:
        values: (N,), finite.
        n_all: how many values count as the whole.
        sample: (M,) voxels of the image, without the constants that are known. A constant varies
            by at most 1e-4 of their spread, the constant itself left out.
    """
    least = max(_LEAST_VOXELS, int(np.ceil(_LEAST_SHARE * n_all)))
    found: list[Constant] = []
    left = np.sort(values).astype(np.float64)
    while len(left) >= least and len(found) < _MOST_CONSTANTS:
        widths = left[least - 1 :] - left[: len(left) - least + 1]
        start = int(widths.argmin())
        width = float(widths[start])
        middle = float(np.median(left[start : start + least]))
        constant = Constant(middle, _MARGIN * width + _ROUNDING * abs(middle))
        sample = sample[~constant.holds(sample)]
        if width > max(_ROUNDING * abs(middle), _NOISE * _spread(sample)):
            break
        found.append(constant)
        left = left[~constant.holds(left)]
    return found


def _spread(values: np.ndarray) -> float:
    """From the 5th to the 95th percentile of the finite values; 0 without any."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0
    low, high = np.percentile(finite, (5, 95))
    return float(high - low)


def _sample(volume: np.ndarray) -> np.ndarray:
    """At most 50,000 voxels at even steps, (N,).

    A step that divides rows or columns evenly would come back to the same few columns, all of them
    background.
    """
    step = max(1, -(-volume.size // _SAMPLE))
    while math.gcd(step, volume.shape[-1] * volume.shape[-2]) > 1:
        step += 1
    return volume.ravel()[::step]


def _rim(plane: np.ndarray) -> np.ndarray:
    """The outermost pixels of (Y, X), each once."""
    if min(plane.shape) < 3:
        return plane.ravel()
    return np.concatenate([plane[0], plane[-1], plane[1:-1, 0], plane[1:-1, -1]])
