"""The fully convolutional network of Wang et al. 2020, Table 3."""

from __future__ import annotations

import torch
from torch import nn

from nnunetv2_strokesynth.papers.shared.image_sides import check_sides

# VGG-16 (Simonyan & Zisserman 2015, configuration D): convolutions and width of each stage, the
# width as a multiple of the base features.
VGG16_STAGES = ((2, 1), (2, 2), (3, 4), (3, 8), (3, 8))


class VGGStage(nn.Sequential):
    """``n_convs`` times 3x3 convolution and ReLU, then 2x2 max-pooling; no norm."""

    def __init__(self, in_channels: int, out_channels: int, n_convs: int) -> None:
        layers: list[nn.Module] = []
        for width_in in [in_channels] + [out_channels] * (n_convs - 1):
            layers += [nn.Conv2d(width_in, out_channels, 3, padding=1), nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.MaxPool2d(2))


class Deconvolution(nn.Sequential):
    """3x3 transposed convolution that doubles the sides, ReLU, batch norm, in this order."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1),
            nn.ReLU(inplace=True),
            nn.BatchNorm2d(out_channels),
        )


class FCN(nn.Module):
    """FCN of Long et al. 2015 on VGG-16 with learned up-sampling; linear output.

    The 13 convolutions of VGG-16 without batch norm (c, 2c, 4c, 8c, 8c features, each stage
    max-pooled), five deconvolutions to 8c, 4c, 2c, c, c/2 features, and a 1x1 classifier.
    18,644,322 parameters for 4 -> 2 channels with c = 64 (Wang et al. 2020, Table 3: 18.64 M).

    Choices (Wang et al. are silent; the count fixes the layers but not the skips, which have no
    parameters): the pooled maps of stages 4, 3, 2 and 1 are added to the output of the first four
    deconvolutions, after their batch norm, as in the public FCN whose layers give this count
    (github.com/pochih/FCN-pytorch, ``FCNs``). Long et al. add class scores of pools 4 and 3 only.
    No weights learned on ImageNet.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        base_features: c, the features at full resolution; even.
    """

    def __init__(self, in_channels: int, out_channels: int, base_features: int = 64) -> None:
        super().__init__()
        widths = [multiple * base_features for _, multiple in VGG16_STAGES]
        self.encoder = nn.ModuleList(
            VGGStage(width_in, width, n_convs)
            for width_in, width, (n_convs, _) in zip(
                [in_channels, *widths[:-1]], widths, VGG16_STAGES, strict=True
            )
        )
        deconvolved = [*widths[-2::-1], base_features // 2]
        self.decoder = nn.ModuleList(
            Deconvolution(width_in, width)
            for width_in, width in zip([widths[-1], *deconvolved[:-1]], deconvolved, strict=True)
        )
        self.head = nn.Conv2d(deconvolved[-1], out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, Y, X) -> (B, out_channels, Y, X).

        Raises:
            ValueError: Y or X is not a multiple of 32.
        """
        check_sides(x, 2 ** len(VGG16_STAGES), "FCN")
        pooled = []
        for stage in self.encoder:
            x = stage(x)
            pooled.append(x)
        pooled.pop()
        for deconvolution in self.decoder:
            x = deconvolution(x)
            if pooled:
                x = x + pooled.pop()
        return self.head(x)
