"""The pyramid scene parsing network of Abulnaga & Rubin 2018."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet50

from nnunetv2_strokesynth.networks.channel_segmenter import select_channels
from nnunetv2_strokesynth.networks.logit_range import within_half_precision
from nnunetv2_strokesynth.papers.shared.image_sides import check_sides

OUTPUT_STRIDE = 8
PYRAMID_SIDES = (1, 2, 3, 6)
_RGB = 3
_BACKBONE_FEATURES = 2048
_REDUCED_FEATURES = 512  # of each branch of the pyramid, and of the head


class Initialiser(nn.Sequential):
    """L_init = BN(X) * k_init (Abulnaga & Rubin 2018, Eq. 1): five maps become three channels.

    Choice: no bias, as the equation has none.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__(nn.BatchNorm2d(in_channels), nn.Conv2d(in_channels, _RGB, 1, bias=False))


def dilated_resnet50() -> nn.Sequential:
    """ResNet-50 without its classifier: (B, 3, Y, X) -> (B, 2048, Y / 8, X / 8).

    The last two stages are dilated by 2 and 4 instead of strided. The parts keep torchvision's
    names (``conv1``, ``bn1``, ``layer1`` ...), so that its weights load. Random weights.
    """
    resnet = resnet50(weights=None, replace_stride_with_dilation=[False, True, True])
    parts = [(k, part) for k, part in resnet.named_children() if k not in ("avgpool", "fc")]
    return nn.Sequential(OrderedDict(parts))


class ConvNormReLU(nn.Sequential):
    """Convolution without bias that keeps the sides, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class PyramidPooling(nn.Module):
    """Average poolings to 1x1, 2x2, 3x3 and 6x6, each reduced, enlarged and concatenated.

    (B, C, y, x) -> (B, C + 4 R, y, x); the channels of the input come first.

    In training, batch norm on the 1x1 map needs more than one sample on a device (PyTorch raises a
    ``ValueError`` otherwise). nnU-Net's batches are always full, eight slices here.

    Choice: batch norm and ReLU after the 1x1 convolution, as Zhao et al. 2017 have them; Abulnaga &
    Rubin 2018 name the convolution alone.

    Args:
        in_channels: C.
        branch_features: R.
        sides: sides of the pooled maps.
    """

    def __init__(
        self, in_channels: int, branch_features: int, sides: Sequence[int] = PYRAMID_SIDES
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(side), ConvNormReLU(in_channels, branch_features, 1))
            for side in sides
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, y, x) -> (B, C + len(sides) R, y, x)."""
        return torch.cat([x, *(_enlarge(branch(x), x.shape[-2:]) for branch in self.branches)], 1)


def _enlarge(x: torch.Tensor, sides: Sequence[int]) -> torch.Tensor:
    return F.interpolate(x, size=tuple(sides), mode="bilinear", align_corners=False)


class PSPNet(nn.Module):
    """Initialiser, dilated ResNet-50, pyramid pooling, head; linear output.

    46,582,875 parameters for 5 -> 2 channels. Choices where Abulnaga & Rubin 2018 are silent, all
    but the first as Zhao et al. 2017: torchvision's ResNet-50, which begins with one 7x7
    convolution in place of three 3x3; 512 features in each branch of the pyramid; the head is a 3x3
    convolution to 512 features, batch norm, ReLU, dropout of 0.1 and a 1x1 convolution; its logits
    are enlarged bilinearly. Departure from Zhao et al.: no auxiliary loss at the fourth stage,
    which Abulnaga & Rubin do not mention.

    Args:
        in_channels: input channels: CT, Tmax, CBF, CBV, MTT.
        out_channels: classes, background included.
    """

    def __init__(self, in_channels: int = 5, out_channels: int = 2) -> None:
        super().__init__()
        self.initialiser = Initialiser(in_channels)
        self.backbone = dilated_resnet50()
        self.pyramid = PyramidPooling(_BACKBONE_FEATURES, _REDUCED_FEATURES)
        concatenated = _BACKBONE_FEATURES + len(PYRAMID_SIDES) * _REDUCED_FEATURES
        self.head = nn.Sequential(
            ConvNormReLU(concatenated, _REDUCED_FEATURES, 3),
            nn.Dropout(0.1),
            nn.Conv2d(_REDUCED_FEATURES, out_channels, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, Y, X) -> logits (B, out_channels, Y, X).

        Raises:
            ValueError: Y or X is not a multiple of 8.
        """
        check_sides(x, OUTPUT_STRIDE, "PSPNet")
        features = self.pyramid(self.backbone(self.initialiser(x)))
        return _enlarge(self.head(features), x.shape[-2:])


class ChannelPSPNet(PSPNet):
    """The PSPNet on some of the channels, with nnU-Net's protocol of heads.

    It is a subclass, not a wrapper, so that its four parts are attributes of the network itself:
    the stages of a training freeze them by name.

    Args:
        indices: the input channels that it sees, in this order.
        out_channels: classes, background included.
        return_heads: initial value of the attribute of that name.

    Attributes:
        return_heads: while True, ``forward`` returns a tuple that holds the logits alone.
    """

    def __init__(
        self, indices: Sequence[int], out_channels: int = 2, *, return_heads: bool = False
    ) -> None:
        super().__init__(len(indices), out_channels)
        self.indices = tuple(indices)
        self.return_heads = return_heads

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor]:
        """(B, C, Y, X) -> logits; with ``return_heads`` (logits,)."""
        logits = super().forward(select_channels(x, self.indices))
        return (logits,) if self.return_heads else within_half_precision(logits)
