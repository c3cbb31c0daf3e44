"""Segmentation metrics of one case: pure functions on bool masks ``(Z, Y, X)``.

``spacing_mm`` is the voxel size in the order of the axes, ``(z, y, x)``. What is expensive is
computed once (``overlap_counts``, ``surface_distances``, ``lesion_counts``) and then reduced by
small functions, named ``..._from``. ``dice`` and ``hausdorff_mm`` do both steps.

Empty masks, the same rule for all:
    overlap (Dice, precision, recall, lesion F1): 1 if both masks are empty, 0 if exactly one is
        (the rule of the ISLES challenges; nnU-Net's own summary gives NaN when both are empty).
    distances (HD, HD95, ASSD): NaN if either mask is empty, for there is no surface to measure.
    relative volume error: NaN if the true lesion is empty.
    volume and lesion-count differences: always defined.
NaN means "not countable": means leave such a case out, and the tables say how many there were.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from nnunetv2_strokesynth.evaluation.components import (
    MM3_PER_ML,
    label_components,
)

MISSED_MM = 1e8  # what the challenge counts as the Hausdorff distance of a missed lesion


class Overlap(NamedTuple):
    """Voxel counts: true positive, false positive, false negative."""

    tp: int
    fp: int
    fn: int


class SurfaceDistances(NamedTuple):
    """Distance in mm from every surface point of one mask to the nearest one of the other.

    Attributes:
        gt_to_pred_mm: ``(n_surface_gt,)``.
        pred_to_gt_mm: ``(n_surface_pred,)``. Both are empty if either mask is.
    """

    gt_to_pred_mm: np.ndarray
    pred_to_gt_mm: np.ndarray


class LesionCounts(NamedTuple):
    """Components of the two masks (26 neighbours).

    Attributes:
        n_gt: true lesions.
        n_pred: predicted lesions.
        detected: true lesions that are found: by one shared voxel (``lesion_counts``), or by a
            prediction of their own (``lesion_matching.lesion_counts_isles2024``).
        false: predicted lesions that find none.
    """

    n_gt: int
    n_pred: int
    detected: int
    false: int


def as_masks(lesion_gt: np.ndarray, lesion_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both masks as bool; raises ``ValueError`` unless they have the same shape."""
    gt, pred = np.asarray(lesion_gt, dtype=bool), np.asarray(lesion_pred, dtype=bool)
    if gt.shape != pred.shape:
        raise ValueError(f"lesion_gt has shape {gt.shape} but lesion_pred has {pred.shape}")
    return gt, pred


def overlap_counts(lesion_gt: np.ndarray, lesion_pred: np.ndarray) -> Overlap:
    """Count the voxels that two masks share and do not share."""
    gt, pred = as_masks(lesion_gt, lesion_pred)
    tp = int(np.count_nonzero(gt & pred))
    return Overlap(tp, int(np.count_nonzero(pred)) - tp, int(np.count_nonzero(gt)) - tp)


def _overlap_ratio(numerator: int, denominator: int, both_empty: bool) -> float:
    if both_empty:
        return 1.0
    return numerator / denominator if denominator else 0.0


def dice_from(overlap: Overlap) -> float:
    """``2 TP / (2 TP + FP + FN)``; 1 if both masks are empty. Wang et al. 2020, Eq. 16."""
    tp, fp, fn = overlap
    return _overlap_ratio(2 * tp, 2 * tp + fp + fn, not any(overlap))


def precision_from(overlap: Overlap) -> float:
    """``TP / (TP + FP)``; 1 if both masks are empty, 0 if only the prediction is."""
    return _overlap_ratio(overlap.tp, overlap.tp + overlap.fp, not any(overlap))


def recall_from(overlap: Overlap) -> float:
    """``TP / (TP + FN)``; 1 if both masks are empty, 0 if only the true lesion is."""
    return _overlap_ratio(overlap.tp, overlap.tp + overlap.fn, not any(overlap))


def dice(lesion_gt: np.ndarray, lesion_pred: np.ndarray) -> float:
    """Dice score in [0, 1]; see ``dice_from``."""
    return dice_from(overlap_counts(lesion_gt, lesion_pred))


def surface_mask(lesion: np.ndarray) -> np.ndarray:
    """Lesion voxels with at least one of the six face neighbours outside the lesion.

    Outside the image counts as outside the lesion. Bool, same shape; empty for an empty mask.
    """
    faces = ndimage.generate_binary_structure(lesion.ndim, 1)
    return lesion & ~ndimage.binary_erosion(lesion, faces, border_value=0)


