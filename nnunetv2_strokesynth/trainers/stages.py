"""Trainings in stages, one after the other in a single ``nnUNetv2_train``: what each one trains."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn
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


_SYNTHESISERS = ("extractor", "generator", "context_encoder", "discriminator")
JOINT = Stage("joint", (*_SYNTHESISERS, "segmenter"), True, True, True)
SYNTHESIS = Stage("synthesis", _SYNTHESISERS, False, True, True)
EXTRACTOR = Stage("extractor", ("extractor", "context_encoder"), False, False, True)
GENERATOR = Stage("generator", ("generator", "context_encoder"), False, True, False)
SEGMENTATION = Stage("segmentation", ("segmenter",), True, False, False)


def parts(network: nn.Module) -> dict[str, nn.Module]:
    """The network's parts by name."""
    return dict(network.named_children())


class DropSchedule:
    """The paper's schedule in each stage: lr, times 0.2 after 60 % of the epochs (180 of 300).

    Called as nnU-Net calls its schedulers: ``step(current_epoch)``.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        initial_lr: float,
        epochs_per_stage: int,
        *,
        factor: float = 0.2,
        drop_at: float = 0.6,
    ) -> None:
        self.optimizer = optimizer
        self.initial_lr = initial_lr
        self.epochs_per_stage = epochs_per_stage
        self.factor = factor
        self.drop_at = drop_at

    def step(self, current_epoch: int) -> None:
        """Set the learning rate of an epoch, counted from 0 over all stages."""
        epoch = current_epoch % self.epochs_per_stage
        dropped = epoch >= self.drop_at * self.epochs_per_stage
        for group in self.optimizer.param_groups:
            group["lr"] = self.initial_lr * (self.factor if dropped else 1.0)
