"""The V-Net of Abulnaga & Rubin 2018."""

from __future__ import annotations

import torch
from torch import nn

from nnunetv2_strokesynth.papers.shared.image_sides import check_sides

IN_PLANE = (1, 2, 2)  # (z, y, x)
ENCODER_CONVS = (1, 2, 3, 3, 3)
DECODER_CONVS = (3, 3, 2, 1)


class ResidualStage(nn.Module):
    """``n_convs`` 3x3x3 convolutions with PReLUs between them; input added; PReLU.

    The stage's input is added unchanged. Where the widths differ, in the network's first stage, a
    1x1x1 convolution of it is added.
    """

    def __init__(self, in_channels: int, out_channels: int, n_convs: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index in range(n_convs):
            if index:
                layers.append(nn.PReLU(out_channels))
            width_in = out_channels if index else in_channels
            layers.append(nn.Conv3d(width_in, out_channels, 3, padding=1))
        self.body = nn.Sequential(*layers)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv3d(in_channels, out_channels, 1)
        self.activation = nn.PReLU(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, Z, Y, X) -> (B, out_channels, Z, Y, X)."""
        return self.activation(self.body(x) + self.shortcut(x))


def _resampling(layer: type[nn.Module], in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        layer(in_channels, out_channels, IN_PLANE, stride=IN_PLANE), nn.PReLU(out_channels)
    )


class VNet(nn.Module):
    """Milletari et al.'s V-Net with 3x3x3 kernels, halved in the plane only; linear output.

    Residual stages of 1, 2, 3, 3, 3 convolutions with c, 2c, 4c, 8c, 16c features; strided
    convolutions between them. On the way up, transposed convolutions to 8c, 4c, 2c, c features,
    concatenated with the encoder's of the same level (of 8c, 4c, 2c, c), and residual stages of 3,
    3, 2, 1 convolutions on the 16c, 8c, 4c, 2c features together. No norm.
    14,307,346 parameters for 5 -> 2 channels with c = 16.

    Source: Milletari et al. 2016, Fig. 2, with the kernels of Abulnaga & Rubin 2018, section 4.4.
    Choice: in the first stage Milletari et al. add the one input channel to all 16 features; five
    channels go through a 1x1x1 convolution first.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        base_features: c, the features at full resolution.
    """

    def __init__(self, in_channels: int, out_channels: int, base_features: int = 16) -> None:
        super().__init__()
        widths = [base_features * 2**level for level in range(len(ENCODER_CONVS))]
        self.encoder = nn.ModuleList([ResidualStage(in_channels, widths[0], ENCODER_CONVS[0])])
        self.down = nn.ModuleList()
        for above, width, n_convs in zip(widths, widths[1:], ENCODER_CONVS[1:], strict=False):
            self.down.append(_resampling(nn.Conv3d, above, width))
            self.encoder.append(ResidualStage(width, width, n_convs))
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        below = widths[-1]
        for width, n_convs in zip(widths[-2::-1], DECODER_CONVS, strict=True):
            self.up.append(_resampling(nn.ConvTranspose3d, below, width))
            below = 2 * width
            self.decoder.append(ResidualStage(below, below, n_convs))
        self.head = nn.Conv3d(below, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, Z, Y, X) -> (B, out_channels, Z, Y, X).

        Raises:
            ValueError: Y or X is not a multiple of 16.
        """
        check_sides(x, 2 ** len(self.down), "V-Net")
        skips = [self.encoder[0](x)]
        for down, stage in zip(self.down, self.encoder[1:], strict=True):
            skips.append(stage(down(skips[-1])))
        x = skips.pop()
        for up, stage in zip(self.up, self.decoder, strict=True):
            x = stage(torch.cat((skips.pop(), up(x)), dim=1))
        return self.head(x)
