"""Lesions matched one to one by their IoU, as the official code of ISLES 2024 counts them.

``metrics.lesion_counts`` takes a lesion for found as soon as one voxel of it is predicted, and may
find two true lesions with one prediction. Here a prediction finds at most one lesion, and only if
the two are alike: intersection over union of at least 0.2.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, sparse

from nnunetv2_strokesynth.evaluation.components import label_components
from nnunetv2_strokesynth.evaluation.metrics import LesionCounts, as_masks

# A former state of ISLES 2024's code took panoptica's default of 0.5.
ISLES2024_MIN_IOU = 0.2


def lesion_counts_isles2024(
    lesion_gt: np.ndarray, lesion_pred: np.ndarray, *, min_iou: float = ISLES2024_MIN_IOU
) -> LesionCounts:
    """Match the connected components of two masks one to one; ``lesion_f1_from`` gives the F1.

    Pairs are taken from the highest IoU to the lowest; a pair is kept if it reaches ``min_iou`` and
    neither of its lesions has been matched. Of equal IoUs the prediction that comes first in the
    array is matched first. Masks of two dimensions are joined by corners, too, where panoptica
    would use edges alone.

    Args:
        lesion_gt: bool ``(Z, Y, X)``.
        lesion_pred: same shape.
        min_iou: smallest intersection over union of a match, in (0, 1].

    Returns:
        Components of both masks (26 neighbours); ``detected`` is the number of matches, ``false``
        that of predicted lesions without one. All 0 if both masks are empty.

    Source:
        ISLES 2024, ``utils/eval_utils.py`` since December 2025: panoptica's
        ``ConnectedComponentsInstanceApproximator`` and ``NaiveThresholdMatching`` (IoU 0.2, one to
        one), whose recognition quality is the F1.
    """
    gt, pred = as_masks(lesion_gt, lesion_pred)
    # Components are sought where there are any: lesions fill a small part of a scan.
    box = ndimage.find_objects((gt | pred).astype(np.uint8))
    gt, pred = (mask[box[0]] if box else mask for mask in (gt, pred))
    (labels_gt, n_gt), (labels_pred, n_pred) = label_components(gt), label_components(pred)
    pairs, iou = component_ious(labels_gt, labels_pred)
    matches = match_one_to_one(pairs[iou >= min_iou], iou[iou >= min_iou])
    return LesionCounts(n_gt, n_pred, detected=len(matches), false=n_pred - len(matches))


def component_ious(labels_gt: np.ndarray, labels_pred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersection over union of every two components that share a voxel.

    Args:
        labels_gt: number of each voxel's true component, 0 outside.
        labels_pred: the same of the prediction, same shape.

    Returns:
        Pairs ``(n, 2)`` of a true and a predicted number, sorted by the predicted one, then by the
        true one; and their IoU ``(n,)`` in (0, 1]. Both are empty if nothing overlaps.
    """
    sizes_gt, sizes_pred = np.bincount(labels_gt.ravel()), np.bincount(labels_pred.ravel())
    both = (labels_gt > 0) & (labels_pred > 0)
    entries = np.ones(np.count_nonzero(both), int), (labels_pred[both], labels_gt[both])
    shared = sparse.csr_array(entries, shape=(sizes_pred.size, sizes_gt.size)).tocoo()
    pred, gt = shared.coords
    return np.stack([gt, pred], axis=1), shared.data / (
        sizes_gt[gt] + sizes_pred[pred] - shared.data
    )


def match_one_to_one(pairs: np.ndarray, scores: np.ndarray) -> list[tuple[int, int]]:
    """Take pairs from the highest score to the lowest, each label at most once.

    Args:
        pairs: ``(n, 2)`` labels.
        scores: ``(n,)``; equal ones keep the order of ``pairs``.

    Returns:
        The pairs that are taken.
    """
    matches: list[tuple[int, int]] = []
    used_gt: set[int] = set()
    used_pred: set[int] = set()
    for k in np.argsort(-scores, kind="stable"):
        gt, pred = (int(label) for label in pairs[k])
        if gt not in used_gt and pred not in used_pred:
            matches.append((gt, pred))
            used_gt.add(gt)
            used_pred.add(pred)
    return matches
