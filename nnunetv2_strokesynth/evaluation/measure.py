"""Measure cases: from files to one row of numbers per case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from nnunetv2_strokesynth.dataloading.dwi_scaling import PAPER, find_scale, likely_brain
from nnunetv2_strokesynth.evaluation import metrics
from nnunetv2_strokesynth.evaluation.columns import (
    COLUMNS,
    size_group,
)
from nnunetv2_strokesynth.evaluation.image_quality import (
    local_region,
    mean_ssim,
    psnr,
    ssim_map,
)
from nnunetv2_strokesynth.evaluation.lesion_matching import lesion_counts_isles2024
from nnunetv2_strokesynth.evaluation.lesion_visibility import (
    CUTS,
    best_cut,
    best_dice,
    dice_by_cut,
    lesion_auc,
    lesion_contrast,
)
from nnunetv2_strokesynth.evaluation.matching import CasePair
from nnunetv2_strokesynth.evaluation.volumes import (
    Volume,
    on_voxels_of,
    read_image,
    read_mask,
)
from nnunetv2_strokesynth.io.process_pool import map_cases


def segmentation_metrics(
    lesion_gt: np.ndarray, lesion_pred: np.ndarray, spacing_mm: tuple[float, ...]
) -> dict[str, float]:
    """All segmentation columns of one case; overlap, surfaces and components are found once.

    Args:
        lesion_gt: bool ``(Z, Y, X)``.
        lesion_pred: same shape.
        spacing_mm: ``(z, y, x)``.

    Returns:
        Values by column key; NaN where a rule of ``metrics`` says so.
    """
    overlap = metrics.overlap_counts(lesion_gt, lesion_pred)
    distances = metrics.surface_distances(lesion_gt, lesion_pred, spacing_mm)
    hausdorff = metrics.hausdorff_from(distances)
    assd_of_means = metrics.assd_of_means_from(distances)
    lesions = metrics.lesion_counts(lesion_gt, lesion_pred)
    matched = lesion_counts_isles2024(lesion_gt, lesion_pred)
    pair = (lesion_gt, lesion_pred, spacing_mm)
    return {
        "volume_gt_ml": metrics.volume_ml(lesion_gt, spacing_mm),
        "volume_pred_ml": metrics.volume_ml(lesion_pred, spacing_mm),
        "n_lesions_gt": lesions.n_gt,
        "n_lesions_pred": lesions.n_pred,
        "precision": metrics.precision_from(overlap),
        "recall": metrics.recall_from(overlap),
        "dice": metrics.dice_from(overlap),
        "hausdorff_mm": hausdorff,
        "hausdorff_penalised_mm": metrics.penalised_from(overlap, hausdorff),
        "assd_mm": metrics.assd_from(distances),
        "assd_of_means_mm": assd_of_means,
        "assd_penalised_mm": metrics.penalised_from(overlap, assd_of_means),
        "relative_volume_error": metrics.relative_volume_error(*pair),
        "hausdorff95_mm": metrics.hausdorff_from(distances, 95.0),
        "absolute_volume_difference_ml": metrics.absolute_volume_difference_ml(*pair),
        "volume_difference_ml": metrics.volume_difference_ml(*pair),
        "lesion_count_difference": metrics.lesion_count_difference_from(lesions),
        "lesion_f1": metrics.lesion_f1_from(lesions),
        "lesion_f1_isles2024": metrics.lesion_f1_from(matched),
    }


def synthesis_metrics(
    dwi: np.ndarray,
    pseudo_dwi: np.ndarray,
    lesion_gt: np.ndarray,
    *,
    brain: np.ndarray | None = None,
    scale: str = PAPER,
) -> dict[str, float]:
    """How much the pseudo-DWI of one case resembles the DWI, and how well the lesion is seen in it.

    SSIM and PSNR, globally and around the true lesion, compare on the paper's scale of the DWI, on
    which 1 is the 99th percentile, whichever scale the model has learned.

    Args:
        dwi: ``(Z, Y, X)`` in any unit.
        pseudo_dwi: ``(Z, Y, X)``, as the generator wrote it.
        lesion_gt: bool ``(Z, Y, X)``.
        brain: bool ``(Z, Y, X)``; None: the head, as the DWI shows it.
        scale: on which the generator has learned, one of ``dwi_scaling.SCALES``.

    Returns:
        Values by column key, but for ``cut_dice``, which takes all scans; those about the lesion
        are NaN for a case without lesion.
    """
    paper, own = find_scale(dwi, PAPER), find_scale(dwi, scale, brain)
    scaled, compared = paper.apply(dwi), paper.apply(own.raw(pseudo_dwi))
    region = local_region(lesion_gt)
    similarity = ssim_map(scaled, compared)
    inside = likely_brain(dwi, brain)
    return {
        "ssim_global": mean_ssim(similarity),
        "ssim_local": mean_ssim(similarity, region),
        "psnr_global_db": psnr(scaled, compared),
        "psnr_local_db": psnr(scaled, compared, region),
        "lesion_contrast": lesion_contrast(pseudo_dwi, lesion_gt, inside),
        "dwi_lesion_contrast": lesion_contrast(dwi, lesion_gt, inside),
        "lesion_auc": lesion_auc(pseudo_dwi, lesion_gt, inside),
        "cut_dice_scan": best_dice(pseudo_dwi, lesion_gt, inside),
    }


def _read_on_grid(reader: Callable[[Path], Volume], path: Path, reference: Volume) -> np.ndarray:
    return on_voxels_of(reference, reader(path)).array


class _Measured(NamedTuple):
    """A row of the table, and the Dice of every threshold on the pseudo-DWI, if there is one."""

    row: dict[str, float | str]
    dice_by_cut: np.ndarray | None


def measure_case(case: CasePair) -> dict[str, float | str]:
    """Read one case and measure it.

    Returns:
        ``case_id``, ``fold``, ``size_group`` and the columns; no synthesis columns without a DWI.

    Raises:
        ValueError: names the case and the file that cannot be used.
    """
    return _measure(case).row


def _measure(case: CasePair) -> _Measured:
    curve = None
    try:
        gt = read_mask(case.gt)
        pred = _read_on_grid(read_mask, case.pred, gt)
        row = segmentation_metrics(gt.array, pred, gt.spacing_mm)
        if case.dwi is not None and case.pseudo_dwi is not None:
            dwi = _read_on_grid(read_image, case.dwi, gt)
            pseudo_dwi = _read_on_grid(read_image, case.pseudo_dwi, gt)
            brain = _brain(case.maps, gt)
            row |= synthesis_metrics(dwi, pseudo_dwi, gt.array, brain=brain, scale=case.scale)
            curve = dice_by_cut(pseudo_dwi, gt.array, likely_brain(dwi, brain))
    except (ValueError, OSError) as error:
        raise ValueError(f"case {case.case_id}: {error}") from error
    identity = {"case_id": case.case_id, "fold": case.fold}
    identity |= {"size_group": size_group(row["volume_gt_ml"])}
    return _Measured(identity | row, curve)


def _brain(maps: Sequence[Path], reference: Volume) -> np.ndarray | None:
    """Where any perfusion map is not 0; None without maps."""
    if not maps:
        return None
    return np.any([_read_on_grid(read_image, path, reference) != 0 for path in maps], axis=0)


def measure_cases(
    cases: Sequence[CasePair], *, predictions: str = "predictions", workers: int = 1
) -> pd.DataFrame:
    """Measure many cases.

    Args:
        cases: what to measure.
        predictions: name of this set of predictions, for tables that hold several.
        workers: processes.

    Returns:
        One row per case, in the given order: ``predictions``, ``case_id``, ``fold``,
        ``size_group``, volumes, lesion counts and every column of ``COLUMNS`` (NaN where not
        measured); with pseudo-DWIs also ``cut_threshold``, the threshold of ``cut_dice``.
    """
    measured = map_cases(_measure, cases, workers=workers, description=f"measure {predictions}")
    _cut_together(measured)
    frame = pd.DataFrame([found.row for found in measured])
    for column in COLUMNS:
        if column.key not in frame:
            frame[column.key] = np.nan
    frame.insert(0, "predictions", predictions)
    return frame


def _cut_together(measured: Sequence[_Measured]) -> None:
    """Adds the Dice of the one threshold that is best for all scans, chosen on these scans."""
    curves = [(row, curve) for row, curve in measured if curve is not None]
    if not curves:
        return
    chosen = best_cut(np.array([curve for _, curve in curves]))
    for row, curve in curves:
        row["cut_dice"] = float(curve[chosen])
        row["cut_threshold"] = float(CUTS[chosen])
