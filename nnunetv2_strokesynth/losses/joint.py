"""The losses as nnU-Net calls them: lists of outputs and targets in, a scalar out."""

from __future__ import annotations

from collections.abc import Sequence

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
            entries: at 0 the encoder has collapsed to a constant.
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
        pixel = [
            mean_over_valid(weighted_l2_per_sample(image, dwi, weight), valid)
            for image in (pseudo_dwi, feature)
        ]
        context = self._context_terms(pseudo_dwi, feature, dwi, valid)
        self.terms |= dict(zip(("synthesis_pixel", "feature_pixel"), _detached(pixel), strict=True))
        synthesis = pixel[0] + self.gamma * context[0]
        explicit = pixel[1] + self.gamma * context[1]
        return loss + self.alpha * synthesis + self.beta * explicit

    def _context_terms(
        self,
        pseudo_dwi: torch.Tensor,
        feature: torch.Tensor,
        dwi: torch.Tensor,
        valid: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """High-level terms of pseudo-DWI and feature; logs them and the spread of Phi_c(I_d)."""
        (encoder,) = self._context_encoder
        if encoder is None:
            zero = dwi.new_zeros(())
            return zero, zero
        # The encoder has no batch statistics: one pass over the three images gives what three
        # would.
        images = torch.cat((pseudo_dwi.to(dwi.dtype), feature.to(dwi.dtype), dwi))
        context_synthesis, context_feature, context_dwi = encode_context(encoder, images).chunk(3)
        synthesis, explicit = (
            mean_over_valid(context_distance_per_sample(context, context_dwi), valid)
            for context in (context_synthesis, context_feature)
        )
        self.terms |= {
            "synthesis_context": synthesis.detach(),
            "feature_context": explicit.detach(),
            "context_spread": _spread(context_dwi.detach(), valid),
        }
        return synthesis, explicit


def _detached(values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [value.detach() for value in values]


def _spread(context: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Standard deviation over the valid samples, mean over the 16 entries: (B, 16), (B,) -> scalar."""
    share = valid.to(context.dtype) / valid.sum().clamp_min(1)
    centre = (share[:, None] * context).sum(dim=0)
    return (share[:, None] * (context - centre).square()).sum(dim=0).sqrt().mean()
