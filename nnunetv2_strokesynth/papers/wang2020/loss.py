"""The synthesis losses of Wang et al. 2020, Table 1, and the joint loss that combines them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.func import functional_call

from nnunetv2_strokesynth.losses.joint import JointLoss, RealDwi
from nnunetv2_strokesynth.losses.precision import wide
from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.losses.synthesis import (
    context_distance_per_sample,
    mean_over_valid,
    weighted_l2_per_sample,
)

_ROOT_EPS = 1e-8


def plain_weighted_l2_per_sample(
    pred: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """The low-level term as printed: ``sqrt(sum((A (I_g - I_d))^2))`` of each sample.

    Args:
        pred, target: synthesised image and DWI, (B, 1, Y, X).
        weight: A of Eq. 9, the same shape.

    Returns:
        (B,), above 0, in the images' units: 256 times ``weighted_l2_per_sample`` for slices
        of 256x256 pixels.

    Source: Wang et al. 2020, Eq. 7, read as a plain norm.
    """
    return math.sqrt(pred[0].numel()) * weighted_l2_per_sample(pred, target, weight)


def plain_context_distance_per_sample(
    context_pred: torch.Tensor, context_target: torch.Tensor
) -> torch.Tensor:
    """The high-level term as printed: the sum of absolute differences, (B, 16) each -> (B,).

    16 times ``context_distance_per_sample``. Source: Wang et al. 2020, Eq. 8, read as a plain norm.
    """
    return context_pred.shape[1] * context_distance_per_sample(context_pred, context_target)


def l1_per_sample(pred: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The mean absolute error of each sample.

    Args:
        pred, target: synthesised image and DWI, (B, 1, Y, X).
        weight: not used.

    Returns:
        (B,), at least 0, in the images' units.

    Source: Wang et al. 2020, Table 1, "L1": Eq. 7 with the L1 norm and A = 1. Per pixel, as Eq. 7.
    """
    return (wide(pred) - wide(target)).abs().flatten(1).mean(dim=1)


