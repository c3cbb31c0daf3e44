"""The focal loss, which Abulnaga & Rubin 2018 and Gomez 2023 use."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from nnunetv2_strokesynth.losses.precision import wide


def focal_loss_per_pixel(
    logits_fg: torch.Tensor, labels: torch.Tensor, gamma: float
) -> torch.Tensor:
    """The focal loss of each pixel under a sigmoid: -(1 - p_t)^gamma log(p_t).

    Args:
        logits_fg: z, of any shape; the lesion's probability is sigmoid(z).
        labels: the same shape, 0 or 1.
        gamma: focusing exponent, at least 0; 0 gives the cross entropy.

    Returns:
        The same shape, at least 0; p_t is the probability of the true class.

    Source: Lin et al. 2017, Eq. 4. Computed from the logits, so that nothing needs to be clamped.
    """
    logits_true = torch.where(labels > 0, wide(logits_fg), -wide(logits_fg))
    log_p_true, log_p_false = F.logsigmoid(logits_true), F.logsigmoid(-logits_true)
    return -(gamma * log_p_false).exp() * log_p_true
