"""The lesion of one scan by nnU-Net's predictor, and what each fold alone would say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from nnunetv2.inference.export_prediction import (
    convert_predicted_logits_to_segmentation_with_correct_shape,
)
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor


def predict_lesion(
    predictor: nnUNetPredictor,
    channels: np.ndarray,
    spacing: Sequence[float],
    *,
    folds: Sequence[str] = (),
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Lesion and probability of channels (C, Z, Y, X), as ``nnUNetv2_predict`` makes them.

    Args:
        predictor: with a model in it.
        channels: in the units of the data set.
        spacing: voxel sizes (z, y, x) in mm.
        folds: names of the predictor's networks, in their order.

    Returns:
        (Z, Y, X) bool; (Z, Y, X) float32; fold -> voxels of lesion by it alone, empty for a single
        fold. The folds cost no further pass: nnU-Net averages their logits, which are kept here.
    """
    plans, configuration = predictor.plans_manager, predictor.configuration_manager
    preprocessor = configuration.preprocessor_class(verbose=False)
    data, _, properties = preprocessor.run_case_npy(
        channels,
        None,
        {"spacing": list(spacing)},
        plans,
        configuration,
        predictor.dataset_json,
    )
    with _kept_logits(predictor) as kept:
        logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data)).cpu()

    def exported(of: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        return convert_predicted_logits_to_segmentation_with_correct_shape(
            of,
            plans,
            configuration,
            predictor.label_manager,
            properties,
            return_probabilities=True,
        )

    labels, probabilities = exported(logits)
    named = _named(kept, folds)
    voxels = {fold: int(np.count_nonzero(exported(of)[0] == 1)) for fold, of in named.items()}
    return labels == 1, np.asarray(probabilities[1], dtype=np.float32), voxels


def _named(kept: Sequence[torch.Tensor], folds: Sequence[str]) -> dict[str, torch.Tensor]:
    """Fold -> its logits; empty if none was kept, as of a single network, or none is named."""
    return dict(zip(folds, kept, strict=True)) if kept and folds else {}


@contextmanager
def _kept_logits(predictor: nnUNetPredictor) -> Iterator[list[torch.Tensor]]:
    """The logits of each network while a predictor has a scan; empty for a single network."""
    kept: list[torch.Tensor] = []
    if len(predictor.list_of_parameters) == 1:
        yield kept
        return
    predict = predictor.predict_sliding_window_return_logits

    def predict_and_keep(data: torch.Tensor) -> torch.Tensor:
        logits = predict(data)
        kept.append(logits.to("cpu", copy=True))  # nnU-Net adds the next fold's in place
        return logits

    predictor.predict_sliding_window_return_logits = predict_and_keep
    try:
        yield kept
    finally:
        del predictor.predict_sliding_window_return_logits
