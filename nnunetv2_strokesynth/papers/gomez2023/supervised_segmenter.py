"""A network with several heads inside nnU-Net, and its heads as two-class logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from nnunetv2_strokesynth.networks.channel_segmenter import select_channels
from nnunetv2_strokesynth.networks.logit_range import within_half_precision


def from_one_map(logits: torch.Tensor) -> torch.Tensor:
    """A sigmoid's z (B, 1, Y, X) -> (0, z) (B, 2, Y, X), whose softmax is (1 - p, p)."""
    return torch.cat((torch.zeros_like(logits), logits), dim=1)


def merge_boundary(logits: torch.Tensor) -> torch.Tensor:
    """(background, lesion, boundary) -> (background, lesion or boundary): (B, 3 -> 2, Y, X).

    The softmax of the result has the sum of the two probabilities as its second class.

    Choice: the thesis does not say how the auxiliary class enters the prediction. The boundary
    consists of lesion pixels, so its probability counts as the lesion's.
    """
    lesion = torch.logsumexp(logits[:, 1:], dim=1, keepdim=True)
    return torch.cat((logits[:, :1], lesion), dim=1)


class SupervisedSegmenter(nn.Module):
    """A network with several heads, with the two-class logits that nnU-Net expects.

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
