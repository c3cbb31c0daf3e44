"""The pixel-wise losses of Abulnaga & Rubin 2018 as nnU-Net calls them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from nnunetv2_strokesynth.losses.precision import wide
from nnunetv2_strokesynth.papers.shared.focal import focal_loss_per_pixel


def balanced_cross_entropy(
    lesion_logit: torch.Tensor, labels: torch.Tensor, lesion_weight: float
) -> torch.Tensor:
    """The mean over all pixels of -w y log(p) - (1 - w) (1 - y) log(1 - p).

    Args:
        lesion_logit: logit of p, the lesion's probability; any shape.
        labels: y, the same shape, 0 or 1.
        lesion_weight: w, from 0 to 1; 0.5 gives half the cross entropy.

    Returns:
        A scalar, at least 0. Without a lesion only the second summand is left.

    Raises:
        ValueError: ``lesion_weight`` is not between 0 and 1.

    Source: Abulnaga & Rubin 2018, Eq. 4. Computed from logits, so that it is finite everywhere.
    """
    if not 0 <= lesion_weight <= 1:
        raise ValueError(
            f"balanced_cross_entropy expects a weight between 0 and 1, found {lesion_weight}"
        )
    lesion_logit = wide(lesion_logit)
    target = (labels > 0).to(lesion_logit.dtype)
    weight = lesion_weight * target + (1 - lesion_weight) * (1 - target)
    return F.binary_cross_entropy_with_logits(lesion_logit, target, weight=weight)


def lesion_fraction(label_maps: Iterable[np.ndarray]) -> float:
    """Share of lesion among the labelled voxels of several scans, between 0 and 1.

    Args:
        label_maps: integers of any shape; positive is lesion, negative is not counted (nnU-Net
            marks what lies outside the head with -1).

    Returns:
        All lesion voxels over all voxels; NaN when there is none to count.
    """
    n_lesion, n_voxels = 0, 0
    for labels in label_maps:
        n_lesion += int(np.count_nonzero(labels > 0))
        n_voxels += int(np.count_nonzero(labels >= 0))
    return n_lesion / n_voxels if n_voxels else float("nan")


def _lesion_logit(output: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
    """Two-class logits (B, 2, *spatial) -> the logit of the lesion's probability (B, *spatial).

    In float32 or wider. The softmax of two logits is the sigmoid of their difference.
    """
    logits = wide(output if torch.is_tensor(output) else output[0])
    return logits[:, 1] - logits[:, 0]


class FocalLoss(nn.Module):
    """Mean focal loss over the pixels (Abulnaga & Rubin 2018, Eq. 5).

    Args:
        gamma: focusing exponent; the paper's experiments use 1.

    Attributes:
        terms: after each call the detached ``L_s`` on the device, for logging.
    """

    def __init__(self, gamma: float = 1.0) -> None:
        super().__init__()
        self.gamma = gamma
        self.terms: dict[str, torch.Tensor] = {}

    def forward(
        self, output: torch.Tensor | Sequence[torch.Tensor], target: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """The loss as a scalar.

        Args:
            output: logits (B, 2, *spatial), or a list that begins with them.
            target: begins with the labels (B, 1, *spatial).
        """
        loss = focal_loss_per_pixel(_lesion_logit(output), target[0][:, 0], self.gamma).mean()
        self.terms = {"L_s": loss.detach()}
        return loss


class BalancedCrossEntropy(nn.Module):
    """Mean cross entropy with one weight for lesion and one for all else (the paper's Eq. 4).

    Args:
        lesion_weight: w, between 0 and 1.

    Attributes:
        terms: after each call the detached ``L_s`` on the device, for logging.
    """

    def __init__(self, lesion_weight: float) -> None:
        super().__init__()
        self.lesion_weight = lesion_weight
        self.terms: dict[str, torch.Tensor] = {}

    def forward(
        self, output: torch.Tensor | Sequence[torch.Tensor], target: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """The loss as a scalar; the arguments are those of ``FocalLoss``."""
        loss = balanced_cross_entropy(_lesion_logit(output), target[0][:, 0], self.lesion_weight)
        self.terms = {"L_s": loss.detach()}
        return loss
