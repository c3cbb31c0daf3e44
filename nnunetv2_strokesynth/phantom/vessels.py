"""The large vessels of the head as tubes in atlas space; CTA and MIP images show mainly these."""

from __future__ import annotations

import numpy as np

Points = tuple[tuple[float, float, float], ...]
# Radius in mm and polyline in MNI mm; pairs are given for the right side. The courses were read off
# an atlas and simplified.
_PAIRED_ARTERIES: tuple[tuple[float, Points], ...] = (
    (2.4, ((13, 8, -50), (12, 2, -32), (10, 2, -18), (12, 4, -14))),
    (1.9, ((12, 4, -14), (22, 4, -15), (32, 4, -12), (38, 2, -8))),
    (1.4, ((38, 2, -8), (40, -8, 0), (44, -22, 10), (48, -36, 20), (52, -48, 30), (48, -58, 44))),
    (1.3, ((38, 2, -8), (40, 10, 0), (46, 18, 12), (46, 22, 26), (42, 20, 42))),
    (1.3, ((38, 2, -8), (41, 0, 6), (50, -4, 18), (54, -8, 34), (46, -12, 54))),
    (1.2, ((38, 2, -8), (46, -6, -16), (56, -20, -14), (60, -38, -6), (56, -58, 4))),
    (1.4, ((12, 4, -14), (3, 14, -12), (3, 34, -8), (3, 40, 8), (3, 30, 26), (3, 6, 38), (3, -20,
    46))), (1.1, ((3, 36, 0), (4, 56, 10), (5, 52, 32), (5, 36, 50), (5, 10, 64))), (1.4, ((2, -16,
    -12), (14, -22, -10), (24, -34, -4), (18, -56, 0), (12, -78, 6), (10, -92, 10))),
)  # fmt: skip
_SINGLE_ARTERIES = ((1.9, ((0, -20, -50), (0, -18, -34), (0, -16, -12))),)
_PAIRED_VEINS = (
    (3.6, ((2, -104, -4), (34, -90, -20), (56, -66, -26), (60, -48, -34), (50, -40, -48))),
    (1.2, ((3, -40, 10), (4, -20, 14), (5, 0, 12), (8, 10, 12))),
    (1.4, ((4, -10, 78), (24, -10, 72), (44, -14, 56))),
    (1.3, ((4, 26, 70), (22, 28, 58), (36, 30, 44))),
    (1.3, ((4, -54, 74), (24, -58, 62), (40, -60, 50))),
)
_SINGLE_VEINS = (
    (3.2, ((0, 66, -4), (0, 70, 20), (0, 56, 48), (0, 30, 70), (0, 0, 82))),
    (4.2, ((0, 0, 82), (0, -36, 84), (0, -68, 68), (0, -92, 44), (0, -106, 18), (0, -106, -4))),
    (2.6, ((0, -42, 8), (0, -60, 8), (0, -84, 0), (0, -104, -4))),
)


def _mirror(points: Points) -> Points:
    return tuple((-x, y, z) for x, y, z in points)


def _add_tube(volume: np.ndarray, origin_mm: np.ndarray, points: Points, radius_mm: float) -> None:
    """Paint a tube with a soft edge into ``volume`` (X, Y, Z; 1 mm); larger values there stay."""
    for start, end in zip(np.array(points[:-1], float), np.array(points[1:], float), strict=True):
        reach = radius_mm + 1.5
        low = np.floor(np.minimum(start, end) - reach - origin_mm).astype(int)
        high = np.ceil(np.maximum(start, end) + reach - origin_mm).astype(int) + 1
        low, high = np.maximum(low, 0), np.minimum(high, volume.shape)
        box = np.stack(np.meshgrid(*map(np.arange, low, high), indexing="ij"), -1) + origin_mm
        along = end - start
        fraction = np.clip(((box - start) @ along) / (along @ along), 0, 1)
        distance = np.linalg.norm(box - start - fraction[..., None] * along, axis=-1)
        tube = np.clip(radius_mm + 0.5 - distance, 0, 1)
        window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        np.maximum(volume[window], tube, out=volume[window])


def draw_vessel_tree(
    shape: tuple[int, int, int], origin_mm: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Volume fractions (X, Y, Z) of arteries and veins on the atlas grid, 0 to 1."""
    trees = []
    for paired, single in ((_PAIRED_ARTERIES, _SINGLE_ARTERIES), (_PAIRED_VEINS, _SINGLE_VEINS)):
        volume = np.zeros(shape, np.float32)
        for radius, points in (*paired, *single):
            _add_tube(volume, origin_mm, points, radius)
        for radius, points in paired:
            _add_tube(volume, origin_mm, _mirror(points), radius)
        trees.append(volume)
    return trees[0], trees[1]
