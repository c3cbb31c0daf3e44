"""A learning rate that drops at given shares of each stage of a training."""

from __future__ import annotations

from collections.abc import Sequence

from torch.optim import Optimizer


class DropSchedule:
    """A learning rate that drops by a factor at given shares of each stage's epochs.

    The defaults are Wang et al.'s: times 0.2 after 60 % of the epochs (180 of 300). nnU-Net calls
    it like its own schedulers: ``step(current_epoch)``.

    Args:
        optimizer: its learning rate is set.
        initial_lr: before the first drop.
        epochs_per_stage: the schedule starts again after so many epochs.
        drops: shares of a stage's epochs after which the learning rate drops.
        factor: by which it drops each time.
        warm_up: share of a stage's epochs in which the rate grows linearly to ``initial_lr``.
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
        """Sets the learning rate of an epoch, counted from 0 over all stages."""
        epoch = current_epoch % self.epochs_per_stage
        n_drops = sum(epoch >= share * self.epochs_per_stage for share in self.drops)
        n_warm_up = self.warm_up * self.epochs_per_stage
        warmth = min(1.0, (epoch + 1) / (n_warm_up + 1))
        for group in self.optimizer.param_groups:
            group["lr"] = self.initial_lr * warmth * self.factor**n_drops
