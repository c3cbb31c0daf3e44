"""The asymmetric residual encoder-decoder of Clerigues et al. 2019."""

from __future__ import annotations

from contextlib import contextmanager

import torch
from torch import nn

from nnunetv2_strokesynth.papers.shared.image_sides import check_sides

N_LEVELS = 5
_ENCODER_DROPOUT_LEVELS = 3  # the deepest ones
_DECODER_DROPOUT_LEVELS = 2
_TRAINING_DROPOUT = 0.2
_SATURATION = -1.7580993408473766  # of SELU: minus its scale times its alpha


class AlphaDropout(nn.Module):
    """Alpha dropout that is sampled, reproducibly, while the network predicts; idle in training.

    Values that are dropped become SELU's saturation value; all are then scaled and shifted so that
    mean 0 and variance 1 are kept. Source: Klambauer et al. 2017, which the released code applies
    through PyTorch. PyTorch's own takes no generator.

    Attributes:
        rate: share of the values that are dropped; 0 turns it off.
        generator: draws the mask.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0
        self.generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, Y, X) -> the same shape."""
        if self.training or self.rate == 0:
            return x
        kept_share = 1 - self.rate
        kept = torch.bernoulli(
            torch.full(x.shape, kept_share, device=x.device), generator=self.generator
        ).bool()
        scale = (kept_share * (1 + self.rate * _SATURATION**2)) ** -0.5
        shift = -scale * self.rate * _SATURATION
        return torch.where(kept, x, _SATURATION) * scale + shift


class ResidualBlock(nn.Module):
    """Norm, PReLU, 3x3 convolution, once or twice, plus the input.

    Args:
        features: input and output channels.
        n_convolutions: 2 in the encoder, 1 in the decoder: the asymmetry.
        dropout: whether whole feature maps are dropped after the first of two convolutions, in
            training, and single values at the entrance, in prediction.
    """

    def __init__(self, features: int, n_convolutions: int, *, dropout: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index in range(n_convolutions):
            if index and dropout:
                layers.append(nn.Dropout2d(_TRAINING_DROPOUT))
            layers += [*_norm_and_activation(features), nn.Conv2d(features, features, 3, padding=1)]
        self.layers = nn.Sequential(*layers)
        self.entrance = AlphaDropout() if dropout else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, Y, X) -> the same shape. The identity is not dropped."""
        return x + self.layers(self.entrance(x))


class Down(nn.Module):
    """Halves the sides and doubles the features: max-pooling beside a strided convolution."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.convolution = nn.Sequential(
            *_norm_and_activation(features), nn.Conv2d(features, features, 3, stride=2, padding=1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, Y, X) -> (B, 2C, Y / 2, X / 2)."""
        return torch.cat((self.pool(x), self.convolution(x)), dim=1)


class AsymmetricResidualUNet(nn.Module):
    """Five levels of c, 2c, 4c, 8c, 16c features; skips are summed; linear output.

    592,250 parameters for 5 -> 2 channels with c = 8, 592,610 for 10 -> 2. In training, 20 % of the
    feature maps are dropped in the three deepest encoder levels. Prediction may drop single values
    there and in the two deepest decoder levels, see ``sampling``.

    Source: Clerigues et al. 2019, section 3.2 and Fig. 2; details that the paper leaves open (bias,
    order, epsilon 1e-3 and momentum 0.01 of the batch norms, both kinds of dropout) follow the
    authors' released code.

    Args:
        in_channels: input channels.
        out_channels: output channels.
        base_features: c.
    """

    def __init__(self, in_channels: int, out_channels: int, base_features: int = 8) -> None:
        super().__init__()
        features = [base_features * 2**level for level in range(N_LEVELS)]
        self.stem = nn.Conv2d(in_channels, base_features, 3, padding=1)
        self.encoder = nn.ModuleList(
            ResidualBlock(width, 2, dropout=level >= N_LEVELS - _ENCODER_DROPOUT_LEVELS)
            for level, width in enumerate(features)
        )
        self.down = nn.ModuleList(Down(width) for width in features[:-1])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1)
            for width in features[-2::-1]
        )
        self.decoder = nn.ModuleList(
            ResidualBlock(width, 1, dropout=level < _DECODER_DROPOUT_LEVELS)
            for level, width in enumerate(features[-2::-1])
        )
        self.head = nn.Conv2d(base_features, out_channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, Y, X) -> (B, out_channels, Y, X).

        Raises:
            ValueError: Y or X is not a multiple of 16.
        """
        check_sides(x, 2 ** (N_LEVELS - 1), "asymmetric residual U-Net")
        x = self.stem(x)
        skips = []
        for block, down in zip(self.encoder[:-1], self.down, strict=True):
            x = block(x)
            skips.append(x)
            x = down(x)
        x = self.encoder[-1](x)
        for up, block in zip(self.up, self.decoder, strict=True):
            x = block(up(x) + skips.pop())
        return self.head(x)

    @contextmanager
    def sampling(self, rate: float, generator: torch.Generator):
        """Make each prediction within the context one Monte-Carlo sample: dropout at ``rate``."""
        dropouts = [module for module in self.modules() if isinstance(module, AlphaDropout)]
        for dropout in dropouts:
            dropout.rate, dropout.generator = rate, generator
        try:
            yield
        finally:
            for dropout in dropouts:
                dropout.rate, dropout.generator = 0.0, None


def _norm_and_activation(features: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(features, eps=1e-3, momentum=0.01), nn.PReLU(features, init=0.0)]
