"""The attention gate of Gomez 2023: additive cross-attention on a skip connection."""

from __future__ import annotations

import torch
from torch import nn


class CrossAttention(nn.Module):
    """``sigmoid(W_s ReLU(W_e x_e + W_d x_d)) * x_e``: the decoder weighs the pixels of a skip.

    Source: Gomez 2023, section 4.1. The three W are 1x1 convolutions, W_s gives one map that is
    broadcast over all features of x_e. As in the formula, none of them has a bias, and there is no
    batch norm. Choice: half as many features between them as x_e has (the thesis is silent).

    Args:
        skip_channels: features of x_e, from the encoder.
        decoder_channels: features of x_d, from the decoder.
    """

    def __init__(self, skip_channels: int, decoder_channels: int) -> None:
        super().__init__()
        width = max(1, skip_channels // 2)
        self.w_e = nn.Conv2d(skip_channels, width, 1, bias=False)
        self.w_d = nn.Conv2d(decoder_channels, width, 1, bias=False)
        self.w_s = nn.Conv2d(width, 1, 1, bias=False)

    def forward(self, skip: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
        """x_e (B, E, Y, X) and x_d (B, D, Y, X) -> refined x_e (B, E, Y, X)."""
        alignment = torch.relu(self.w_e(skip) + self.w_d(decoded))
        return torch.sigmoid(self.w_s(alignment)) * skip
