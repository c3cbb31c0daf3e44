"""The context encoder: an image as 16 numbers, for the high-level synthesis loss."""

from __future__ import annotations

import torch
from torch import nn

from nnunetv2_strokesynth.networks.initialization import xavier_init

CONTEXT_LENGTH = 16
_CHANNELS = (1, 16, 32, 64, 128, 1)


class ContextEncoder(nn.Module):
    """Phi_c of Wang et al. 2020 (Eq. 8 and Fig. 4): (B, 1, Y, X) -> (B, 16).

    Five 3x3 stride-2 convolutions, each followed by ReLU (Song & Huang 2018), then the adaptive
    average pools to 8x1 and 1x8, concatenated. The channels 16-32-64-128-1 and the pool sizes are
    our choice: the paper gives the length 16 only, and 256 / 2^5 = 8.

    The last ReLU acts on a single map. If that is negative everywhere, the encoder returns 0 for
    every image and never gets a gradient again. On brain-like images (200 seeds, four shapes)
    Xavier initialisation starts like that in 5 % of the trials at 256 px and in 18 % at 64 px;
    PyTorch's default, with random biases, in about 40 %. A leaky ReLU would depart from the paper.
    Instead we choose the sign of the last filter such that an image of ones gives a positive map on
    average (Xavier's distribution is symmetric, so it stays the same). Then no trial started like
    that at 96 px and above, and 1 % did at 64 px. Trained on Eq. 8, however, the map dies within
    the first few steps, since nothing in that loss keeps the outputs of different images apart
    (``docs/explanation/results.md``). The joint loss logs how far they differ.

    Args:
        length: length of the output, even; Song & Huang 2018 pool to 7x1 and 1x7, so theirs is 14.
        rectify_last: whether a ReLU follows the last convolution, as in the paper. Without it, the
            map cannot die.
    """

    def __init__(self, length: int = CONTEXT_LENGTH, *, rectify_last: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width_in, width in zip(_CHANNELS[:-1], _CHANNELS[1:], strict=True):
            layers += [nn.Conv2d(width_in, width, 3, stride=2, padding=1), nn.ReLU(inplace=True)]
        if not rectify_last:
            layers[-1] = nn.Identity()
        self.layers = nn.Sequential(*layers)
        self.rows = nn.AdaptiveAvgPool2d((length // 2, 1))
        self.columns = nn.AdaptiveAvgPool2d((1, length // 2))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Xavier initialisation, with the sign of the last filter that keeps its ReLU active."""
        self.apply(xavier_init)
        last = self.layers[-2]
        ones = torch.ones(1, 1, 256, 256, device=last.weight.device, dtype=last.weight.dtype)
        response = self.layers[:-1](ones).mean()
        last.weight.mul_(torch.where(response < 0, -1.0, 1.0))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(B, 1, Y, X) -> (B, length).

        Raises:
            ValueError: more than one channel, or a side below 32 pixels.
        """
        if image.shape[1] != 1 or min(image.shape[-2:]) < 32:
            raise ValueError(
                "The context encoder takes (B, 1, Y, X) with sides of at least 32 pixels, found "
                f"shape {tuple(image.shape)}."
            )
        features = self.layers(image)
        return torch.cat((self.rows(features).flatten(1), self.columns(features).flatten(1)), dim=1)
