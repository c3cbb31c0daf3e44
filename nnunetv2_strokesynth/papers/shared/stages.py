"""Trainings in stages, one after the other in a single ``nnUNetv2_train``: what each one trains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch.optim import Optimizer


class Stage(NamedTuple):
    """A part of a training.

    Attributes:
        name: for the log and the checkpoint's name.
        trained: the parts of the network (its attributes) that learn; the others are frozen, batch
            statistics included.
        segmentation: whether L_s is in the loss.
        synthesis: whether the pseudo-DWI's loss is (alpha of Eq. 15).
        feature: whether the extracted feature's loss is (beta of Eq. 15).
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
    """Whether the last score is at least as good as all before it; NaN counts as the worst."""
    ranked = _ranked(scores)
    return ranked[-1] >= max(ranked)


def epochs_since_best(scores: Sequence[float]) -> int:
    """Epochs since the best score was first reached: 0 if it is the last; NaN is the worst."""
    ranked = _ranked(scores)
    return len(ranked) - 1 - ranked.index(max(ranked))


def _ranked(scores: Sequence[float]) -> list[float]:
    return [-math.inf if math.isnan(score) else score for score in scores]


class DropSchedule:
    """A learning rate that drops by a factor at given shares of each stage's epochs.

    The defaults are Wang et al.'s: times 0.2 after 60 % of the epochs (180 of 300). Called as
    nnU-Net calls its schedulers: ``step(current_epoch)``.

    Args:
        optimizer: whose learning rate is set.
        initial_lr: before the first drop.
        epochs_per_stage: the schedule starts again after so many epochs.
        drops: shares of a stage's epochs after which the learning rate drops.
        factor: by which it drops each time.
        warm_up: share of the epochs in which it grows linearly to ``initial_lr``.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        initial_lr: float,
        epochs_per_stage: int,
        *,
        drops: Sequence[float] = (0.6,),
        factor: float = 0.2,
        warm_up: float = 0.0,
    ) -> None:
        self.optimizer = optimizer
        self.initial_lr = initial_lr
        self.epochs_per_stage = epochs_per_stage
        self.drops = tuple(drops)
        self.factor = factor
        self.warm_up = warm_up

    def step(self, current_epoch: int) -> None:
        """Set the learning rate of an epoch, counted from 0 over all stages."""
        epoch = current_epoch % self.epochs_per_stage
        n_drops = sum(epoch >= share * self.epochs_per_stage for share in self.drops)
        n_warm_up = self.warm_up * self.epochs_per_stage
        warmth = min(1.0, (epoch + 1) / (n_warm_up + 1))
        for group in self.optimizer.param_groups:
            group["lr"] = self.initial_lr * warmth * self.factor**n_drops
