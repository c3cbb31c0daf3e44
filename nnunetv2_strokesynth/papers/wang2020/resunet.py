"""The residual U-Net of Wang et al. 2020, Table 3."""

from __future__ import annotations

import torch
from torch import nn

from nnunetv2_strokesynth.papers.shared.unet import (
    EncoderDecoder,
    deconvolution,
)


class ResidualBlock(nn.Module):
    """ReLU(body(x) + shortcut(x)): body = conv3, BN, ReLU, conv3, BN; shortcut = conv1, BN.

    The shortcut is a projection in every block, because the widths differ in every block (except a
    first one with as many input channels as features).
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, 1), nn.BatchNorm2d(out_channels)
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, Y, X) -> (B, out_channels, Y, X)."""
        return self.relu(self.body(x) + self.shortcut(x))


class ResUNet(EncoderDecoder):
    """U-Net of residual blocks after Xiao et al. 2018 (Weighted Res-UNet); linear output.

    Five levels of c, 2c, 4c, 8c, 16c features, max-pooling down, 2x2 transposed convolutions up.
    32,445,890 parameters for 4 -> 2 channels with c = 64.

    Departure: Wang et al. 2020, Table 3, print 81.91 M. They do not describe the layers, and no
    public layout gives that number; this is their U-Net with a residual block for each pair of
    convolutions. It lacks Xiao et al.'s weighted attention on the input.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        base_features: c, the features at full resolution.
    """

    def __init__(self, in_channels: int, out_channels: int, base_features: int = 64) -> None:
        super().__init__(
            in_channels,
            out_channels,
            base_features,
            encoder_block=ResidualBlock,
            up=deconvolution,
            decoder_block=ResidualBlock,
            name="residual U-Net",
        )
