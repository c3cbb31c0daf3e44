"""The large vessels of a CTP series: the artery that feeds the brain and the vein that drains it.

Curves are (N, T) float32, a row for each voxel of a mask in the order of ``array[mask]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

_N_VOXELS = 6
_RIM_MM = 5.0
_STRONG_PERCENTILE = 97.0
_CHUNK = 16384
_VENOUS_LAG_S = (1.0, 12.0)
"""Choice: 6.3 s with a standard deviation of 1.5 s between the peaks measured on ISLES 2018."""
_BLOOD_HU = (15.0, 90.0)
"""Choice: before the contrast. Bone that moves into a voxel enhances more than any vein."""
_LEAST_HEIGHT, _LEAST_WIDTH = 0.5, 0.8
"""Choice: of the artery's height and width. A jolt of the head lasts a few frames only."""
LEAST_AREA = 0.8
"""Choice: of the artery's area. They would be equal without noise and with a longer recording."""
_LEAST_VEIN_VOXELS = 3
LARGEST_SCALE = 3.0
"""Choice: an artery that fills less than a third of its voxel is a wrong pick; choose another."""


class Vessel(NamedTuple):
    """A vessel's curve and the voxels it is the mean of.

    Attributes:
        curve: (T,) HU, the baseline included.
        voxels: (z, y, x) of each, the one that enhances most first.
    """

    curve: np.ndarray
    voxels: tuple[tuple[int, int, int], ...]


class _Candidates(NamedTuple):
    """Voxels of strong enhancement: (M, T) HU, (M, T) over the 10th percentile, (M, 3) z y x."""

    curves: np.ndarray
    rise: np.ndarray
    voxels: np.ndarray

    def only(self, chosen: np.ndarray) -> _Candidates:
        return _Candidates(*(values[chosen] for values in self))

    def mean(self) -> Vessel:
        """Their vessel; the voxels must be in rising order of their height."""
        voxels = tuple((int(z), int(y), int(x)) for z, y, x in self.voxels[::-1])
        return Vessel(self.curves.mean(axis=0), voxels)


def _rise(curves: np.ndarray) -> np.ndarray:
    smooth = ndimage.gaussian_filter1d(curves, 1.2, axis=1)
    return smooth - np.percentile(smooth, 10, axis=1)[:, None]


