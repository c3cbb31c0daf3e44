"""The segmentation terms that the papers' tables compare, by the names of Wang et al. 2020."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch.nn import functional as F

from nnunetv2_strokesynth.losses.precision import wide
from nnunetv2_strokesynth.losses.segmentation import (
    SEGMENTATION_TERMS,
    SegmentationLoss,
    SegmentationTerm,
    generalized_dice_loss,
)

_EPS = 1e-8  # a class that is neither there nor predicted gives a loss of 0


def dice_loss(probs: torch.Tensor, onehot: torch.Tensor) -> torch.Tensor:
    """The Dice loss of the lesion: 1 - 2 sum(Y P) / (sum Y^2 + sum P^2).

    Args:
        probs: P, (B, C, *spatial), softmax output; class 0 is the background.
        onehot: Y, the same shape, 0 or 1.

    Returns:
        A scalar between 0, for a perfect prediction, and 1: the mean over the classes but the
        background. Sums run over the whole batch. A class that is neither there nor predicted
        gives 0.

    Source: Milletari et al. 2016, the L_DICE of Wang et al. 2020, Table 4.
    """
    probs = wide(probs)[:, 1:]
    onehot = onehot[:, 1:].to(probs.dtype)
    axes = (0, *range(2, probs.ndim))
    overlap = (onehot * probs).sum(dim=axes)
    total = (onehot.square() + probs.square()).sum(dim=axes)
    return 1 - ((2 * overlap + _EPS) / (total + _EPS)).mean()


PAPER_TERMS: Mapping[str, SegmentationTerm] = {
    **SEGMENTATION_TERMS,
    "L_ce": lambda batch: F.cross_entropy(batch.logits, batch.labels),
    "L_dice": lambda batch: dice_loss(batch.probs, batch.onehot),
    "L_gd": lambda batch: generalized_dice_loss(batch.probs, batch.onehot),
}


def segmentation_loss(names: Sequence[str]) -> SegmentationLoss:
    """The sum of some of ``PAPER_TERMS``, named by their keys."""
    return SegmentationLoss({name: PAPER_TERMS[name] for name in names})
