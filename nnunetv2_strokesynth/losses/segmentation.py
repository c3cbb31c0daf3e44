"""The segmentation loss L_s: Eq. 11 to 14 of Wang et al. 2020."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, cast

import torch
from torch import nn
from torch.nn import functional as F

from nnunetv2_strokesynth.losses.precision import wide

_MIN_DICE = 1e-6


def weighted_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """The cross entropy L_WCE, averaged with the weight map over the whole batch.

    Args:
        logits: (B, C, Y, X).
        labels: (B, Y, X), integers from 0 to C - 1; or soft labels (B, C, Y, X), the probabilities
            of the classes.
        weight: A of Eq. 9, (B, Y, X), positive.

    Returns:
        ``sum(A * CE) / sum(A)``, a scalar, at least 0. Without a lesion it is the cross entropy of
        the background.

    Source: Wang et al. 2020, Eq. 12. Soft labels are our addition: -sum_c Y^c log P^c.
    """
    logits = wide(logits)
    labels = labels.to(logits.dtype) if labels.ndim == logits.ndim else labels.long()
    cross_entropy = F.cross_entropy(logits, labels, reduction="none")
    weight = wide(weight)
    return (weight * cross_entropy).sum() / weight.sum()


def hardness_aware_dice_loss(
    probs: torch.Tensor, onehot: torch.Tensor, share: torch.Tensor | None = None
) -> torch.Tensor:
    """The hardness-aware generalised Dice loss L_HGD: ``-log(1 - L_GD)``.

    Args:
        probs: (B, C, *spatial), softmax output.
        onehot: the same shape, 0 or 1; between them for soft labels.
        share: (B, *spatial), how much each voxel counts in the sums; None counts all alike.

    Returns:
        A scalar between 0 and 13.8, since 1 - L_GD is clamped to at least 1e-6. Where the clamp
        acts, the gradient is 0 and the cross entropy has to lead. Absent classes are treated as in
        ``generalized_dice_loss``.

    Source: Wang et al. 2020, Eq. 13. Choice: the clamp.
    """
    return -torch.log(_generalized_dice(probs, onehot, share).clamp_min(_MIN_DICE))


def generalized_dice_loss(probs: torch.Tensor, onehot: torch.Tensor) -> torch.Tensor:
    """The generalised Dice loss: L_GD = 1 - 2 sum_c m_c sum(Y P) / sum_c m_c sum(Y + P).

    Args:
        probs: P, (B, C, *spatial), softmax output.
        onehot: Y, the same shape, 0 or 1.

    Returns:
        A scalar between 0, for a perfect prediction, and 1. Sums run over the whole batch.

    Source: Wang et al. 2020, Eq. 14 (Sudre et al. 2017), m_c = 1 / (sum Y^c)^2. Choice: a class
    absent from the batch takes the largest finite m of the others, so that false positives still
    cost.
    """
    return 1 - _generalized_dice(probs, onehot)


def _generalized_dice(
    probs: torch.Tensor, onehot: torch.Tensor, share: torch.Tensor | None = None
) -> torch.Tensor:
    """1 - L_GD, computed directly: it is about 1e-5 for a small lesion, and 1 - L_GD would round.

    m is scaled by the smallest volume squared, which cancels and keeps float32 within its limits.
    """
    probs = wide(probs)
    onehot = onehot.to(probs.dtype)
    axes = (0, *range(2, probs.ndim))
    counted, predicted = onehot, probs
    if share is not None:
        counted, predicted = share[:, None] * onehot, share[:, None] * probs
    volume = counted.sum(dim=axes)
    overlap = (counted * probs).sum(dim=axes)
    total = volume + predicted.sum(dim=axes)
    smallest = torch.where(volume > 0, volume, torch.inf).amin()
    m = torch.where(volume > 0, smallest / volume, 1.0).square()
    return 2 * (m * overlap).sum() / (m * total).sum()


class SegmentationBatch(NamedTuple):
    """What a segmentation term may use.

    With an ignored label, the voxels that have it are gone: B is 1, and the voxels of all samples
    that count are the only spatial axis. Every term sums over both, so that it is what it would be
    without those voxels.
    """

    logits: torch.Tensor  # (B, C, *spatial), float32 or wider
    probs: torch.Tensor  # (B, C, *spatial), their softmax
    labels: torch.Tensor  # (B, *spatial), int64
    onehot: torch.Tensor  # (B, C, *spatial), 0 or 1; between them for soft labels
    weight: torch.Tensor  # (B, *spatial), A of Eq. 9, times the share
    share: torch.Tensor | None = None  # (B, *spatial), how much the scans count; None: all alike
    soft: bool = False  # whether there are soft labels, which ``labels`` does not know


SegmentationTerm = Callable[[SegmentationBatch], torch.Tensor]

# The summands of L_s, Eq. 11, under their names in the log.
SEGMENTATION_TERMS: Mapping[str, SegmentationTerm] = {
    "L_wce": lambda batch: weighted_cross_entropy(
        batch.logits, batch.onehot if batch.soft else batch.labels, batch.weight
    ),
    "L_hgd": lambda batch: hardness_aware_dice_loss(batch.probs, batch.onehot, batch.share),
}


class SegmentationLoss(nn.Module):
    """The segmentation loss L_s = L_WCE + L_HGD, or the sum of other terms.

    Source: Wang et al. 2020, Eq. 11.

    Args:
        summands: name in the log -> function that gives a scalar.
        watched: further terms, which are logged without being part of the loss.

    Attributes:
        ignore_label: voxels with this label count in no term; None where there is no such label.
        soft_labels: whether ``target`` holds soft labels, which ``SEGMENTATION_TERMS`` read.
        scan_weights: (B,), at least 0, how much each sample counts in ``SEGMENTATION_TERMS``; set
            before each call, None for all alike. Where all are 0, L_s is 0 and its terms are NaN.
        terms: after each call the detached ``L_s``, its summands (``L_wce``, ``L_hgd``) and the
            watched terms, on the device, for logging.
    """

    def __init__(
        self,
        summands: Mapping[str, SegmentationTerm] = SEGMENTATION_TERMS,
        *,
        watched: Mapping[str, SegmentationTerm] | None = None,
    ) -> None:
        super().__init__()
        self.summands = dict(summands)
        self.watched = dict(watched or {})
        self.ignore_label: int | None = None
        self.soft_labels = False
        self.scan_weights: torch.Tensor | None = None
        self.terms: dict[str, torch.Tensor] = {}

    def forward(
        self, output: torch.Tensor | Sequence[torch.Tensor], target: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """L_s as a scalar.

        Args:
            output: logits (B, C, Y, X), or a list that begins with them.
            target: begins with the labels (B, 1, Y, X) and ends with the weight map (B, 1, Y, X).
                Soft labels, the probability of class 1 of 2, stand before the weight map. Where
                they are NaN, the labels count.
        """
        logits = output if torch.is_tensor(output) else output[0]
        if self.scan_weights is not None and not self.scan_weights.any():
            return self._nothing_outlined(logits)
        batch = _segmentation_batch(logits, target, self.scan_weights)
        if self.soft_labels:
            batch = _with_soft_labels(batch, target[-2][:, 0])
        if self.ignore_label is not None:
            batch = _without_ignored(batch, self.ignore_label)
            if not batch.weight.any():  # nor where the only outlines are of scans that count 0
                return self._nothing_outlined(logits)
        values = {name: term(batch) for name, term in self.summands.items()}
        loss = cast(torch.Tensor, sum(values.values()))
        self.terms = {"L_s": loss.detach()}
        self.terms |= {name: value.detach() for name, value in values.items()}
        with torch.no_grad():
            self.terms |= {name: term(batch) for name, term in self.watched.items()}
        return loss

    def _nothing_outlined(self, logits: torch.Tensor) -> torch.Tensor:
        """0, with gradients that are 0, for a batch in which nobody has outlined anything."""
        logits = wide(logits)
        names = ("L_s", *self.summands, *self.watched)  # the same in every batch and process
        self.terms = dict.fromkeys(names, logits.new_tensor(torch.nan))
        return 0.0 * logits.sum()


def _with_soft_labels(batch: SegmentationBatch, soft: torch.Tensor) -> SegmentationBatch:
    """The probability of the lesion (B, *spatial) in place of 0 and 1, where it is known."""
    lesion = torch.where(torch.isfinite(soft), soft.to(batch.onehot), batch.onehot[:, 1])
    return batch._replace(onehot=torch.stack([1 - lesion, lesion], dim=1), soft=True)


def _without_ignored(batch: SegmentationBatch, ignore_label: int) -> SegmentationBatch:
    """The voxels that do not have the ignored label, as one sample with one spatial axis."""
    counted = batch.labels != ignore_label
    volumes = (batch.logits, batch.probs, batch.onehot)
    logits, probs, onehot = (volume.movedim(1, -1)[counted].T[None] for volume in volumes)
    share = None if batch.share is None else batch.share[counted][None]
    labels, weight = batch.labels[counted][None], batch.weight[counted][None]
    return SegmentationBatch(logits, probs, labels, onehot, weight, share, batch.soft)


def _segmentation_batch(
    logits: torch.Tensor, target: Sequence[torch.Tensor], scan_weights: torch.Tensor | None = None
) -> SegmentationBatch:
    """Logits and nnU-Net's targets as the terms need them.

    The one-hot labels are those of ``F.one_hot``, which would read the range of the labels back
    from the GPU and would put the classes last.
    """
    logits = wide(logits)
    labels = target[0][:, 0].long()
    classes = torch.arange(logits.shape[1], device=labels.device)
    classes = classes.view(-1, *(1,) * (labels.ndim - 1))
    onehot = (labels[:, None] == classes).to(logits.dtype)
    weight, share = target[-1][:, 0], None
    if scan_weights is not None:
        share = scan_weights.to(logits).view(-1, *(1,) * (labels.ndim - 1)).expand_as(labels)
        weight = weight * share
    return SegmentationBatch(logits, logits.softmax(dim=1), labels, onehot, weight, share)