def _heights(curves: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Enhancement of the given rows of (N, T), HU."""
    chunks = np.array_split(rows, max(1, -(-len(rows) // _CHUNK)))
    return np.concatenate([_rise(curves[chunk]).max(axis=1) for chunk in chunks])


def _candidates(curves: np.ndarray, mask: np.ndarray, rows: np.ndarray) -> _Candidates:
    voxels = np.stack(np.unravel_index(np.flatnonzero(mask)[rows], mask.shape), axis=1)
    return _Candidates(curves[rows], _rise(curves[rows]), voxels)


def _bolus_like(rise: np.ndarray) -> np.ndarray:
    """Whether each curve (N, T) is smooth and peaks before the end, bool (N,)."""
    jump = np.abs(np.diff(rise, n=2, axis=1)).max(axis=1)
    return (rise.argmax(axis=1) < rise.shape[1] - 3) & (jump < 0.35 * rise.max(axis=1))


def _half_rise(rise: np.ndarray) -> np.ndarray:
    """Time (frames, fractional) at which each curve (N, T) first reaches half of its maximum."""
    above = rise >= 0.5 * rise.max(axis=1, keepdims=True)
    after = np.maximum(above.argmax(axis=1), 1)
    rows = np.arange(len(rise))
    low, high = rise[rows, after - 1], rise[rows, after]
    half = 0.5 * rise.max(axis=1)
    return after - 1 + np.clip((half - low) / np.maximum(high - low, 1e-6), 0, 1)


def find_aif(
    curves: np.ndarray, brain: np.ndarray, *, pixel_mm: float, n_voxels: int = _N_VOXELS
) -> Vessel:
    """An artery picked from the data, for the arterial input function (AIF).

    Voxels near the skull are left out, because its edge moves. Of those that enhance most, the ones
    whose curve is smooth and peaks before the end are kept. The AIF is the mean of the highest
    among the earliest.

    Args:
        curves: (N, T), in HU or any other unit that is proportional to concentration up to a
            constant.
        brain: (Z, Y, X) bool, with N voxels.
        pixel_mm: in-plane voxel size.
        n_voxels: of which the AIF is the mean, at most.

    Raises:
        ValueError: the mask is empty.
    """
    if not brain.any():
        raise ValueError("the brain mask is empty; there is no artery to pick")
    steps = max(1, round(_RIM_MM / pixel_mm))
    inner = np.stack([ndimage.binary_erosion(plane, iterations=steps) for plane in brain])
    rows = np.flatnonzero((inner if inner.any() else brain)[brain])
    height = _heights(curves, rows)
    rows = rows[height >= np.percentile(height, _STRONG_PERCENTILE)]
    found = _candidates(curves, brain, rows)
    bolus_like = _bolus_like(found.rise)
    if np.count_nonzero(bolus_like) >= n_voxels:
        found = found.only(bolus_like)
    height, arrival = found.rise.max(axis=1), _half_rise(found.rise)
    early = np.flatnonzero(arrival <= np.percentile(arrival, 10) + 0.5)
    return found.only(early[np.argsort(height[early], kind="stable")[-n_voxels:]]).mean()


def find_vof(
    regions: Sequence[tuple[np.ndarray, np.ndarray]],
    aif: np.ndarray,
    *,
    baseline: slice,
    frame_s: float,
) -> Vessel | None:
    """A vein picked from the data, for the venous output function (VOF).

    Voxels at the rim of the brain count too, because the sagittal sinus runs there. A vein has the
    density of blood before the contrast. It enhances at least half as much as the artery (which may
    be thinner than a voxel), and it rises and peaks 1 to 12 s later. Its curve is smooth; its width
    is at least 0.8 of the artery's, and so is its area. The VOF is the mean of the highest such
    voxels, six at most.

    Args:
        regions: curves (N, T) HU and mask (Z, Y, X) of the brain, and of what surrounds it.
        aif: (T,) HU, the artery's curve.
        baseline: the frames without contrast.
        frame_s: time between frames, s.

    Returns:
        None if there are fewer than three such voxels.
    """
    artery = _rise(aif[None])
    parts = []
    for curves, mask in regions:
        density = curves[:, baseline].mean(axis=1)
        rows = np.flatnonzero((density > _BLOOD_HU[0]) & (density < _BLOOD_HU[1]))
        if rows.size:
            rows = rows[_heights(curves, rows) >= _LEAST_HEIGHT * artery.max()]
            parts.append(_candidates(curves, mask, rows))
    if not parts:
        return None
    found = _Candidates(*(np.concatenate(values) for values in zip(*parts, strict=True)))
    large = _area(found.curves, baseline) > LEAST_AREA * _area(aif, baseline)
    wide = _width(found.rise) >= _LEAST_WIDTH * _width(artery)
    found = found.only(_late(found.rise, artery, frame_s) & large & wide & _bolus_like(found.rise))
    if len(found.curves) < _LEAST_VEIN_VOXELS:
        return None
    return found.only(np.argsort(found.rise.max(axis=1), kind="stable")[-_N_VOXELS:]).mean()


def _late(rise: np.ndarray, artery: np.ndarray, frame_s: float) -> np.ndarray:
    """Whether each curve (N, T) follows the artery's (1, T) as a vein's does, bool (N,)."""
    least, most = (lag_s / frame_s for lag_s in _VENOUS_LAG_S)
    risen, peaked = _half_rise(rise) - _half_rise(artery), rise.argmax(axis=1) - artery.argmax()
    return (least <= risen) & (risen <= most) & (least <= peaked) & (peaked <= most)


def _width(rise: np.ndarray) -> np.ndarray:
    """Number of frames in which each curve (N, T) is over half of its maximum."""
    return np.count_nonzero(rise >= 0.5 * rise.max(axis=1, keepdims=True), axis=1)


def _area(curves: np.ndarray, baseline: slice) -> np.ndarray:
    return (curves - curves[..., baseline].mean(axis=-1, keepdims=True)).sum(axis=-1)


def partial_volume_scale(aif: np.ndarray, vof: np.ndarray, *, baseline: slice) -> float:
    """Factor by which the AIF's enhancement is too low because its artery is thinner than a voxel.

    All contrast that flows in flows out. So the areas under AIF and VOF are equal without partial
    volume, and a sinus is wide enough to have none: the factor is the ratio of the areas
    (Fieselmann et al., Int J Biomed Imaging 2011:467563, on partial volume). Our departure: both
    are summed over equally many frames from their half rise on, because the recording ends earlier
    for the vein.

    Args:
        aif, vof: (T,) HU.
        baseline: the frames without contrast.

    Returns:
        1 to ``LARGEST_SCALE``: partial volume makes an artery's curve lower and never higher.
    """
    arrivals = (_half_rise(_rise(curve[None]))[0] for curve in (aif, vof))
    artery, vein = (curve - curve[baseline].mean() for curve in (aif, vof))
    lag = max(0, -round(next(arrivals) - next(arrivals)))
    inflow = float(artery[: len(artery) - lag].sum())
    return float(np.clip(vein[lag:].sum() / inflow, 1.0, LARGEST_SCALE)) if inflow > 0 else 1.0


def vessel_at(series: Iterable[np.ndarray], xyz: tuple[int, int, int]) -> Vessel:
    """The vessel at a voxel: mean over it and its in-plane neighbours (radius 1: five voxels).

    Args:
        series: frames (Z, Y, X), walked through once.
        xyz: 0-based voxel indices x, y, z, as a viewer shows them.

    Raises:
        ValueError: the voxel lies outside the image.
    """
    x, y, z = xyz
    curve, voxels = [], None
    for frame in series:
        if voxels is None:
            size = frame.shape[::-1]
            if not all(0 <= i < n for i, n in zip(xyz, size, strict=True)):
                raise ValueError(
                    f"voxel x y z = {x} {y} {z} lies outside the image of {size} voxels; indices "
                    "count from 0"
                )
            cross = ((y, x), (y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
            voxels = tuple((z, j, i) for j, i in cross if 0 <= j < size[1] and 0 <= i < size[0])
        curve.append(np.mean([frame[voxel] for voxel in voxels], dtype=np.float64))
    return Vessel(np.array(curve, np.float32), voxels or ())
