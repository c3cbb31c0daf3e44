"""Every threshold and minimum size of a grid, scored on one case with the work shared between them.

Per threshold the components are labelled once and their sizes, true positives and farthest surface
points are counted once. Removing small components only drops some of these numbers, because the
surface of a mask is the union of its components' surfaces (26-connected components share no face).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage, stats
from scipy.spatial import KDTree

from nnunetv2_strokesynth.evaluation.components import (
    component_sizes,
    label_components,
)
from nnunetv2_strokesynth.evaluation.metrics import (
    Overlap,
    dice_from,
    surface_mask,
)


class GridScores(NamedTuple):
    """Scores of one case, both ``(n_thresholds, n_sizes)``.

    Attributes:
        dice: as ``metrics.dice``.
        hausdorff_mm: as ``metrics.hausdorff_mm``, but infinite where exactly one mask is empty, so
            that losing every lesion ranks last; NaN where both are.
    """

    dice: np.ndarray
    hausdorff_mm: np.ndarray


class _Components(NamedTuple):
    """Components of one binarised case and the points of their surfaces.

    Attributes:
        sizes: voxels, ``(n_components,)``.
        true_positives: voxels inside the true lesion, ``(n_components,)``.
        farthest_mm: largest distance of a surface point to the true surface, ``(n_components,)``.
        points_mm: surface points, ``(n_points, 3)``.
        point_component: index of each point's component, ``(n_points,)``.
        point_to_gt_mm: each point's distance to the true surface, ``(n_points,)``.
    """

    sizes: np.ndarray
    true_positives: np.ndarray
    farthest_mm: np.ndarray
    points_mm: np.ndarray
    point_component: np.ndarray
    point_to_gt_mm: np.ndarray


def _crop(mask: np.ndarray) -> tuple[slice, ...]:
    found = ndimage.find_objects(mask.astype(np.uint8))
    return found[0] if found else (slice(0, 1),) * mask.ndim


def _components(
    binary: np.ndarray, lesion_gt: np.ndarray, to_gt_mm: np.ndarray, spacing_mm: np.ndarray
) -> _Components:
    labels, n_components = label_components(binary)
    indices = np.argwhere(surface_mask(binary))
    component = labels[tuple(indices.T)] - 1
    to_gt = to_gt_mm[tuple(indices.T)]
    farthest = np.zeros(n_components)
    np.maximum.at(farthest, component, to_gt)
    true_positives = np.bincount(labels[lesion_gt], minlength=n_components + 1)[1:]
    sizes = component_sizes(labels, n_components)
    return _Components(sizes, true_positives, farthest, indices * spacing_mm, component, to_gt)


def _score_sizes(
    parts: _Components, gt_points: np.ndarray, n_gt: int, smallest: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Dice and HD for every minimum size, from the largest size to the smallest.

    Going down, components are only added: a true surface point's distance to the prediction is the
    minimum of what it was and its distance to the new components alone.
    """
    order = np.argsort(smallest)[::-1]
    dice, hausdorff = np.empty(len(smallest)), np.empty(len(smallest))
    gt_to_pred = np.full(len(gt_points), np.inf)
    previous = np.zeros(len(parts.sizes), dtype=bool)
    for index in order:
        kept = parts.sizes >= smallest[index]
        added = (kept & ~previous)[parts.point_component]
        # A point is no nearer to any true surface point than to the true surface as a whole.
        useful = added & (parts.point_to_gt_mm < gt_to_pred.max(initial=0.0))
        if useful.any():
            nearest = KDTree(parts.points_mm[useful]).query(gt_points)[0]
            gt_to_pred = np.minimum(gt_to_pred, nearest)
        previous = kept
        n_pred, tp = int(parts.sizes[kept].sum()), int(parts.true_positives[kept].sum())
        dice[index] = dice_from(Overlap(tp, n_pred - tp, n_gt - tp))
        if n_pred and n_gt:
            hausdorff[index] = max(parts.farthest_mm[kept].max(), gt_to_pred.max())
        else:
            hausdorff[index] = np.inf if n_pred or n_gt else np.nan
    return dice, hausdorff


def score_case(
    probs: np.ndarray,
    lesion_gt: np.ndarray,
    spacing_mm: tuple[float, ...],
    thresholds: Sequence[float],
    smallest: Sequence[int],
) -> GridScores:
    """Dice and HD of one case for every threshold and minimum component size.

    Args:
        probs: probability of lesion ``(Z, Y, X)``.
        lesion_gt: bool, same shape.
        spacing_mm: ``(z, y, x)``.
        thresholds: T, any order; lesion is ``probs > T``.
        smallest: S_min in voxels, any order.

    Source:
        Clerigues et al. 2019, section 3.3.
    """
    # Nothing outside the crop is lesion, so its border counts as outside, as the image's does.
    box = _crop(lesion_gt | (probs > min(thresholds)))
    probs, lesion_gt = probs[box], lesion_gt[box]
    spacing = np.asarray(spacing_mm, dtype=float)
    gt_surface = surface_mask(lesion_gt)
    gt_points = np.argwhere(gt_surface) * spacing
    # Without a true lesion the transform would measure to nowhere; no HD is computed then.
    to_gt_mm = ndimage.distance_transform_edt(~gt_surface, sampling=spacing)
    n_gt = int(np.count_nonzero(lesion_gt))
    scores = []
    for threshold in thresholds:
        parts = _components(probs > threshold, lesion_gt, to_gt_mm, spacing)
        scores.append(_score_sizes(parts, gt_points, n_gt, smallest))
    return GridScores(*(np.stack(each) for each in zip(*scores, strict=True)))


def mean_ranks(dice: np.ndarray, hausdorff_mm: np.ndarray) -> np.ndarray:
    """How the combinations rank, Dice and HD counting the same; 1 is best.

    In every case the combinations are ranked by Dice and by HD (ties share their mean rank), and
    the ranks are averaged over both metrics and all cases, as the ISLES 2018 workshop ranked its
    participants. No unit has to be traded for another, and one case with an absurd HD counts once.

    Args:
        dice: ``(n_cases, n_thresholds, n_sizes)``.
        hausdorff_mm: same shape; infinite ranks last, NaN (both masks empty) first.

    Returns:
        ``(n_thresholds, n_sizes)``, from 1 to the number of combinations.

    Source:
        Clerigues et al. 2019, section 3.3: T and S_min "that jointly optimize the DSC and HD"; the
        paper does not say how. The ranking is our reading.
    """
    n_cases, *shape = dice.shape
    costs = (-dice, np.where(np.isnan(hausdorff_mm), -1.0, hausdorff_mm))
    # Rounding, or the last bit of two equal sums would decide a rank.
    ranks = [stats.rankdata(np.round(cost.reshape(n_cases, -1), 9), axis=1) for cost in costs]
    return np.mean(ranks, axis=(0, 1)).reshape(shape)


def best_combination(ranks: np.ndarray, mean_dice: np.ndarray) -> tuple[int, int]:
    """Index of the best mean rank; ties go to the higher mean Dice, then the first in the grid.

    Args:
        ranks: ``(n_thresholds, n_sizes)``.
        mean_dice: same shape.
    """
    order = np.lexsort((-np.round(mean_dice, 9).ravel(), np.round(ranks, 9).ravel()))
    threshold, size = np.unravel_index(order[0], ranks.shape)
    return int(threshold), int(size)
