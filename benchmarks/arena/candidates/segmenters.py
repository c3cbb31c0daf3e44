"""The segmenter alone, with one part of its recipe replaced by stock nnU-Net's.

nnU-Net finds these trainers through ``nnUNet_extTrainer``, which the arena sets.
"""

import torch
from torch.nn import functional as F

from nnunetv2_strokesynth.losses.segmentation import SegmentationBatch, SegmentationLoss
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer_NoDWI

_SMOOTH = 1e-5  # nnU-Net's


def _cross_entropy(batch: SegmentationBatch) -> torch.Tensor:
    return F.cross_entropy(batch.logits, batch.labels)


def _soft_dice(batch: SegmentationBatch) -> torch.Tensor:
    """nnU-Net's soft Dice of the lesion, over the batch."""
    axes = (0, *range(2, batch.probs.ndim))
    overlap = (batch.probs * batch.onehot).sum(dim=axes)
    total = (batch.probs + batch.onehot).sum(dim=axes)
    return 1 - ((2 * overlap + _SMOOTH) / (total + _SMOOTH))[1:].mean()


class ArenaTrainer_SegmenterDiceCE(StrokeSynthTrainer_NoDWI):
    """nnU-Net's loss, without deep supervision."""

    def _segmentation_loss(self) -> SegmentationLoss:
        return SegmentationLoss({"L_ce": _cross_entropy, "L_dice": _soft_dice})
