"""The losses as nnU-Net calls them: lists of outputs and targets in, a scalar out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from nnunetv2_strokesynth.losses.functional import (
    context_distance_per_sample,
    context_l2_per_sample,
    context_spread,
    dice_loss,
    encode_context,
    generalized_dice_loss,
    hardness_aware_dice_loss,
    known_dwi,
    l1_per_sample,
    l2_per_sample,
    lsgan_per_sample,
    mean_over_valid,
    nan_without_dwi,
    weighted_cross_entropy,
    weighted_l2_per_sample,
    wide,
)


class _Segmentation(NamedTuple):
    """What a segmentation loss may look at."""

    logits: torch.Tensor  # (B, C, Y, X)
    probs: torch.Tensor  # (B, C, Y, X)
    labels: torch.Tensor  # (B, Y, X)
    onehot: torch.Tensor  # (B, C, Y, X)
    weight: torch.Tensor  # (B, Y, X)


# The names that Wang et al. 2020 give the losses of Tables 1 and 4 -> what computes them.
SEGMENTATION_TERMS: dict[str, Callable[[_Segmentation], torch.Tensor]] = {
    "L_ce": lambda s: F.cross_entropy(s.logits, s.labels),
    "L_wce": lambda s: weighted_cross_entropy(s.logits, s.labels, s.weight),  # Eq. 12
    "L_dice": lambda s: dice_loss(s.probs, s.onehot),
    "L_gd": lambda s: generalized_dice_loss(s.probs, s.onehot),  # Eq. 14
    "L_hgd": lambda s: hardness_aware_dice_loss(s.probs, s.onehot),  # Eq. 13
    # What Clerigues et al. 2019 watch on the validation patches.
    "l1": lambda s: (s.probs - s.onehot).abs().mean(),
    "error_rate": lambda s: (s.probs.argmax(dim=1) != s.labels).float().mean(),
}
PIXEL_TERMS: dict[str, Callable[..., torch.Tensor]] = {
    "L1": l1_per_sample,
    "L2": l2_per_sample,
    "w-L2": weighted_l2_per_sample,  # Eq. 7
}
CONTEXT_TERMS: dict[str, Callable[..., torch.Tensor]] = {
    "l_h1": context_distance_per_sample,  # Eq. 8
    "l_h2": context_l2_per_sample,
}


class SegmentationLoss(nn.Module):
    """A sum of segmentation losses; L_s = L_WCE + L_HGD by default (Wang et al. 2020, Eq. 11).

    Args:
        names: keys of ``SEGMENTATION_TERMS``.
        watched: further keys, whose terms are logged and no part of the loss.

    Attributes:
        terms: after each call the detached ``L_s``, its summands (``L_wce``, ``L_hgd``) and what is
            watched, on the device, for logging.
    """

    def __init__(
        self, names: Sequence[str] = ("L_wce", "L_hgd"), *, watched: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.names = tuple(names)
        self.watched = tuple(watched)
        self.terms: dict[str, torch.Tensor] = {}

    def forward(
        self, output: torch.Tensor | Sequence[torch.Tensor], target: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """L_s as a scalar.

        Args:
            output: logits (B, C, Y, X), or a list that begins with them.
            target: begins with the labels (B, 1, Y, X) and ends with the weight map (B, 1, Y, X).
        """
        logits = wide(output if torch.is_tensor(output) else output[0])
        labels = target[0][:, 0].long()
        # As F.one_hot, which reads the labels' range first and lays the classes out last.
        classes = torch.arange(logits.shape[1], device=labels.device)
        classes = classes.view(-1, *(1,) * (labels.ndim - 1))
        onehot = (labels[:, None] == classes).to(logits.dtype)
        inputs = _Segmentation(logits, logits.softmax(dim=1), labels, onehot, target[-1][:, 0])
        values = {name: SEGMENTATION_TERMS[name](inputs) for name in self.names}
        loss = sum(values.values())
        self.terms = {"L_s": loss.detach()}
        self.terms |= {name: value.detach() for name, value in values.items()}
        with torch.no_grad():
            self.terms |= {name: SEGMENTATION_TERMS[name](inputs) for name in self.watched}
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
        segmentation: L_s; the default is Eq. 11.
        pixel: the low-level term, a key of ``PIXEL_TERMS``, or None to leave it out.
        context: the high-level term, a key of ``CONTEXT_TERMS``.
        discriminator: adds the adversarial term to the pseudo-DWI's loss, see ``_adversarial``.
            Referred to, not registered, as the context encoder.

    Attributes:
        segmentation_weight: 1, or 0 while the synthesis is trained on its own.
        alpha, beta: may be changed between iterations: a weight of 0 leaves the term in the log but
            out of the loss.
        terms: after each call, detached scalars on the device, for logging: ``L_s`` and its
            summands, and when the pseudo-DWI was given ``synthesis_pixel``,
            ``synthesis_context``, ``feature_pixel``, ``feature_context``, ``context_spread``,
            ``adversarial``, ``discriminator`` as far as they exist. ``context_spread`` is the
            standard deviation of Phi_c(I_d) over the batch, averaged over its 16 entries: at 0 the
            encoder has collapsed to a constant. All but the first are NaN for a batch without any
            DWI.
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
        super().__init__()
        self.segmentation = segmentation or SegmentationLoss()
        # Tuples hide the modules from nn.Module's registration.
        self._context_encoder = (context_encoder,)
        self._discriminator = (discriminator,)
        self._pixel = PIXEL_TERMS[pixel] if pixel else None
        self._context = CONTEXT_TERMS[context]
        self.segmentation_weight = 1.0
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.terms: dict[str, torch.Tensor] = {}

    def forward(
        self, output: torch.Tensor | Sequence[torch.Tensor], target: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """The joint loss as a scalar.

        Args:
            output: (logits (B, C, Y, X), pseudo-DWI (B, 1, Y, X), feature (B, 1, Y, X) or None,
                and, for a discriminator, what the pseudo-DWI was made from (B, K, Y, X)); logits
                alone give L_s.
            target: [labels, DWI (NaN where a sample has none), weight map], (B, 1, Y, X) each.
        """
        segmentation = self.segmentation(output, target)
        self.terms = dict(self.segmentation.terms)
        if torch.is_tensor(output):
            return segmentation
        _, pseudo_dwi, feature, *condition = output
        _, dwi, weight = target
        dwi, valid = known_dwi(dwi)
        images = [image for image in (pseudo_dwi, feature) if image is not None]
        *contexts, context_dwi = self._contexts(*images, dwi)
        reference = _Reference(dwi, weight, valid, context_dwi)
        losses = [(self.segmentation_weight, segmentation)]
        names_and_weights = (("synthesis", self.alpha), ("feature", self.beta))
        for (name, share), image, vector in zip(names_and_weights, images, contexts, strict=False):
            losses.append((share, self._similarity(name, image, vector, reference)))
        if self._discriminator[0] is not None:
            losses.append((self.alpha, self._adversarial(condition[0], pseudo_dwi, reference)))
        if context_dwi is not None:
            self.terms["context_spread"] = context_spread(context_dwi.detach(), valid)
        for name in self.terms.keys() - self.segmentation.terms.keys():
            self.terms[name] = nan_without_dwi(self.terms[name], valid)
        return sum(share * loss for share, loss in losses if share)

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
        loss = torch.zeros((), device=dwi.device)
        if self._pixel is not None:
            pixel = mean_over_valid(self._pixel(image, dwi, weight), valid)
            self.terms[f"{name}_pixel"] = pixel.detach()
            loss = loss + pixel
        if context is not None:
            high_level = mean_over_valid(self._context(context, context_dwi), valid)
            self.terms[f"{name}_context"] = high_level.detach()
            loss = loss + self.gamma * high_level
        return loss

    def _adversarial(
        self, condition: torch.Tensor, pseudo_dwi: torch.Tensor, reference: _Reference
    ) -> torch.Tensor:
        """Both sides of the least-squares GAN in one scalar, so that one step serves both.

        The generator's term sees the discriminator's parameters detached, the discriminator's term
        the pseudo-DWI detached: each gets the gradient of its own loss. That is the simultaneous
        update of pix2pixHD, which computes both losses before it steps, too.

        Choices: the discriminator sees what the generator saw (conditional, as in pix2pixHD); the
        adversarial term has weight 1 beside the pixel term. The paper is silent on both.
        """
        (discriminator,) = self._discriminator
        dwi, _, valid, _ = reference
        condition = condition.to(dwi.dtype)
        fake = pseudo_dwi.to(dwi.dtype)
        with torch.autocast(dwi.device.type, enabled=False):
            detached = {name: value.detach() for name, value in discriminator.named_parameters()}
            judged = functional_call(discriminator, detached, (torch.cat((condition, fake), 1),))
            adversarial = mean_over_valid(lsgan_per_sample(judged, 1.0), valid)
            on_fake = discriminator(torch.cat((condition, fake.detach()), dim=1))
            on_real = discriminator(torch.cat((condition, dwi), dim=1))
        errors = lsgan_per_sample(on_real, 1.0) + lsgan_per_sample(on_fake, 0.0)
        learned = 0.5 * mean_over_valid(errors, valid)
        self.terms["adversarial"] = adversarial.detach()
        self.terms["discriminator"] = learned.detach()
        return adversarial + learned
