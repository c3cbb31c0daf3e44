"""The stages of a training: what each one trains, and which of its epochs was the best.

The stages follow each other in a single ``nnUNetv2_train``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Stage(NamedTuple):
    """A part of a training.

    Attributes:
        name: used in the log and in the checkpoint's name.
        trained: the parts of the network (its attributes) that learn. All others are frozen, batch
            statistics included.
        segmentation: whether L_s is in the loss.
        synthesis: whether the pseudo-DWI's loss is in the loss (alpha, Wang et al. 2020, Eq. 15).
        feature: whether the extracted feature's loss is in the loss (beta, Eq. 15).
    """

    name: str
    trained: tuple[str, ...]
    segmentation: bool
    synthesis: bool
    feature: bool


_SYNTHESISERS = (
    "extractor",
    "generator",
    "context_encoder",
    "real_context_encoder",
    "discriminator",
)
JOINT = Stage("joint", (*_SYNTHESISERS, "segmenter"), True, True, True)
SYNTHESIS = Stage("synthesis", _SYNTHESISERS, False, True, True)
EXTRACTOR = Stage("extractor", ("extractor", "context_encoder"), False, False, True)
GENERATOR = Stage("generator", ("generator", "context_encoder"), False, True, False)
SEGMENTATION = Stage("segmentation", ("segmenter",), True, False, False)


def kept_is_best(scores: Sequence[float]) -> bool:
    """Whether the last score is at least as good as all before it. NaN counts as the worst."""
    ranked = _ranked(scores)
    return ranked[-1] >= max(ranked)


def epochs_since_best(scores: Sequence[float]) -> int:
    """Epochs since the best score was first reached: 0 if it is the last. NaN is the worst."""
    ranked = _ranked(scores)
    return len(ranked) - 1 - ranked.index(max(ranked))


def _ranked(scores: Sequence[float]) -> list[float]:
    return [-math.inf if math.isnan(score) else score for score in scores]
