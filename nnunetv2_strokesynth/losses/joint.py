"""The joint loss of synthesis and segmentation: Eq. 15 of Wang et al. 2020."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
from torch import nn

from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.losses.synthesis import (
    context_collapse,
    context_distance_per_sample,
    context_spread,
    contrast_terms,
    encode_context,
    known_dwi,
    mean_over_valid,
    nan_without_dwi,
    relative_to_spread,
    synthesis_loss,
    weighted_l2_per_sample,
)


class RealDwi(NamedTuple):
    """The DWI that synthesised images are compared with; it is 0 where a sample has none."""

    image: torch.Tensor  # (B, 1, Y, X)
    weight: torch.Tensor  # (B, 1, Y, X), A of Eq. 9
    valid: torch.Tensor  # bool (B,), which samples have a DWI


class JointLoss(nn.Module):
    """L = L_s + alpha L_g(I_g, I_d) + beta L_g(F_h, I_d).

    L_s is the segmentation loss, L_g the synthesis loss of the pseudo-DWI I_g and of the extracted
    feature F_h against the DWI I_d. A sample whose DWI is missing (NaN) contributes L_s only; each
    L_g is a mean over the samples that have one. In a batch without any DWI, the context encoder
    takes part with weight 0, so that its gradients are 0 and not None.

    Source: Wang et al. 2020, Eq. 15.

    Args:
        context_encoder: (B, 1, Y, X) -> (B, 16), the network's own module. The loss refers to it
            without registering it: its parameters belong to the network. None leaves the context
            terms out.
        alpha: weight of the pseudo-DWI's loss.
        beta: weight of the extracted feature's loss.
        gamma: weight of the context term within L_g, Eq. 6.
        segmentation: L_s; None gives that of Eq. 11.
        spread_weight: weight of ``context_collapse`` of the real DWI's context vectors, which the
            paper does not have; 0 leaves it out.
        lesion_factor: factor on the weight map inside the lesion, in L_g only; the paper's is 1. A
            lesion is a few percent of the pixels, so that with 1 the anatomy has nearly all of L_g.
        relative_context: whether the contextual term is in units of the spread between the DWIs of
            a batch, see ``relative_to_spread``; the paper's is not.

    Attributes:
        alpha, beta: may be changed between iterations. A weight of 0 leaves the term in the log but
            takes it out of the loss.
        terms: after each call, detached scalars on the device, for logging: ``L_s`` and its
            summands and, when the pseudo-DWI was given, ``synthesis_pixel``,
            ``synthesis_context``, ``feature_pixel``, ``feature_context``, ``context_spread`` and
            ``context_collapse``, each if its image, the encoder and a weight exist.
            ``context_spread`` is the standard deviation of Phi_c(I_d) over the batch, averaged over
            its 16 entries: at 0 the encoder has collapsed to a constant. The terms of the synthesis
            are NaN for a batch without any DWI. Without gradients, as in validation, also
            ``contrast`` and ``dwi_contrast``, see ``contrast_terms``.
    """

    def __init__(
        self,
        context_encoder: nn.Module | None,
        alpha: float = 1.0,
        beta: float = 1.0,
        gamma: float = 1.2,
        *,
        segmentation: SegmentationLoss | None = None,
        lesion_factor: float = 1.0,
        spread_weight: float = 0.0,
        relative_context: bool = False,
    ) -> None:
        super().__init__()
        self.segmentation = segmentation or SegmentationLoss()
        self.lesion_factor = lesion_factor
        self.spread_weight = spread_weight
        self.relative_context = relative_context
        # A tuple hides the module from nn.Module's registration.
        self._context_encoder = (context_encoder,)
        self._pixel = weighted_l2_per_sample
        self._context = context_distance_per_sample
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.terms: dict[str, torch.Tensor] = {}

    def forward(
        self, output: torch.Tensor | Sequence[torch.Tensor], target: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """The joint loss as a scalar.

        Args:
            output: begins with logits (B, C, Y, X), pseudo-DWI (B, 1, Y, X) and feature
                (B, 1, Y, X) or None; logits alone, as a tensor, give L_s.
            target: [labels, DWI (NaN where a sample has none), weight map], (B, 1, Y, X) each;
                soft labels may stand before the weight map.
        """
        segmentation = self.segmentation(output, target)
        self.terms = dict(self.segmentation.terms)
        if torch.is_tensor(output):
            return segmentation
        labels, dwi, weight = target[0], target[1], target[-1]
        if self.segmentation.ignore_label is not None:
            labels = torch.where(labels == self.segmentation.ignore_label, 0, labels)
        dwi, valid = known_dwi(dwi)
        self.terms |= contrast_terms(output[1], dwi, labels, valid)
        if self.lesion_factor != 1.0:
            weight = torch.where(labels > 0, self.lesion_factor * weight, weight)
        losses = self._weighted_losses(segmentation, output, RealDwi(dwi, weight, valid))
        return cast(torch.Tensor, sum(share * loss for share, loss in losses if share))

    def _weighted_losses(
        self, segmentation: torch.Tensor, output: Sequence[torch.Tensor], real: RealDwi
    ) -> list[tuple[float, torch.Tensor]]:
        """The summands of Eq. 15, each with its weight; logs their terms."""
        images = [image for image in output[1:3] if image is not None]
        *contexts, context_dwi = self._contexts(*images, real.image)
        compared = [*contexts, context_dwi]
        if self.relative_context and context_dwi is not None:
            compared = relative_to_spread(compared, context_dwi, real.valid)
        *contexts, target = compared
        losses = [(1.0, segmentation)]
        names_and_weights = (("synthesis", self.alpha), ("feature", self.beta))
        for (name, share), image, context in zip(names_and_weights, images, contexts, strict=False):
            losses.append((share, self._similarity(name, image, (context, target), real)))
        if context_dwi is not None:
            self._log("context_spread", context_spread(context_dwi.detach(), real.valid), real)
            if self.spread_weight:
                collapse = context_collapse(context_dwi, real.valid)
                self._log("context_collapse", collapse, real)
                losses.append((self.spread_weight, collapse))
        return losses

    def _contexts(self, *images: torch.Tensor) -> Sequence[torch.Tensor | None]:
        """Context vectors of several images (B, 1, Y, X): (B, 16) each, or None without an encoder.

        The encoder has no batch statistics, so one pass over all images gives what several would.
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
        contexts: tuple[torch.Tensor | None, torch.Tensor | None],
        real: RealDwi,
    ) -> torch.Tensor:
        """L_g of one image, Eq. 6, over the samples that have a DWI; logs both terms.

        Args:
            name: begins the terms' names in the log.
            image: (B, 1, Y, X).
            contexts: of the image and of the DWI, (B, 16) each, or None twice.
            real: the DWI.
        """
        pixel = mean_over_valid(self._pixel(image, real.image, real.weight), real.valid)
        self._log(f"{name}_pixel", pixel, real)
        of_image, of_dwi = contexts
        if of_image is None or of_dwi is None:
            return synthesis_loss(pixel)
        context = mean_over_valid(self._context(of_image, of_dwi), real.valid)
        self._log(f"{name}_context", context, real)
        return synthesis_loss(pixel, context, gamma=self.gamma)

    def _log(self, name: str, value: torch.Tensor, real: RealDwi) -> None:
        self.terms[name] = nan_without_dwi(value.detach(), real.valid)
