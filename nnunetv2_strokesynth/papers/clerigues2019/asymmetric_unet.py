"""The asymmetric residual encoder-decoder of Clerigues et al. 2019."""

from __future__ import annotations

from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional as F

from nnunetv2_strokesynth.papers.shared.image_sides import check_sides

N_LEVELS = 5
_DROPOUT_LEVELS = 3  # the deepest ones
_TRAINING_DROPOUT = 0.2


class SampledDropout(nn.Module):
    """Dropout that can also be sampled, reproducibly, while the network predicts.

    Args:
        rate: dropout rate in training.

    Attributes:
        prediction_rate: dropout rate in evaluation; 0 turns the dropout off.
        generator: draws the mask in evaluation.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.prediction_rate = 0.0
        self.generator: torch.Generator | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, Y, X) -> the same shape; the values that are kept are scaled up."""
        if self.training:
            return F.dropout(x, self.rate)
        if self.prediction_rate == 0:
            return x
        kept = torch.full(x.shape, 1 - self.prediction_rate, device=x.device)
        return x * torch.bernoulli(kept, generator=self.generator) / (1 - self.prediction_rate)


class ResidualBlock(nn.Module):
    """Norm, PReLU, 3x3 convolution, once or twice, plus the input.

    Args:
        features: input and output channels.
        n_convolutions: 2 in the encoder, 1 in the decoder: the asymmetry.
        dropout: before the second convolution.
    """

    def __init__(self, features: int, n_convolutions: int, dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index in range(n_convolutions):
            if index and dropout:
                layers.append(SampledDropout(dropout))
            layers += [*_norm_and_activation(features), nn.Conv2d(features, features, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, Y, X) -> the same shape."""
        return x + self.layers(x)


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

    592,250 parameters for 5 -> 2 channels with c = 8, 592,610 for 10 -> 2. Dropout (20 % in
    training) in the three deepest encoder levels.

    Source: Clerigues et al. 2019, section 3.2 and Fig. 2; details that the paper leaves open (bias,
    order, epsilon 1e-3 and momentum 0.01 of the batch norms) follow the authors' released code.

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
            ResidualBlock(
                width, 2, _TRAINING_DROPOUT if level >= N_LEVELS - _DROPOUT_LEVELS else 0.0
            )
            for level, width in enumerate(features)
        )
        self.down = nn.ModuleList(Down(width) for width in features[:-1])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1)
            for width in features[-2::-1]
        )
        self.decoder = nn.ModuleList(ResidualBlock(width, 1) for width in features[-2::-1])
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
        dropouts = [module for module in self.modules() if isinstance(module, SampledDropout)]
        for dropout in dropouts:
            dropout.prediction_rate, dropout.generator = rate, generator
        try:
            yield
        finally:
            for dropout in dropouts:
                dropout.prediction_rate, dropout.generator = 0.0, None


def _norm_and_activation(features: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(features, eps=1e-3, momentum=0.01), nn.PReLU(features, init=0.0)]
