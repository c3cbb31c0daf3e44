"""Predictions averaged over passes with dropout (Monte-Carlo dropout), inside the network.

nnU-Net's predictor asks a network for logits and averages them over tiles, mirrored passes and
folds. A network that averages its own passes works with ``nnUNetv2_predict`` unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nnunetv2_strokesynth.networks.channel_segmenter import ChannelSegmenter, select_channels
from nnunetv2_strokesynth.papers.clerigues2019.asymmetric_unet import AsymmetricResidualUNet

_MIN_PROB = 1e-7


class MonteCarloSegmenter(ChannelSegmenter):
    """A ``ChannelSegmenter`` whose prediction is the mean of several passes with dropout.

    While ``return_heads`` is off, the logits are the logarithm of the mean probability, so that
    their softmax is that mean. Each call draws the same masks again, so that a scan's prediction
    depends neither on the order nor on the number of calls.

    Source: Clerigues et al. 2019, section 3.3: 3 passes at 10 % in the deepest levels.

    Args:
        segmenter: (B, S, Y, X) -> (B, C, Y, X).
        segmenter_indices: the input channels that it sees.
        n_passes: number of passes; 0 predicts once, without dropout.
        rate: dropout rate in prediction.
        seed: seed of the dropout masks.
        return_heads: see ``ChannelSegmenter``.
    """

    def __init__(
        self,
        segmenter: AsymmetricResidualUNet,
        segmenter_indices: Sequence[int],
        *,
        n_passes: int = 3,
        rate: float = 0.1,
        seed: int = 0,
        return_heads: bool = False,
    ) -> None:
        super().__init__(segmenter, segmenter_indices, return_heads=return_heads)
        self.n_passes = n_passes
        self.rate = rate
        self.seed = seed

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor]:
        """(B, C, Y, X) -> logits; with ``return_heads`` those of one pass, as a tuple."""
        if self.return_heads or self.n_passes == 0:
            return super().forward(x)
        return self.sample_probabilities(x).mean(dim=0).clamp_min(_MIN_PROB).log()

    @torch.compiler.disable  # a random generator cannot be traced
    def sample_probabilities(self, x: torch.Tensor) -> torch.Tensor:
        """The passes one by one: (B, C, Y, X) -> (n_passes, B, classes, Y, X), in float32."""
        inputs = select_channels(x, self.segmenter_indices)
        generator = torch.Generator(device=x.device).manual_seed(self.seed)
        with self.segmenter.sampling(self.rate, generator):
            passes = [self.segmenter(inputs).float() for _ in range(self.n_passes)]
        return torch.stack(passes).softmax(dim=2)
