"""The 3-D U-Net of Abulnaga & Rubin 2018."""

from __future__ import annotations

from torch import nn

from nnunetv2_strokesynth.papers.shared.unet import SkipNetwork

N_LEVELS = 4
IN_PLANE = (1, 2, 2)  # (z, y, x)


class ConvNormReLU3d(nn.Sequential):
    """3x3x3 convolution with bias, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv3d(in_channels, out_channels, 3, padding=1),
            nn.BatchNorm3d(out_channels),
            nn.ReLU(inplace=True),
        )


class UNet3d(SkipNetwork):
    """Cicek et al.'s 3-D U-Net, by default pooled in the plane only; linear output.

    Four levels of (c/2, c), (c, 2c), (2c, 4c), (4c, 8c) features in their two convolutions; the
    up-convolutions keep their input's features; 4c, 2c, c twice on the way up. 17,700,034
    parameters for 5 -> 2 channels with c = 64. With scales of 2x2x2 and 3 -> 3 channels it has,
    without those of the norms, the 19,069,955 that Cicek et al. 2016 publish. That number also
    shows that the convolutions have biases and the up-convolutions none.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        base_features: c; even.
        scale: sides (z, y, x) of the pooling and of the up-convolutions. Abulnaga & Rubin 2018:
            2x2x1, z unchanged, because scans have as few as two slices.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        base_features: int = 64,
        *,
        scale: tuple[int, int, int] = IN_PLANE,
    ) -> None:
        super().__init__()
        self.name = "3-D U-Net"
        widths = [base_features * 2**level for level in range(N_LEVELS)]
        self.encoder = nn.ModuleList(
            nn.Sequential(ConvNormReLU3d(width_in, width // 2), ConvNormReLU3d(width // 2, width))
            for width_in, width in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        self.pool = nn.MaxPool3d(scale)
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for below, width in zip(widths[:0:-1], widths[-2::-1], strict=True):
            self.up.append(nn.ConvTranspose3d(below, below, scale, stride=scale, bias=False))
            self.decoder.append(
                nn.Sequential(ConvNormReLU3d(below + width, width), ConvNormReLU3d(width, width))
            )
        self.head = nn.Conv3d(base_features, out_channels, 1)
