"""The joint loss of Song & Huang 2018, the forerunner that won ISLES 2018."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nnunetv2_strokesynth.losses.precision import wide
from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.losses.synthesis import (
    context_spread,
    contrast_terms,
    encode_context,
    known_dwi,
    mean_over_valid,
    nan_without_dwi,
)

_ROOT_EPS = 1e-8


def lesion_l1(feature: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The extractor's loss L_e: the mean of |sigmoid(F_h) - lesion| over all pixels.

    Args:
        feature: F_h, (B, 1, Y, X), before the sigmoid.
        labels: (B, 1, Y, X), above 0 in the lesion.

    Returns:
        A scalar between 0 and 1; without a lesion, the mean of sigmoid(F_h).

    Source: Song & Huang 2018, Eq. 1: the extractor regresses the lesion, not the DWI. Choice: the
    mean in place of the sum.
    """
    return (torch.sigmoid(wide(feature)) - (labels > 0).float()).abs().mean()


def weighted_norm_per_sample(
    pred: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """The pixel term of L_g: the plain norm ``sqrt(sum((W (DWI_g - DWI_r))^2))``.

    Args:
        pred: generated DWI, (B, 1, Y, X).
        target: real DWI, the same shape and units.
        weight: W, the same shape, positive.

    Returns:
        (B,), at least 1e-4, in the images' units.

    Source: Song & Huang 2018, Eq. 2, first term. A sum over the pixels, so that it grows with the
    image; hence the paper's factor of 0.002. 1e-8 inside the root keeps its gradient finite.
    """
    error = wide(weight) * (wide(pred) - wide(target))
    return error.square().flatten(1).sum(dim=1).add(_ROOT_EPS).sqrt()


def feature_norm_per_sample(generated: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """The feature term of L_g: ``||F_A - F_B||_2`` of two context vectors.

    Args:
        generated: F_A, of the generated DWI, (B, K).
        real: F_B, of the real DWI, (B, K).

    Returns:
        (B,), at least 1e-4.

    Source: Song & Huang 2018, Eq. 2, second term.
    """
    return (wide(generated) - wide(real)).square().sum(dim=1).add(_ROOT_EPS).sqrt()


class Song2018Loss(nn.Module):
    """lambda_1 L_e + L_g + lambda_4 L_s (Song & Huang 2018, Eq. 1 to 3).

    A sample whose DWI is missing (NaN) leaves L_g out; the encoders then take part with weight 0.

    Args:
        encoder_generated: model A, (B, 1, Y, X) -> (B, K): sees the generated DWI. The network's
            own module, which the loss does not register. None leaves the term out.
        encoder_real: model B, for the real DWI.
        segmentation: L_s.
        with_extractor: whether there is a feature to supervise.
        weighted: whether W is used in L_g; without it W = 1.
        lambdas: lambda_1 (L_e), lambda_2 (pixels), lambda_3 (features), lambda_4 (L_s).

    Attributes:
        terms: after each call, detached scalars on the device, for logging.
    """

    def __init__(
        self,
        encoder_generated: nn.Module | None,
        encoder_real: nn.Module | None,
        *,
        segmentation: SegmentationLoss,
        with_extractor: bool = True,
        weighted: bool = True,
        lambdas: Sequence[float] = (1.0, 0.002, 1.2, 1.0),
    ) -> None:
        super().__init__()
        # A tuple hides the modules from nn.Module's registration.
        self._encoders = (encoder_generated, encoder_real)
        self.segmentation = segmentation
        self.with_extractor = with_extractor
        self.weighted = weighted
        self.lambdas = tuple(lambdas)
        self.terms: dict[str, torch.Tensor] = {}

    def forward(
        self, output: torch.Tensor | Sequence[torch.Tensor], target: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """The joint loss as a scalar.

        Args:
            output: (logits (B, C, Y, X), pseudo-DWI (B, 1, Y, X), feature (B, 1, Y, X) or None);
                logits alone give L_s.
            target: [labels, DWI (NaN where a sample has none), weight map], (B, 1, Y, X) each.
        """
        of_extractor, of_pixels, of_features, of_segmenter = self.lambdas
        loss = of_segmenter * self.segmentation(output, target)
        self.terms = dict(self.segmentation.terms)
        if torch.is_tensor(output):
            return loss
        _, pseudo_dwi, feature = output
        labels, dwi, weight = target
        dwi, valid = known_dwi(dwi)
        self.terms |= contrast_terms(pseudo_dwi, dwi, labels, valid)
        if self.with_extractor:
            explicit = lesion_l1(feature, labels)
            self.terms["feature_lesion"] = explicit.detach()
            loss = loss + of_extractor * explicit
        weight = weight if self.weighted else torch.ones_like(weight)
        synthesis = mean_over_valid(weighted_norm_per_sample(pseudo_dwi, dwi, weight), valid)
        loss = loss + of_pixels * synthesis
        self.terms["synthesis_pixel"] = nan_without_dwi(synthesis.detach(), valid)
        if None not in self._encoders:
            contexts = [
                encode_context(encoder, image)
                for encoder, image in zip(self._encoders, (pseudo_dwi, dwi), strict=True)
            ]
            distance = mean_over_valid(feature_norm_per_sample(*contexts), valid)
            loss = loss + of_features * distance
            self.terms["synthesis_context"] = nan_without_dwi(distance.detach(), valid)
            spread = context_spread(contexts[1].detach(), valid)
            self.terms["context_spread"] = nan_without_dwi(spread, valid)
        return loss
