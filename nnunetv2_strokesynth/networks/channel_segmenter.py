"""A segmenter that sees some of the input channels, by position."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from nnunetv2_strokesynth.networks.logit_range import within_half_precision


class ChannelSegmenter(nn.Module):
    """A segmenter on some of the channels, without any synthesis (Wang et al. 2020, Tables 3 to 5).

    Args:
        segmenter: (B, S, Y, X) -> (B, C, Y, X).
        segmenter_indices: the input channels that it sees.
        return_heads: initial value of the attribute of that name.

    Attributes:
        return_heads: while True, ``forward`` returns a tuple that holds the logits alone: in
            training nnU-Net expects a list, as from deep supervision.
    """

    def __init__(
        self,
        segmenter: nn.Module,
        segmenter_indices: Sequence[int],
        *,
        return_heads: bool = False,
    ) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.segmenter_indices = tuple(segmenter_indices)
        self.return_heads = return_heads

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor]:
        """(B, C, Y, X) -> logits; with ``return_heads`` (logits,)."""
        logits = self.segmenter(select_channels(x, self.segmenter_indices))
        return (logits,) if self.return_heads else within_half_precision(logits)


def select_channels(x: torch.Tensor, channels: Sequence[int]) -> torch.Tensor:
    """Some channels of an image, by position and in that order: (B, C, ...) -> (B, S, ...).

    It concatenates slices, because indexing with a list would copy the list to the GPU and wait.
    """
    return torch.cat([x[:, index : index + 1] for index in channels], dim=1)
