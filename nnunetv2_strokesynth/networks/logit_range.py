"""Limits logits so that nnU-Net's sliding window can add them up in half precision."""

from __future__ import annotations

import torch

# nnU-Net weights a tile's logits by up to 10 and adds overlapping tiles in float16, which ends at
# 65,504. A softmax is 0 or 1 long before a logit of 1000.
LARGEST_LOGIT = 1000.0


def within_half_precision(logits: torch.Tensor) -> torch.Tensor:
    """Clip logits (B, C, ...) to +-``LARGEST_LOGIT``: for prediction, not for a loss.

    After a few steps of RMSprop, when its batch statistics have not settled, a network may give
    logits of many thousands. nnU-Net would then stop with "Encountered inf in predicted array", and
    a training would end without its validation.
    """
    return logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