def l2_per_sample(pred: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """``weighted_l2_per_sample`` with A = 1 everywhere (Wang et al. 2020, Table 1, "L2")."""
    return weighted_l2_per_sample(pred, target, torch.ones_like(weight))


def context_l2_per_sample(context_pred: torch.Tensor, context_target: torch.Tensor) -> torch.Tensor:
    """The root mean square difference of two context vectors: (B, 16) each -> (B,).

    Source: Wang et al. 2020, Table 1, "l_h2": Eq. 8 with the L2 norm. The mean over the entries and
    the 1e-8 inside the root are those of ``weighted_l2_per_sample``.
    """
    error = wide(context_pred) - wide(context_target)
    return error.square().mean(dim=1).add(_ROOT_EPS).sqrt()


def lsgan_per_sample(score_maps: Sequence[torch.Tensor], target: float) -> torch.Tensor:
    """Mean squared distance of a multi-scale discriminator's scores to 1 (real) or 0 (synthesised).

    Args:
        score_maps: (B, 1, y, x) for each scale.
        target: 1 or 0.

    Returns:
        (B,), at least 0: the mean over the pixels of each scale, then over the scales.

    Source: least-squares GAN of Mao et al. 2017, Eq. 9 with a = 0, b = c = 1, with the multi-scale
    discriminator of Wang et al. 2018 (pix2pixHD), as Wang et al. 2020 use it in Table 1.
    """
    scales = [(wide(scores) - target).square().flatten(1).mean(dim=1) for scores in score_maps]
    return torch.stack(scales).mean(dim=0)


# The names of Table 1 -> what computes the term; "norm": the plain norms that the paper prints.
PIXEL_TERMS: dict[str, Callable[..., torch.Tensor]] = {
    "L1": l1_per_sample,
    "L2": l2_per_sample,
    "w-L2": weighted_l2_per_sample,
    "w-L2 norm": plain_weighted_l2_per_sample,
}
CONTEXT_TERMS: dict[str, Callable[..., torch.Tensor]] = {
    "l_h1": context_distance_per_sample,
    "l_h2": context_l2_per_sample,
    "l_h1 norm": plain_context_distance_per_sample,
}


class Wang2020Loss(JointLoss):
    """The joint loss, Eq. 15, with the terms of a row of Table 1, for a training in stages.

    Args:
        context_encoder, alpha, beta, gamma, segmentation: see ``JointLoss``.
        pixel: the low-level term, a key of ``PIXEL_TERMS``; None trains by the GAN alone.
        context: the high-level term, a key of ``CONTEXT_TERMS``.
        discriminator: adds the adversarial term to the pseudo-DWI's loss, see ``_adversarial``. The
            network's own module, which the loss does not register, as the context encoder.

    Attributes:
        segmentation_weight: 1, or 0 while the synthesis is trained on its own.
        terms: those of ``JointLoss`` and, with a discriminator, ``adversarial`` and
            ``discriminator``.
    """

    def __init__(
        self,
        context_encoder: nn.Module | None,
        alpha: float = 1.0,
        beta: float = 1.0,
        gamma: float = 1.2,
        *,
        segmentation: SegmentationLoss | None = None,
        pixel: str | None = "w-L2",
        context: str = "l_h1",
        discriminator: nn.Module | None = None,
    ) -> None:
        super().__init__(context_encoder, alpha, beta, gamma, segmentation=segmentation)
        self._discriminator = (discriminator,)
        self._pixel = PIXEL_TERMS[pixel] if pixel else None
        self._context = CONTEXT_TERMS[context]
        self.segmentation_weight = 1.0

    def _weighted_losses(
        self, segmentation: torch.Tensor, output: Sequence[torch.Tensor], real: RealDwi
    ) -> list[tuple[float, torch.Tensor]]:
        _, *others = super()._weighted_losses(segmentation, output, real)
        losses = [(self.segmentation_weight, segmentation), *others]
        if self._discriminator[0] is not None:
            _, pseudo_dwi, _, condition = output
            losses.append((self.alpha, self._adversarial(condition, pseudo_dwi, real)))
        return losses

    def _similarity(
        self,
        name: str,
        image: torch.Tensor,
        contexts: tuple[torch.Tensor | None, torch.Tensor | None],
        real: RealDwi,
    ) -> torch.Tensor:
        if self._pixel is None:
            return torch.zeros((), device=image.device)
        return super()._similarity(name, image, contexts, real)

    def _adversarial(
        self, condition: torch.Tensor, pseudo_dwi: torch.Tensor, real: RealDwi
    ) -> torch.Tensor:
        """Both sides of the least-squares GAN in one scalar, so that one step serves both.

        The generator's term sees the discriminator's parameters detached, and the discriminator's
        term the pseudo-DWI detached: each gets the gradient of its own loss. pix2pixHD, too,
        computes both losses before it steps.

        Choices: the discriminator sees what the generator saw (conditional, as in pix2pixHD); the
        adversarial term has weight 1 beside the pixel term. The paper is silent on both.

        Args:
            condition: the channels that the generator saw, (B, K, Y, X).
            pseudo_dwi: (B, 1, Y, X).
            real: the DWI.
        """
        (discriminator,) = self._discriminator
        condition = condition.to(real.image.dtype)
        fake = pseudo_dwi.to(real.image.dtype)
        with torch.autocast(real.image.device.type, enabled=False):
            detached = {name: value.detach() for name, value in discriminator.named_parameters()}
            judged = functional_call(discriminator, detached, (torch.cat((condition, fake), 1),))
            on_fake = discriminator(torch.cat((condition, fake.detach()), dim=1))
            on_real = discriminator(torch.cat((condition, real.image), dim=1))
        adversarial = mean_over_valid(lsgan_per_sample(judged, 1.0), real.valid)
        errors = lsgan_per_sample(on_real, 1.0) + lsgan_per_sample(on_fake, 0.0)
        learned = 0.5 * mean_over_valid(errors, real.valid)
        self._log("adversarial", adversarial, real)
        self._log("discriminator", learned, real)
        return adversarial + learned
