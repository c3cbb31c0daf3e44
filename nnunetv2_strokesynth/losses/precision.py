"""The precision in which losses are computed."""

from __future__ import annotations

import torch


def wide(x: torch.Tensor) -> torch.Tensor:
    """Return half-precision numbers, which autocast makes, in float32, and others unchanged.

    Every loss widens its inputs with this function, so that sums over an image do not overflow.
    """
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
