"""The large vessels of a CTP series: the artery that feeds the brain and the vein that drains it.

Curves are (N, T) float32, a row for each voxel of a mask in the order of ``array[mask]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.ctp.bolus_shape import Shapes, describe_voxels, shapes_of

_N_VOXELS = 6
_RIM_MM = 5.0
_STRONG_PERCENTILE = 97.0
_OTHER_VESSEL_MM = 15.0
"""Choice: two voxels of the middle cerebral artery of one side lie closer."""
LEAST_SIGNIFICANCE = 8.0
"""Choice: of the height over its noise. The highest of a million voxels of noise reaches 6.5."""
_LEAST_SHARE = 0.12
"""Choice: of the significance of the clearest voxels, as of the thinnest artery over its vein in
156 scans of ISLES 2018. Fainter voxels are early by chance."""
_EARLY_S = 0.5
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
        significance: height of the bolus over the noise, median of the voxels; infinite where the
            user chose the voxel.
    """

    curve: np.ndarray
    voxels: tuple[tuple[int, int, int], ...]
    significance: float = float("inf")


def _mean_of(curves: np.ndarray, voxels: np.ndarray, significance: np.ndarray) -> Vessel:
    """The vessel of a few voxels, in rising order of their height."""
    places = tuple((int(z), int(y), int(x)) for z, y, x in voxels[::-1])
    return Vessel(curves.mean(axis=0), places, float(np.median(significance)))


