"""The discriminator of the GAN rows of Wang et al. 2020, Table 1."""

from __future__ import annotations

import torch
from torch import nn

MIN_SIDE = 32
MAX_WIDENING = 8


class PatchDiscriminator(nn.Sequential):
    """PatchGAN: (B, C, Y, X) -> one score per overlapping patch, (B, 1, y, x); no sigmoid.

    4x4 convolutions with padding 2: ``n_layers`` with stride 2, then two with stride 1. LeakyReLU
    between them, preceded by instance norm (no learned parameters) except after the first. A
    strided layer turns a side n into n // 2 + 1, each of the last two into n + 1. With three
    strided layers a score depends on 70x70 pixels (besides the norms' statistics), and scores are 8
    pixels apart.
    """

    def __init__(self, in_channels: int, base_features: int, n_layers: int) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, base_features, 4, stride=2, padding=2),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        width = base_features
        for layer in range(1, n_layers + 1):
            width_in, width = width, base_features * min(2**layer, MAX_WIDENING)
            stride = 2 if layer < n_layers else 1
            layers += [
                nn.Conv2d(width_in, width, 4, stride=stride, padding=2),
                nn.InstanceNorm2d(width),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        super().__init__(*layers, nn.Conv2d(width, 1, 4, padding=2))


class MultiScaleDiscriminator(nn.Module):
    """Discriminators of one layout on an image pyramid (pix2pixHD, Wang et al. 2018, CVPR).

    The layers are those of Wang et al. 2018 (appendix and released code), without the inner
    features that their feature-matching loss takes. Scores are linear, for the LSGAN loss.
    5,525,378 parameters for one input channel, c = 64 and two scales. Nothing is kept between
    calls (no running statistics), so that ``torch.func.functional_call`` with detached parameters
    passes gradients to the image alone.

    Choice: two scales, as the released code; the paper has three, for 2048x1024 images.

    Args:
        in_channels: input channels.
        base_features: c; the layers have c, 2c, 4c, 8c, 1 features (never more than 8c).
        n_scales: discriminators; each sees the image at half the sides of the one before.
        n_layers: convolutions with stride 2 in each discriminator.
    """

    def __init__(
        self,
        in_channels: int,
        base_features: int = 64,
        *,
        n_scales: int = 2,
        n_layers: int = 3,
    ) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            PatchDiscriminator(in_channels, base_features, n_layers) for _ in range(n_scales)
        )
        self.halve = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        # Sides of 2 stay 2 in a discriminator; 1x1 maps have no variance for the instance norm.
        self.min_side = max(MIN_SIDE, 2**n_scales)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(B, in_channels, Y, X) -> scores (B, 1, y, x) of each scale, full resolution first.

        Raises:
            ValueError: Y or X is smaller than 32 (or than 2 ** n_scales, if that is more).
        """
        if min(x.shape[-2:]) < self.min_side:
            raise ValueError(
                f"The discriminator needs image sides of at least {self.min_side} pixels, found "
                f"{tuple(x.shape[-2:])}. Pad the image, or choose such a patch size."
            )
        scores = []
        for scale, discriminator in enumerate(self.discriminators):
            x = x if scale == 0 else self.halve(x)
            scores.append(discriminator(x))
        return scores
