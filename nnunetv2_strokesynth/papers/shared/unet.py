"""The U-Net of Wang et al. 2020, SLNet, and what other papers' U-Nets have in common with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from nnunetv2_strokesynth.networks.squeeze_excite import SqueezeExcite
from nnunetv2_strokesynth.papers.shared.image_sides import check_sides
from nnunetv2_strokesynth.papers.shared.switchable_norm import SwitchableNorm2d

N_LEVELS = 5


class ConvBlock(nn.Sequential):
    """Twice: 3x3 convolution with bias, norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, norm_op: type[nn.Module]) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            norm_op(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
            norm_op(out_channels),
            nn.ReLU(inplace=True),
        )


class SkipNetwork(nn.Module):
    """The way down and up that all U-Nets share, in 2-D and 3-D; subclasses make the parts.

    Attributes:
        encoder: one block per level.
        pool: layer between the levels; halves Y and X.
        up: layers that double Y and X, one per level but the deepest.
        decoder: one block per ``up``, which sees the skip and the level below.
        head: last layer.
        name: name of the network, for the error message.
    """

    encoder: nn.ModuleList
    pool: nn.Module
    up: nn.ModuleList
    decoder: nn.ModuleList
    head: nn.Module
    name: str

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, *spatial) -> (B, out_channels, *spatial).

        Raises:
            ValueError: Y or X cannot be halved once per level but the first.
        """
        check_sides(x, 2 ** len(self.decoder), self.name)
        skips = []
        for level, block in enumerate(self.encoder):
            x = block(x if level == 0 else self.pool(x))
            skips.append(x)
        skips.pop()
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(torch.cat((skips.pop(), up(x)), dim=1))
        return self.head(x)


class EncoderDecoder(SkipNetwork):
    """A 2-D U-Net of five levels: max-pooling down, skips concatenated, 1x1 convolution as head.

    The levels have c, 2c, 4c, 8c, 16c features.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        base_features: c, the features at full resolution.
        encoder_block: called with input and output channels, once per level.
        up: called with input and output channels; doubles the sides.
        decoder_block: called with input and output channels, once per level but the deepest.
        name: name of the network, for the error message.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        base_features: int,
        *,
        encoder_block: Callable[[int, int], nn.Module],
        up: Callable[[int, int], nn.Module],
        decoder_block: Callable[[int, int], nn.Module],
        name: str,
    ) -> None:
        super().__init__()
        self.name = name
        features = [base_features * 2**level for level in range(N_LEVELS)]
        self.encoder = nn.ModuleList(
            encoder_block(width_in, width)
            for width_in, width in zip([in_channels, *features[:-1]], features, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for below, width in zip(features[:0:-1], features[-2::-1], strict=True):
            self.up.append(up(below, width))
            self.decoder.append(decoder_block(2 * width, width))
        self.head = nn.Conv2d(base_features, out_channels, 1)


def deconvolution(in_channels: int, out_channels: int) -> nn.Module:
    """2x2 transposed convolution with stride 2: doubles the sides."""
    return nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)


class UNet(EncoderDecoder):
    """Ronneberger's U-Net with same padding and a norm after each convolution; linear output.

    Five levels of c, 2c, 4c, 8c, 16c features, max-pooling down, 2x2 transposed convolutions up.
    31,044,162 parameters for 4 -> 2 channels with c = 64 (Wang et al. 2020, Table 3: 31.04 M).

    Args:
        in_channels: input channels.
        out_channels: output channels.
        base_features: c, the features at full resolution.
        norm_op: normalisation class, called with the number of features.
        squeeze_excite: a squeeze-and-excitation block after each encoder block, bottleneck
            included.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        base_features: int = 64,
        *,
        norm_op: type[nn.Module] = nn.BatchNorm2d,
        squeeze_excite: bool = False,
    ) -> None:
        def encoder_block(width_in: int, width: int) -> nn.Module:
            block = ConvBlock(width_in, width, norm_op)
            return nn.Sequential(block, SqueezeExcite(width)) if squeeze_excite else block

        super().__init__(
            in_channels,
            out_channels,
            base_features,
            encoder_block=encoder_block,
            up=deconvolution,
            decoder_block=partial(ConvBlock, norm_op=norm_op),
            name="U-Net",
        )


class SLNet(UNet):
    """Wang et al. 2020, section 3.3: the U-Net with switchable norm and squeeze-and-excitation.

    33.84 M parameters for 4 -> 2 channels (33,841,710).
    """

    def __init__(self, in_channels: int, out_channels: int, base_features: int = 64) -> None:
        super().__init__(
            in_channels,
            out_channels,
            base_features,
            norm_op=SwitchableNorm2d,
            squeeze_excite=True,
        )


class SLNetNoSE(UNet):
    """SLNet without squeeze-and-excitation (Wang et al. 2020, Table 3: 31.04 M)."""

    def __init__(self, in_channels: int, out_channels: int, base_features: int = 64) -> None:
        super().__init__(in_channels, out_channels, base_features, norm_op=SwitchableNorm2d)


class SLNetNoSN(UNet):
    """SLNet with batch norm in place of switchable norm (Wang et al. 2020, Table 3: 33.84 M)."""

    def __init__(self, in_channels: int, out_channels: int, base_features: int = 64) -> None:
        super().__init__(in_channels, out_channels, base_features, squeeze_excite=True)
