"""The U-Net of Gomez 2023: additive cross-attention on the skips, a head at every decoder level."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional as F

from nnunetv2_strokesynth.networks.channel_segmenter import select_channels
from nnunetv2_strokesynth.networks.logit_range import within_half_precision
from nnunetv2_strokesynth.papers.shared.image_sides import check_sides
from nnunetv2_strokesynth.papers.shared.unet import ConvBlock

N_LEVELS = 6


class CrossAttention(nn.Module):
    """``sigmoid(W_s ReLU(W_e x_e + W_d x_d)) * x_e``: what the decoder lets through of a skip.

    Source: Gomez 2023, section 4.1. The three W are 1x1 convolutions, W_s gives one map that is
    broadcast over all features of x_e. As in the formula, none of them has a bias, and there is no
    batch norm. Choice: half as many features between them as x_e has (the thesis is silent).

    Args:
        skip_channels: features of x_e.
        decoder_channels: features of x_d.
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


class DecoderLevel(nn.Module):
    """Doubles the sides bilinearly, refines the skip, joins both, one block.

    Args:
        in_channels: features of the level below.
        out_channels: features of this level and of its skip.
        attention: whether cross-attention refines the skip; without it the skip is taken as it is.
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


def from_one_map(logits: torch.Tensor) -> torch.Tensor:
    """A sigmoid's z (B, 1, Y, X) -> (0, z) (B, 2, Y, X), whose softmax is (1 - p, p)."""
    return torch.cat((torch.zeros_like(logits), logits), dim=1)


def merge_boundary(logits: torch.Tensor) -> torch.Tensor:
    """(background, lesion, boundary) -> (background, lesion or boundary): (B, 3 -> 2, Y, X).

    The softmax of the result has the sum of the two probabilities as its second class.

    Choice: the thesis does not say what becomes of the auxiliary class in the end. The boundary
    consists of lesion pixels, so its probability is the lesion's.
    """
    lesion = torch.logsumexp(logits[:, 1:], dim=1, keepdim=True)
    return torch.cat((logits[:, :1], lesion), dim=1)


class SupervisedSegmenter(nn.Module):
    """A network with several heads as nnU-Net wants it: two-class logits first.

    Args:
        segmenter: (B, S, Y, X) -> list of (B, K, Y, X), coarse to fine.
        two_class_logits: (B, K, Y, X) -> (B, 2, Y, X): background, lesion.
        input_indices: the input channels that the segmenter sees; None: all of them.
        return_heads: initial value of the attribute of that name.

    Attributes:
        return_heads: while True, ``forward`` returns (two-class logits of the finest head, *heads).
    """

    def __init__(
        self,
        segmenter: nn.Module,
        two_class_logits: Callable[[torch.Tensor], torch.Tensor],
        *,
        input_indices: Sequence[int] | None = None,
        return_heads: bool = False,
    ) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.two_class_logits = two_class_logits
        self.input_indices = None if input_indices is None else tuple(input_indices)
        self.return_heads = return_heads

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """(B, C, Y, X) -> two-class logits (B, 2, Y, X); with ``return_heads`` (logits, *heads)."""
        if self.input_indices is not None:
            x = select_channels(x, self.input_indices)
        heads = self.segmenter(x)
        logits = self.two_class_logits(heads[-1])
        return (logits, *heads) if self.return_heads else within_half_precision(logits)
