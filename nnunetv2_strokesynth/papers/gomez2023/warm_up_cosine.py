"""A learning rate that grows linearly, then falls along half a cosine."""

from __future__ import annotations

import math

from torch.optim import Optimizer


class WarmUpCosineSchedule:
    """A learning rate that grows linearly, then falls to 0 along half a cosine.

    nnU-Net calls it like its own schedulers: ``step(current_epoch)``.

    Source: Gomez 2023, section 5.2: 90 epochs of warm-up, 510 of cosine decay. They are shares
    of the training here, so that a shorter one keeps the shape. Choice: the rate grows from
    ``initial_lr / 90``.

    Args:
        optimizer: its learning rate is set.
        initial_lr: at the end of the warm-up.
        n_epochs: of the training.
        warm_up: share of the epochs in which the learning rate grows.
    """

    def __init__(
        self, optimizer: Optimizer, initial_lr: float, n_epochs: int, warm_up: float = 0.15
    ) -> None:
        self.optimizer = optimizer
        self.initial_lr = initial_lr
        self.n_epochs = n_epochs
        self.n_warm_up = warm_up * n_epochs

    def step(self, current_epoch: int) -> None:
        """Sets the learning rate of an epoch, counted from 0."""
        if current_epoch < self.n_warm_up:
            factor = min(1.0, (current_epoch + 1) / self.n_warm_up)
        else:
            decayed = (current_epoch - self.n_warm_up) / (self.n_epochs - self.n_warm_up)
            factor = 0.5 * (1 + math.cos(math.pi * decayed))
        for group in self.optimizer.param_groups:
            group["lr"] = self.initial_lr * factor
