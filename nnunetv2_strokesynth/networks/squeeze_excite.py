"""Squeeze-and-excitation: channel attention."""

from __future__ import annotations

import torch
from torch import nn


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate that is computed from the means of all channels.

    ``gate = sigmoid(W2 relu(W1 mean(x) + b1) + b2)``, one value in (0, 1) per sample and channel.

    Source: Hu et al. 2018, as Wang et al. 2020 use it (section 3.3). The paper's parameter counts
    fix the reduction at 1 and give both linear maps biases: 2 c^2 + 2 c parameters for c channels.

    Args:
        channels: channels of the input.
        reduction: how many times narrower than the input the hidden layer is.
    """

    def __init__(self, channels: int, reduction: int = 1) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, *spatial) -> the same shape."""
        spatial = tuple(range(2, x.ndim))
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean(dim=spatial)))))
        return x * gate.view(*gate.shape, *(1,) * len(spatial))
