"""Measure cases: from files to one row of numbers per case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nnunetv2_strokesynth.dataloading.dwi_scaling import scale_dwi
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
        "hausdorff_mm": metrics.hausdorff_from(distances),
        "assd_mm": metrics.assd_from(distances),
        "relative_volume_error": metrics.relative_volume_error(*pair),
        "hausdorff95_mm": metrics.hausdorff_from(distances, 95.0),
        "absolute_volume_difference_ml": metrics.absolute_volume_difference_ml(*pair),
        "volume_difference_ml": metrics.volume_difference_ml(*pair),
        "lesion_count_difference": metrics.lesion_count_difference_from(lesions),
        "lesion_f1": metrics.lesion_f1_from(lesions),
        "lesion_f1_isles2024": metrics.lesion_f1_from(matched),
    }


def synthesis_metrics(
    dwi: np.ndarray, pseudo_dwi: np.ndarray, lesion_gt: np.ndarray
) -> dict[str, float]:
    """SSIM and PSNR of one case, globally and around the true lesion.

    Args:
        dwi: ``(Z, Y, X)`` in any unit; scaled as the training target is.
        pseudo_dwi: ``(Z, Y, X)``, as the generator wrote it.
        lesion_gt: bool ``(Z, Y, X)``.

    Returns:
        Values by column key; the local ones are NaN for a case without lesion.
    """
    scaled = scale_dwi(dwi)
    region = local_region(lesion_gt)
    similarity = ssim_map(scaled, pseudo_dwi)
    return {
        "ssim_global": mean_ssim(similarity),
        "ssim_local": mean_ssim(similarity, region),
        "psnr_global_db": psnr(scaled, pseudo_dwi),
        "psnr_local_db": psnr(scaled, pseudo_dwi, region),
    }


def _read_on_grid(reader: Callable[[Path], Volume], path: Path, reference: Volume) -> np.ndarray:
    return on_voxels_of(reference, reader(path)).array


def measure_case(case: CasePair) -> dict[str, float | str]:
    """Read one case and measure it.

    Returns:
        ``case_id``, ``fold``, ``size_group`` and the columns; no synthesis columns without a DWI.

    Raises:
        ValueError: names the case and the file that cannot be used.
    """
    try:
        gt = read_mask(case.gt)
        pred = _read_on_grid(read_mask, case.pred, gt)
        row = segmentation_metrics(gt.array, pred, gt.spacing_mm)
        if case.dwi is not None and case.pseudo_dwi is not None:
            dwi = _read_on_grid(read_image, case.dwi, gt)
            pseudo_dwi = _read_on_grid(read_image, case.pseudo_dwi, gt)
            row |= synthesis_metrics(dwi, pseudo_dwi, gt.array)
    except (ValueError, OSError) as error:
        raise ValueError(f"case {case.case_id}: {error}") from error
    identity = {"case_id": case.case_id, "fold": case.fold}
    return identity | {"size_group": size_group(row["volume_gt_ml"])} | row


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
        measured).
    """
    rows = map_cases(measure_case, cases, workers=workers, description=f"measure {predictions}")
    frame = pd.DataFrame(rows)
    for column in COLUMNS:
        if column.key not in frame:
            frame[column.key] = np.nan
    frame.insert(0, "predictions", predictions)
    return frame
