"""The residual U-Net of Wang et al. 2020, Table 3."""

from __future__ import annotations

import torch
from torch import nn

from nnunetv2_strokesynth.networks.image_sides import check_sides

N_LEVELS = 5


class ResidualBlock(nn.Module):
    """ReLU(body(x) + shortcut(x)): body = conv3, BN, ReLU, conv3, BN; shortcut = conv1, BN.

    The shortcut is a projection in every block: the widths differ in all of them, but for a first
    block with as many channels as features.
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


class ResUNet(nn.Module):
    """U-Net of residual blocks after Xiao et al. 2018 (Weighted Res-UNet); linear output.

    Five levels of c, 2c, 4c, 8c, 16c features, max-pooling down, 2x2 transposed convolutions up.
    32,445,890 parameters for 4 -> 2 channels with c = 64.

    Departure: Wang et al. 2020, Table 3, print 81.91 M. They do not describe the layers, and no
    public layout gives that number; this is their U-Net with a residual block for each pair of
    convolutions. Xiao et al.'s weighted attention on the input is not part of it.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        base_features: c, the features at full resolution.
    """

    def __init__(self, in_channels: int, out_channels: int, base_features: int = 64) -> None:
        super().__init__()
        features = [base_features * 2**level for level in range(N_LEVELS)]
        self.encoder = nn.ModuleList(
            ResidualBlock(width_in, width)
            for width_in, width in zip([in_channels, *features[:-1]], features, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for below, width in zip(features[:0:-1], features[-2::-1], strict=True):
            self.up.append(nn.ConvTranspose2d(below, width, 2, stride=2))
            self.decoder.append(ResidualBlock(2 * width, width))
        self.head = nn.Conv2d(base_features, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, Y, X) -> (B, out_channels, Y, X).

        Raises:
            ValueError: Y or X is not a multiple of 16.
        """
        check_sides(x, 2 ** (N_LEVELS - 1), "residual U-Net")
        skips = []
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else self.pool(x))
            skips.append(x)
        skips.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat((skips.pop(), up(x)), dim=1))
        return self.head(x)
