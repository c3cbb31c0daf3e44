"""The U-Net of Gomez 2023: additive cross-attention on the skips, a head at every decoder level."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from nnunetv2_strokesynth.papers.gomez2023.attention_gate import CrossAttention
from nnunetv2_strokesynth.papers.shared.image_sides import check_sides
from nnunetv2_strokesynth.papers.shared.unet import ConvBlock

N_LEVELS = 6


class DecoderLevel(nn.Module):
    """Doubles the sides bilinearly, refines the skip, joins both, one block.

    Args:
        in_channels: features of the level below.
        out_channels: features of this level and of its skip.
        attention: whether cross-attention refines the skip; otherwise the skip is used unchanged.
    """

    def __init__(self, in_channels: int, out_channels: int, *, attention: bool) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.attention = CrossAttention(out_channels, in_channels) if attention else None
        self.block = ConvBlock(in_channels + out_channels, out_channels, nn.BatchNorm2d)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        """x (B, in_channels, Y / 2, X / 2), skip (B, C, Y, X) -> (B, C, Y, X)."""
        x = self.up(x)
        if self.attention is not None:
            skip = self.attention(skip, x)
        return self.block(torch.cat((skip, x), dim=1))


class CrossAttentionUNet(nn.Module):
    """Gomez 2023: six levels down and up, cross-attention on every skip, deep supervision.

    Each encoder level is twice (3x3 convolution, batch norm, ReLU) and a 2x2 max-pooling, so the
    embedding is 64 times smaller than the image; no block between it and the decoder. Skips are
    taken before the pooling. Heads: 1x1 convolution, then bilinear interpolation to full size; the
    thesis names them in the other order, which gives the same map, since both are linear and the
    interpolation's weights add up to 1.

    Choices: c, 2c, 4c, 8c, 16c, 32c features (the thesis gives no widths), x_d is the map after the
    up-sampling, convolutions under a batch norm keep PyTorch's bias, PyTorch's initialisation.
    61,352,386 parameters for 5 -> 3 channels with c = 32 (the thesis gives no count).

    Args:
        in_channels: input channels.
        out_channels: maps of each head.
        base_features: c, the features at full resolution.
        attention: False gives the plain U-Net of the ablation.
        deep_supervision: False leaves the finest head only.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        base_features: int = 32,
        *,
        attention: bool = True,
        deep_supervision: bool = True,
    ) -> None:
        super().__init__()
        widths = [base_features * 2**level for level in range(N_LEVELS)]
        self.encoder = nn.ModuleList(
            ConvBlock(width_in, width, nn.BatchNorm2d)
            for width_in, width in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.decoder = nn.ModuleList(
            DecoderLevel(below, width, attention=attention)
            for below, width in zip([widths[-1], *widths[:0:-1]], widths[::-1], strict=True)
        )
        supervised = widths[::-1] if deep_supervision else widths[:1]
        self.heads = nn.ModuleList(nn.Conv2d(width, out_channels, 1) for width in supervised)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(B, in_channels, Y, X) -> logits (B, out_channels, Y, X) of each head, coarse to fine.

        Raises:
            ValueError: Y or X is not a multiple of 64.
        """
        check_sides(x, 2**N_LEVELS, "cross-attention U-Net")
        size = x.shape[-2:]
        skips = []
        for block in self.encoder:
            skips.append(block(x))
            x = self.pool(skips[-1])
        decoded = []
        for level in self.decoder:
            x = level(x, skips.pop())
            decoded.append(x)
        supervised = decoded[-len(self.heads) :]
        return [
            _resized(head(features), size)
            for head, features in zip(self.heads, supervised, strict=True)
        ]


def _resized(logits: torch.Tensor, size: torch.Size) -> torch.Tensor:
    if logits.shape[-2:] == size:
        return logits
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
