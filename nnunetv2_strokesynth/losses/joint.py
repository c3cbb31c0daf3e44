"""The losses as nnU-Net calls them: lists of outputs and targets in, a scalar out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from nnunetv2_strokesynth.losses.functional import (
    context_distance_per_sample,
    encode_context,
    hardness_aware_dice_loss,
    mean_over_valid,
    weighted_cross_entropy,
    weighted_l2_per_sample,
)


class SegmentationLoss(nn.Module):
    """L_s = L_WCE + L_HGD (Wang et al. 2020, Eq. 11).

    Attributes:
        terms: after each call the detached ``L_s``, ``L_wce``, ``L_hgd`` on the device, for
            logging.
    """

    def __init__(self) -> None:
        super().__init__()
        self.terms: dict[str, torch.Tensor] = {}

    def forward(
        self, output: torch.Tensor | Sequence[torch.Tensor], target: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """L_s as a scalar.

        Args:
            output: logits (B, C, Y, X), or a list that begins with them.
            target: begins with the labels (B, 1, Y, X) and ends with the weight map (B, 1, Y, X).
        """
        logits = output if torch.is_tensor(output) else output[0]
        logits = logits if logits.dtype == torch.float64 else logits.float()
        labels = target[0][:, 0].long()
        cross_entropy = weighted_cross_entropy(logits, labels, target[-1][:, 0])
        onehot = F.one_hot(labels, logits.shape[1]).movedim(-1, 1)
        dice = hardness_aware_dice_loss(logits.softmax(dim=1), onehot)
        loss = cross_entropy + dice
        self.terms = {
            "L_s": loss.detach(),
            "L_wce": cross_entropy.detach(),
            "L_hgd": dice.detach(),
        }
        return loss


class _Reference(NamedTuple):
    """What an image is compared with; missing DWIs are zeros, and not ``valid``."""

    dwi: torch.Tensor  # (B, 1, Y, X)
    weight: torch.Tensor  # (B, 1, Y, X)
    valid: torch.Tensor  # bool (B,)
    context: torch.Tensor | None  # (B, 16)


class JointLoss(nn.Module):
    """L = L_s + alpha L_g(I_g, I_d) + beta L_g(F_h, I_d) (Wang et al. 2020, Eq. 6 and 15).

    A sample whose DWI is missing (NaN) contributes L_s only; the L_g are means over the samples
    that have one. The context encoder then takes part with weight 0, so that its gradients are 0
    and not None.

    Args:
        context_encoder: (B, 1, Y, X) -> (B, 16), the network's own module. Referred to, not
            registered: its parameters belong to the network. None leaves the high-level terms
            out.
        alpha: weight of the pseudo-DWI's loss.
        beta: weight of the extracted feature's loss.
        gamma: weight of the high-level against the low-level term.

    Attributes:
        terms: after each call, detached scalars on the device, for logging: ``L_s``, ``L_wce``,
            ``L_hgd``, and when the pseudo-DWI was given ``synthesis_pixel``,
            ``synthesis_context``, ``feature_pixel``, ``feature_context``, ``context_spread``. The
            last is the standard deviation of Phi_c(I_d) over the batch, averaged over its 16
            entries: at 0 the encoder has collapsed to a constant. The last five are NaN for a batch
            without any DWI.
    """

    def __init__(
        self,
        context_encoder: nn.Module | None,
        alpha: float = 1.0,
        beta: float = 1.0,
        gamma: float = 1.2,
    ) -> None:
        super().__init__()
        self.segmentation = SegmentationLoss()
        # A tuple hides the module from nn.Module's registration.
        self._context_encoder = (context_encoder,)
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.terms: dict[str, torch.Tensor] = {}

    def forward(
        self, output: torch.Tensor | Sequence[torch.Tensor], target: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """The joint loss as a scalar.

        Args:
            output: (logits (B, C, Y, X), pseudo-DWI (B, 1, Y, X), feature (B, 1, Y, X)); logits
                alone give L_s.
            target: [labels, DWI (NaN where a sample has none), weight map], (B, 1, Y, X) each.
        """
        loss = self.segmentation(output, target)
        self.terms = dict(self.segmentation.terms)
        if torch.is_tensor(output):
            return loss
        _, pseudo_dwi, feature = output
        _, dwi, weight = target
        valid = torch.isfinite(dwi).flatten(1).all(dim=1)
        dwi = torch.where(valid[:, None, None, None], dwi, torch.zeros_like(dwi))
        context_synthesis, context_feature, context_dwi = self._contexts(pseudo_dwi, feature, dwi)
        reference = _Reference(dwi, weight, valid, context_dwi)
        synthesis = self._similarity("synthesis", pseudo_dwi, context_synthesis, reference)
        explicit = self._similarity("feature", feature, context_feature, reference)
        if context_dwi is not None:
            self.terms["context_spread"] = _spread(context_dwi.detach(), valid)
        self._mark_missing(valid)
        return loss + self.alpha * synthesis + self.beta * explicit

    def _mark_missing(self, valid: torch.Tensor) -> None:
        """A batch without any DWI says nothing about the synthesis: log NaN, not a perfect 0."""
        for name in self.terms.keys() - self.segmentation.terms.keys():
            value = self.terms[name]
            self.terms[name] = torch.where(valid.any(), value, torch.full_like(value, torch.nan))

    def _contexts(self, *images: torch.Tensor) -> Sequence[torch.Tensor | None]:
        """Context vectors of several (B, 1, Y, X): (B, 16) each, or None without an encoder.

        The encoder has no batch statistics, so one pass over all images gives what three would.
        """
        (encoder,) = self._context_encoder
        if encoder is None:
            return [None] * len(images)
        stacked = torch.cat([image.to(images[-1].dtype) for image in images])
        return encode_context(encoder, stacked).chunk(len(images))

    def _similarity(
        self,
        name: str,
        image: torch.Tensor,
        context: torch.Tensor | None,
        reference: _Reference,
    ) -> torch.Tensor:
        """L_g(image, DWI), Eq. 6, over the samples that have a DWI; logs both terms."""
        dwi, weight, valid, context_dwi = reference
        pixel = mean_over_valid(weighted_l2_per_sample(image, dwi, weight), valid)
        self.terms[f"{name}_pixel"] = pixel.detach()
        if context is None:
            return pixel
        high_level = mean_over_valid(context_distance_per_sample(context, context_dwi), valid)
        self.terms[f"{name}_context"] = high_level.detach()
        return pixel + self.gamma * high_level


def _spread(context: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Standard deviation over valid samples, mean over entries: (B, 16), (B,) -> scalar."""
    share = valid.to(context.dtype) / valid.sum().clamp_min(1)
    centre = (share[:, None] * context).sum(dim=0)
    return (share[:, None] * (context - centre).square()).sum(dim=0).sqrt().mean()
