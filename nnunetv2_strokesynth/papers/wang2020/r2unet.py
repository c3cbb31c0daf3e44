"""The recurrent residual U-Net of Wang et al. 2020, Table 3."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from nnunetv2_strokesynth.papers.shared.unet import EncoderDecoder


class RecurrentConv(nn.Module):
    """y_0 = f(x), y_k = f(x + y_(k-1)) for k = 1 .. steps, with one f = 3x3 conv, BN, ReLU.

    Batch norm is part of f: it normalises each step by that step's own statistics, and its running
    statistics move steps + 1 times per call.
    """

    def __init__(self, channels: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.layer = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, Y, X) -> y_steps, same shape."""
        y = self.layer(x)
        for _ in range(self.steps):
            y = self.layer(x + y)
        return y


class RecurrentResidualBlock(nn.Module):
    """1x1 convolution to the block's width, plus two recurrent convolutions of its result."""

    def __init__(self, in_channels: int, out_channels: int, steps: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(in_channels, out_channels, 1)
        self.recurrent = nn.Sequential(
            RecurrentConv(out_channels, steps), RecurrentConv(out_channels, steps)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, Y, X) -> (B, out_channels, Y, X)."""
        x = self.project(x)
        return x + self.recurrent(x)


class UpConv(nn.Sequential):
    """Nearest-neighbour up-sampling by 2, 3x3 convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class R2UNet(EncoderDecoder):
    """Recurrent residual U-Net of Alom et al. 2018 (arXiv 1802.06955); linear output.

    Five levels of c, 2c, 4c, 8c, 16c features, max-pooling down, up-sampling and convolution up.
    39,091,522 parameters for 4 -> 2 channels with c = 64, whatever the number of steps (Wang et
    al. 2020, Table 3: 39.09 M).

    Choices: t counts the recurrences after a first, purely feed-forward application, so that with
    t = 2 each convolution runs three times; the decoder doubles the sides by nearest neighbours
    and a 3x3 convolution, and convolutions have biases, which gives the published count.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        base_features: c, the features at full resolution.
        steps: t, the recurrences of each convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, base_features: int = 64, *, steps: int = 2
    ) -> None:
        block = partial(RecurrentResidualBlock, steps=steps)
        super().__init__(
            in_channels,
            out_channels,
            base_features,
            encoder_block=block,
            up=UpConv,
            decoder_block=block,
            name="R2U-Net",
        )