def surface_points_mm(lesion: np.ndarray, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Centres of the surface voxels, ``(n, 3)`` in mm along the axes of the array."""
    if len(spacing_mm) != lesion.ndim:
        raise ValueError(f"spacing_mm {spacing_mm} has to name {lesion.ndim} axes")
    return np.argwhere(surface_mask(lesion)) * np.asarray(spacing_mm, dtype=float)


def surface_distances(
    lesion_gt: np.ndarray, lesion_pred: np.ndarray, spacing_mm: tuple[float, ...]
) -> SurfaceDistances:
    """Euclidean distances between the surfaces of two masks, both ways.

    Returns:
        ``SurfaceDistances``; both arrays empty if either mask is empty.

    Source:
        Wang et al. 2020, d(s, G) of Eq. 17 and 18.
    """
    gt, pred = as_masks(lesion_gt, lesion_pred)
    points_gt, points_pred = (surface_points_mm(mask, spacing_mm) for mask in (gt, pred))
    if not (len(points_gt) and len(points_pred)):
        return SurfaceDistances(np.empty(0), np.empty(0))
    return SurfaceDistances(
        KDTree(points_pred).query(points_gt)[0], KDTree(points_gt).query(points_pred)[0]
    )


def hausdorff_from(distances: SurfaceDistances, percentile: float = 100.0) -> float:
    """The larger of the two directed percentiles; 100 is the maximum. NaN if a mask is empty.

    The percentile interpolates linearly (numpy's default) and is taken for each direction on its
    own, so the longer surface does not outvote the shorter one.
    """
    if not distances.gt_to_pred_mm.size:
        return float("nan")
    return float(max(np.percentile(directed, percentile) for directed in distances))


def penalised_from(overlap: Overlap, distance_mm: float) -> float:
    """A distance between the surfaces, or ``MISSED_MM`` where exactly one mask is empty.

    NaN if both are empty. A mean over cases then counts every missed lesion, and every lesion that
    was predicted where there is none, while the distance itself leaves these cases out.

    Source: the leaderboard of ISLES 2018. The penalty is inferred from it (Clerigues et al. 2019,
    Table 2): 9.7 +- 29.6 million over 62 scans are six times 1e8.
    """
    empty_gt, empty_pred = overlap.tp + overlap.fn == 0, overlap.tp + overlap.fp == 0
    return MISSED_MM if empty_gt != empty_pred else distance_mm


def assd_from(distances: SurfaceDistances) -> float:
    """Mean over the points of both surfaces. NaN if a mask is empty. Wang et al. 2020, Eq. 18."""
    pooled = np.concatenate(distances)
    return float(pooled.mean()) if pooled.size else float("nan")


def assd_of_means_from(distances: SurfaceDistances) -> float:
    """The mean of the two directed means. NaN if a mask is empty. Abulnaga & Rubin 2018, Eq. 8.

    ``assd_from`` pools the points, so that the longer surface counts more; here both count the
    same.
    """
    if not distances.gt_to_pred_mm.size:
        return float("nan")
    return float(np.mean([directed.mean() for directed in distances]))


def hausdorff_mm(
    lesion_gt: np.ndarray, lesion_pred: np.ndarray, spacing_mm: tuple[float, ...]
) -> float:
    """Hausdorff distance in mm; NaN if either mask is empty. Wang et al. 2020, Eq. 17."""
    return hausdorff_from(surface_distances(lesion_gt, lesion_pred, spacing_mm))


def volume_ml(lesion: np.ndarray, spacing_mm: tuple[float, ...]) -> float:
    """Volume of a mask in mL; 0 for an empty one."""
    return float(np.count_nonzero(lesion) * np.prod(spacing_mm) / MM3_PER_ML)


def volume_difference_ml(
    lesion_gt: np.ndarray, lesion_pred: np.ndarray, spacing_mm: tuple[float, ...]
) -> float:
    """Predicted minus true volume in mL: positive means too much was predicted."""
    gt, pred = as_masks(lesion_gt, lesion_pred)
    return volume_ml(pred, spacing_mm) - volume_ml(gt, spacing_mm)


def absolute_volume_difference_ml(
    lesion_gt: np.ndarray, lesion_pred: np.ndarray, spacing_mm: tuple[float, ...]
) -> float:
    """``|V_pred - V_gt|`` in mL: AVD of ISLES 2018 and ISLES 2024."""
    return abs(volume_difference_ml(lesion_gt, lesion_pred, spacing_mm))


def relative_volume_error(
    lesion_gt: np.ndarray, lesion_pred: np.ndarray, spacing_mm: tuple[float, ...]
) -> float:
    """``|V_gt - V_pred| / V_gt``; NaN without a true lesion. Wang et al. 2020, section 4.2."""
    true_ml = volume_ml(lesion_gt, spacing_mm)
    difference_ml = absolute_volume_difference_ml(lesion_gt, lesion_pred, spacing_mm)
    return difference_ml / true_ml if true_ml else float("nan")


def lesion_counts(lesion_gt: np.ndarray, lesion_pred: np.ndarray) -> LesionCounts:
    """Match the connected components of two masks: any shared voxel is a match."""
    gt, pred = as_masks(lesion_gt, lesion_pred)
    (labels_gt, n_gt), (labels_pred, n_pred) = label_components(gt), label_components(pred)
    both = gt & pred
    detected = len(np.unique(labels_gt[both]))
    return LesionCounts(n_gt, n_pred, detected, n_pred - len(np.unique(labels_pred[both])))


def lesion_f1_from(counts: LesionCounts) -> float:
    """``2 TP / (2 TP + FP + FN)`` over lesions; 1 if both masks are empty, 0 if one is.

    TP: true lesions that are found; FN: those that are missed; FP: predicted lesions that find
    none. With ``lesion_counts`` one shared voxel is enough, so a prediction that merges two true
    lesions counts as two TP; with ``lesion_counts_isles2024`` it counts as one at most.

    Source:
        The lesion-wise F1 of ISLES 2022 (with ``lesion_counts``) and of ISLES 2024 since December
        2025 (with ``lesion_counts_isles2024``).
    """
    missed = counts.n_gt - counts.detected
    denominator = 2 * counts.detected + counts.false + missed
    return _overlap_ratio(2 * counts.detected, denominator, not (counts.n_gt or counts.n_pred))


def lesion_count_difference_from(counts: LesionCounts) -> float:
    """``|number of predicted lesions - number of true lesions|`` (ISLES 2024)."""
    return float(abs(counts.n_pred - counts.n_gt))
