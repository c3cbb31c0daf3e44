"""The numbers of ``result.json`` beside the lesion's: its interval, other answers, what changes.

docs/reference/result-json.md explains every name; ``result.schema.json`` is the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from nnunetv2_strokesynth.ctp.perfusion_volumes import CORE_PERCENT
from nnunetv2_strokesynth.ctp.scan_numbers import ScanNumbers, measure_scan
from nnunetv2_strokesynth.evaluation.metrics import dice
from nnunetv2_strokesynth.inference.calibration import Calibration
from nnunetv2_strokesynth.inference.patient import (
    Prediction,
    Prepared,
    maps_are_given,
    threshold_maps,
)
from nnunetv2_strokesynth.trainers.checkpoint_damage import FINAL

PROBABILITIES = (0.3, 0.5, 0.7)
THRESHOLD_CORE, SEGMENTER, PSEUDO_DWI_CUT = "threshold_core", "segmenter", "pseudo_dwi_cut"


def measure_patient(
    prepared: Prepared, spacing_zyx_mm: tuple[float, float, float], *, known: bool
) -> ScanNumbers:
    """Midline and perfusion volumes of a patient's scan; ``known``: left can be told from right."""
    return measure_scan(
        threshold_maps(prepared),
        prepared.images.ct,
        prepared.made.mask,
        spacing_zyx_mm=spacing_zyx_mm,
        known=known,
    )


def interval_of(
    lesion_ml: float, calibration: Calibration | None, checkpoint: str
) -> dict[str, float | int] | None:
    """``lesion_interval``: where the true volume lies, by the model's own cross-validation.

    None without a calibration, and for another checkpoint than the one that was validated.
    """
    if calibration is None or checkpoint != FINAL:
        return None
    low, high = calibration.volume.around(lesion_ml)
    return {
        "low_ml": round(low, 1),
        "high_ml": round(high, 1),
        "coverage": calibration.volume.coverage,
        "n_cases": calibration.volume.n_cases,
    }


def answer_masks(
    numbers: ScanNumbers, prediction: Prediction, calibration: Calibration | None
) -> dict[str, np.ndarray]:
    """Each way to outline the lesion that this scan and model have, bool (Z, Y, X)."""
    masks = {THRESHOLD_CORE: numbers.volumes.core, SEGMENTER: prediction.lesion}
    if prediction.pseudo_dwi is not None and calibration is not None and calibration.cut:
        masks[PSEUDO_DWI_CUT] = numbers.brain & (prediction.pseudo_dwi > calibration.cut.cut)
    return masks


def describe_answers(
    numbers: ScanNumbers, masks: Mapping[str, np.ndarray], calibration: Calibration | None
) -> dict[str, object]:
    """``answers`` and ``disagreements``: volume and side of each, and where two differ."""
    meaning = {
        THRESHOLD_CORE: f"CBF below {CORE_PERCENT} % of the other side's",
        SEGMENTER: "the model's lesion, lesion.nii.gz",
    }
    if calibration is not None and calibration.cut is not None:
        meaning[PSEUDO_DWI_CUT] = f"pseudo-DWI above {calibration.cut.cut:g}"
    found = {
        name: {"meaning": meaning[name], "ml": numbers.ml(mask), "side": numbers.side(mask)}
        for name, mask in masks.items()
    }
    pairs = [
        {
            "first": first,
            "second": second,
            "dice": round(dice(masks[first], masks[second]), 3),
            "only_first_ml": numbers.ml(masks[first] & ~masks[second]),
            "only_second_ml": numbers.ml(masks[second] & ~masks[first]),
        }
        for first, second in combinations(masks, 2)
    ]
    return {"answers": found, "disagreements": pairs}


def describe_sensitivity(
    numbers: ScanNumbers, prepared: Prepared, prediction: Prediction
) -> dict[str, object]:
    """``sensitivity``: the volumes at other probabilities, by single folds, by another artery."""
    computed = None if maps_are_given(prepared) else prepared.computed
    second = computed.second if computed else None
    return {
        "thresholds": [
            {"probability_above": p, "lesion_ml": numbers.ml(prediction.probability > p)}
            for p in PROBABILITIES
        ],
        "folds": [
            {"fold": fold, "lesion_ml": round(numbers.voxel_ml * voxels, 1)}
            for fold, voxels in prediction.fold_voxels.items()
        ],
        "other_artery": numbers.by_other_artery(second),
    }
