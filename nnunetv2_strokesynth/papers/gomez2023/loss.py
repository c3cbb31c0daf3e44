"""The loss of Gomez 2023: class weight maps and deep supervision at full size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from nnunetv2_strokesynth.losses.precision import wide
from nnunetv2_strokesynth.papers.shared.focal import focal_loss_per_pixel

HEAD_WEIGHTS = (0.03, 0.045, 0.05, 0.125, 0.25, 0.5)  # coarse to fine
FOCAL_GAMMA = 2.0


def sigmoid_focal_loss(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Focal loss of each pixel: one map z (B, 1, Y, X), classes 0 or 1 (B, Y, X) -> (B, Y, X).

    Source: Gomez 2023, section 5.2. Choice: gamma = 2, the default of Lin et al. 2017; the thesis
    gives none. Lin et al.'s alpha is left to the class weight map.
    """
    return focal_loss_per_pixel(logits[:, 0], classes, FOCAL_GAMMA)


def softmax_cross_entropy(logits: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Cross entropy of each pixel: (B, C, Y, X), classes 0 to C - 1 (B, Y, X) -> (B, Y, X).

    Source: Gomez 2023, section 5.3. In float32 or wider.
    """
    return F.cross_entropy(wide(logits), classes.long(), reduction="none")


def class_weight_map(classes: torch.Tensor, class_weights: Sequence[float]) -> torch.Tensor:
    """Replace each pixel's class by that class's weight: (B, Y, X) -> float32 (B, Y, X).

    It does not index, since that would copy the weights to the GPU in every step and wait.

    Source: Gomez 2023, section 4.3 and Fig. 6.
    """
    maps = (weight * (classes == index).float() for index, weight in enumerate(class_weights))
    return torch.stack(list(maps)).sum(dim=0)


def mean_weighted_loss(pixel_losses: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """``1 / (H W) sum_ij w_ij l_ij``, mean over the samples: (B, Y, X) each -> scalar.

    Source: Gomez 2023, section 4.3. Divided by the number of pixels, not by the sum of the weights
    as in Wang et al.'s Eq. 12. Choice: the thesis has one image; over a batch we take the mean.
    """
    return (weight * pixel_losses).mean()


class Gomez2023Loss(nn.Module):
    """``sum_i W_i L_i`` over the heads, each compared with the full-size labels.

    Source: Gomez 2023, sections 4.2 and 4.3.

    Args:
        pixel_loss: (logits (B, K, Y, X), classes (B, Y, X)) -> (B, Y, X).
        class_weights: one for each class; ones leave the class weight maps out.
        head_weights: W, coarse to fine; (1,) for a network without deep supervision.

    Attributes:
        terms: after each call the detached ``L_total`` and the unweighted ``L_1``, ``L_2``, ... of
            the heads, coarse to fine, for logging.
    """

    def __init__(
        self,
        pixel_loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        class_weights: Sequence[float],
        head_weights: Sequence[float] = HEAD_WEIGHTS,
    ) -> None:
        super().__init__()
        self.pixel_loss = pixel_loss
        self.class_weights = tuple(class_weights)
        self.head_weights = tuple(head_weights)
        self.terms: dict[str, torch.Tensor] = {}

    def forward(
        self, output: Sequence[torch.Tensor], target: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """The loss as a scalar.

        Args:
            output: two-class logits, which only nnU-Net's online Dice reads, then the heads'
                logits, (B, K, Y, X) each, coarse to fine.
            target: ends with the map of the classes, (B, 1, Y, X).

        Raises:
            ValueError: not as many heads as head weights.
        """
        heads = output[1:]
        if len(heads) != len(self.head_weights):
            raise ValueError(
                f"Gomez2023Loss weighs {len(self.head_weights)} heads, the network returned "
                f"{len(heads)}. Give it one weight for each head."
            )
        classes = target[-1][:, 0]
        weight = class_weight_map(classes, self.class_weights)
        losses = [mean_weighted_loss(self.pixel_loss(head, classes), weight) for head in heads]
        loss = sum(share * value for share, value in zip(self.head_weights, losses, strict=True))
        self.terms = {"L_total": loss.detach()}
        self.terms |= {f"L_{k}": value.detach() for k, value in enumerate(losses, start=1)}
        return loss
