"""A learning rate that drops when the validation score no longer rises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch.optim import Optimizer


def n_drops(scores: Sequence[float], patience: int) -> int:
    """How often the learning rate has dropped after epochs with these scores.

    It drops after each ``patience`` epochs in a row none of which beat the best score before them;
    the count then starts again. NaN beats nothing.

    Args:
        scores: one per finished epoch, higher is better.
        patience: at least 1.

    Source: Abulnaga & Rubin 2018, section 4.6. PyTorch's ``ReduceLROnPlateau`` with a threshold of
    0 does the same with a patience one lower: it counts the epochs that it tolerates.
    """
    best, n_bad, drops = float("-inf"), 0, 0
    for score in scores:
        if score > best:
            best, n_bad = score, 0
        else:
            n_bad += 1
        if n_bad == patience:
            drops, n_bad = drops + 1, 0
    return drops


class PlateauSchedule:
    """Sets the learning rate of each epoch from the scores of the epochs before it.

    It has no state of its own, so a training that was interrupted continues with the same rates.
    nnU-Net calls it like its own schedulers: ``step(current_epoch)``.

    Args:
        optimizer: its learning rate is set.
        scores: gives the scores of all finished epochs of the training, higher is better.
        initial_lrs: of each stage.
        epochs_per_stage: scores of an earlier stage do not count.
        patience: see ``n_drops``.
        factor: by which the learning rate drops.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        scores: Callable[[], Sequence[float]],
        *,
        initial_lrs: Sequence[float],
        epochs_per_stage: int,
        patience: int = 20,
        factor: float = 0.1,
    ) -> None:
        self.optimizer = optimizer
        self.scores = scores
        self.initial_lrs = tuple(initial_lrs)
        self.epochs_per_stage = epochs_per_stage
        self.patience = patience
        self.factor = factor

    def step(self, current_epoch: int) -> None:
        """Sets the learning rate of an epoch, counted from 0 over all stages."""
        stage = min(current_epoch // self.epochs_per_stage, len(self.initial_lrs) - 1)
        of_stage = self.scores()[stage * self.epochs_per_stage : current_epoch]
        lr = self.initial_lrs[stage] * self.factor ** n_drops(of_stage, self.patience)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
