"""Lesion and pseudo-DWI of one scan by nnU-Net's predictor, and what each fold alone would say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import numpy as np
import torch
from nnunetv2.inference.export_prediction import (
    convert_predicted_logits_to_segmentation_with_correct_shape,
)
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from nnunetv2_strokesynth.inference.heads import lesion_and_pseudo_dwi
from nnunetv2_strokesynth.inference.synthesis import revert_preprocessing


class Predicted(NamedTuple):
    """What the networks of a model say of one scan.

    Attributes:
        lesion: (Z, Y, X) bool.
        probability: of lesion, (Z, Y, X) float32.
        fold_voxels: fold -> voxels of lesion by it alone; empty for a single fold.
        pseudo_dwi: (Z, Y, X) float32; None unless it was asked for.
    """

    lesion: np.ndarray
    probability: np.ndarray
    fold_voxels: dict[str, int]
    pseudo_dwi: np.ndarray | None = None


def predict_lesion(
    predictor: nnUNetPredictor,
    channels: np.ndarray,
    spacing: Sequence[float],
    *,
    folds: Sequence[str] = (),
    with_pseudo_dwi: bool = False,
) -> Predicted:
    """Lesion and probability of channels (C, Z, Y, X), as ``nnUNetv2_predict`` makes them.

    Pseudo-DWI and what each fold alone would say cost no further pass: the network has made the
    one, and nnU-Net averages the others' logits, which are kept here.

    Args:
        predictor: with a model in it.
        channels: in the units of the data set.
        spacing: voxel sizes (z, y, x) in mm.
        folds: names of the predictor's networks, in their order.
        with_pseudo_dwi: whether the pseudo-DWI is wanted of a network that makes one.
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
    labels_of = predictor.label_manager
    as_wanted = lesion_and_pseudo_dwi(predictor) if with_pseudo_dwi else nullcontext()
    with as_wanted as n_logits, _kept_logits(predictor) as kept:
        found = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data)).cpu()

    def exported(of: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        return convert_predicted_logits_to_segmentation_with_correct_shape(
            of[:n_logits], plans, configuration, labels_of, properties, return_probabilities=True
        )

    labels, probabilities = exported(found)
    named = _named(kept, folds)
    voxels = {fold: int(np.count_nonzero(exported(of)[0] == 1)) for fold, of in named.items()}
    pseudo_dwi = None
    if with_pseudo_dwi:
        image = found[n_logits:].float()
        pseudo_dwi = revert_preprocessing(image, properties, plans, configuration)[0]
    probability = np.asarray(probabilities[1], dtype=np.float32)
    return Predicted(labels == 1, probability, voxels, pseudo_dwi)


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