def _voxels(mask: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(M, 3) z y x of some rows of the curves of a mask."""
    return np.stack(np.unravel_index(np.flatnonzero(mask)[rows], mask.shape), axis=1)


def find_aif(
    curves: np.ndarray,
    brain: np.ndarray,
    *,
    pixel_mm: float,
    frame_s: float,
    n_voxels: int = _N_VOXELS,
    allowed: np.ndarray | None = None,
) -> Vessel:
    """An artery picked from the data, for the arterial input function (AIF).

    Voxels near the skull are left out, because its edge moves. Curves are smoothed in plane before
    they are judged, so that the noise of single voxels does not pass for an artery. Those count
    that are shaped like a bolus and stand out of the noise, an eighth as far at least as the
    clearest. Of the 3 % that enhance most, the AIF is the mean of the highest
    among the earliest, as measured.

    Args:
        curves: (N, T), in HU or any other unit that is proportional to concentration up to a
            constant.
        brain: (Z, Y, X) bool, with N voxels.
        pixel_mm: in-plane voxel size.
        frame_s: time between frames.
        n_voxels: of which the AIF is the mean, at most.
        allowed: (Z, Y, X) bool, where the artery is looked for; None for the whole brain.

    Returns:
        The vessel. Where nothing stands out of the noise it is the best that there is, and its
        ``significance`` is below ``LEAST_SIGNIFICANCE``.

    Raises:
        ValueError: the mask is empty, or nothing of it is allowed.
    """
    if not brain.any():
        raise ValueError("the brain mask is empty; there is no artery to pick")
    steps = max(1, round(_RIM_MM / pixel_mm))
    inner = np.stack([ndimage.binary_erosion(plane, iterations=steps) for plane in brain])
    if allowed is not None:
        inner, searched = inner & allowed, brain & allowed
        if not searched.any():
            raise ValueError("no voxel of the brain is left in which to look for an artery")
    else:
        searched = brain
    rows = np.flatnonzero((inner if inner.any() else searched)[brain])
    (height, half_rise_s, _, _, like_bolus), significance = describe_voxels(
        curves, brain, pixel_mm=pixel_mm, frame_s=frame_s
    )
    rows = rows[height[rows] >= np.percentile(height[rows], _STRONG_PERCENTILE)]
    like_bolus_z = np.sort(significance[rows][like_bolus[rows]])[-n_voxels:]
    least = max(LEAST_SIGNIFICANCE, _LEAST_SHARE * like_bolus_z[0]) if like_bolus_z.size else 0.0
    standing_out = rows[like_bolus[rows] & (significance[rows] >= least)]
    rows = standing_out if len(standing_out) else rows
    early = half_rise_s[rows] <= np.percentile(half_rise_s[rows], 10) + _EARLY_S
    rows = rows[early]
    rows = rows[np.argsort(height[rows], kind="stable")[-n_voxels:]]
    return _mean_of(curves[rows], _voxels(brain, rows), significance[rows])


def away_from(vessel: Vessel, shape_zyx: tuple[int, ...], pixel_mm: float) -> np.ndarray:
    """Where another vessel may be: more than 15 mm in plane from each voxel of this one.

    All slices count, because vessels run through them. bool (Z, Y, X).
    """
    y, x = np.ogrid[: shape_zyx[1], : shape_zyx[2]]
    far = np.ones(shape_zyx[1:], bool)
    for _, y_of, x_of in vessel.voxels:
        far &= (y - y_of) ** 2 + (x - x_of) ** 2 > (_OTHER_VESSEL_MM / pixel_mm) ** 2
    return np.broadcast_to(far, shape_zyx)


def find_vof(
    regions: Sequence[tuple[np.ndarray, np.ndarray]],
    aif: np.ndarray,
    *,
    baseline: slice,
    pixel_mm: float,
    frame_s: float,
) -> Vessel | None:
    """A vein picked from the data, for the venous output function (VOF).

    Voxels at the rim of the brain count too, because the sagittal sinus runs there. A vein has the
    density of blood before the contrast. It enhances at least half as much as the artery (which may
    be thinner than a voxel), and it rises and peaks 1 to 12 s later. Its curve is smooth; its width
    is at least 0.8 of the artery's, and so is its area. The VOF is the mean of the highest such
    voxels, six at most; they are judged by curves that are smoothed in plane among voxels of the
    density of blood.

    Args:
        regions: curves (N, T) HU and mask (Z, Y, X) of the brain, and of what surrounds it.
        aif: (T,) HU, the artery's curve.
        baseline: the frames without contrast.
        pixel_mm: in-plane voxel size.
        frame_s: time between frames, s.

    Returns:
        None if there are fewer than three such voxels.
    """
    artery = shapes_of(aif[None], frame_s)
    parts = []
    for curves, mask in regions:
        density = curves[:, baseline].mean(axis=1)
        blood = (density > _BLOOD_HU[0]) & (density < _BLOOD_HU[1])
        if not blood.any():
            continue
        shapes, significance = describe_voxels(
            curves, mask, pixel_mm=pixel_mm, frame_s=frame_s, counted=blood
        )
        high = shapes.height >= _LEAST_HEIGHT * artery.height
        wide = shapes.width_s >= _LEAST_WIDTH * artery.width_s
        good = blood & high & wide & shapes.like_bolus & _late(shapes, artery)
        rows = np.flatnonzero(good & (significance >= LEAST_SIGNIFICANCE))
        rows = rows[_area(curves[rows], baseline) > LEAST_AREA * _area(aif, baseline)]
        voxels = _voxels(mask, rows)
        parts.append((curves[rows], voxels, significance[rows], shapes.height[rows]))
    if sum(len(part[0]) for part in parts) < _LEAST_VEIN_VOXELS:
        return None
    *found, height = (np.concatenate(values) for values in zip(*parts, strict=True))
    highest = np.argsort(height, kind="stable")[-_N_VOXELS:]
    return _mean_of(*(values[highest] for values in found))


def _late(shapes: Shapes, artery: Shapes) -> np.ndarray:
    """Whether each curve follows the artery's as a vein's does, bool (N,)."""
    least_s, most_s = _VENOUS_LAG_S
    lags_s = (shapes.half_rise_s - artery.half_rise_s, shapes.peak_s - artery.peak_s)
    return np.all([(least_s <= lag_s) & (lag_s <= most_s) for lag_s in lags_s], axis=0)


def _area(curves: np.ndarray, baseline: slice) -> np.ndarray:
    return (curves - curves[..., baseline].mean(axis=-1, keepdims=True)).sum(axis=-1)


def partial_volume_scale(
    aif: np.ndarray, vof: np.ndarray, *, baseline: slice, frame_s: float
) -> float:
    """Factor by which the AIF's enhancement is too low because its artery is thinner than a voxel.

    All contrast that flows in flows out. So the areas under AIF and VOF are equal without partial
    volume, and a sinus is wide enough to have none: the factor is the ratio of the areas
    (Fieselmann et al., Int J Biomed Imaging 2011:467563, on partial volume). Our departure: both
    are summed over equally many frames from their half rise on, because the recording ends earlier
    for the vein.

    Args:
        aif, vof: (T,) HU.
        baseline: the frames without contrast.
        frame_s: time between frames.

    Returns:
        1 to ``LARGEST_SCALE``: partial volume makes an artery's curve lower and never higher.
    """
    shapes = (shapes_of(curve[None], frame_s) for curve in (aif, vof))
    risen_s = [float(shape.half_rise_s[0]) for shape in shapes]
    artery, vein = (curve - curve[baseline].mean() for curve in (aif, vof))
    lag = max(0, round((risen_s[1] - risen_s[0]) / frame_s))
    inflow = float(artery[: len(artery) - lag].sum())
    return float(np.clip(vein[lag:].sum() / inflow, 1.0, LARGEST_SCALE)) if inflow > 0 else 1.0


def vessel_at(series: Iterable[np.ndarray], xyz: tuple[int, int, int]) -> Vessel:
    """The vessel at a voxel: that voxel's curve, and no neighbour's.

    Args:
        series: frames (Z, Y, X), walked through once.
        xyz: 0-based voxel indices x, y, z, as a viewer shows them.

    Raises:
        ValueError: the voxel lies outside the image.
    """
    x, y, z = xyz
    curve = []
    for frame in series:
        size = frame.shape[::-1]
        if not all(0 <= i < n for i, n in zip(xyz, size, strict=True)):
            raise ValueError(
                f"voxel x y z = {x} {y} {z} lies outside the image of {size} voxels; indices "
                "count from 0"
            )
        curve.append(frame[z, y, x])
    return Vessel(np.array(curve, np.float32), ((z, y, x),))
