"""A training step in which each network has a brake and a learning rate of its own.

nnU-Net clips the norm of the gradient of all parameters together at 12. A large weight on the
synthesis's loss then shortens the segmenter's steps, so that the weights of the loss are no longer
what they say. Here the gradient of each network (extractor, generator, segmenter, context encoder,
...) is clipped by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Protocol

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

GRADIENT_NORM = 12.0  # nnU-Net's


class Schedule(Protocol):
    """What nnU-Net asks of a schedule of the learning rate."""

    def step(self, current_epoch: int) -> None:
        """Sets the rates of an epoch."""


def learning_parts(network: nn.Module) -> dict[str, nn.Module]:
    """The children of a network that have parameters which learn, by name."""
    return {
        name: part
        for name, part in network.named_children()
        if any(parameter.requires_grad for parameter in part.parameters())
    }


def clip_separately(parts: Mapping[str, nn.Module], norms: Mapping[str, float]) -> None:
    """Shortens the gradient of each part to its largest norm, in place.

    Args:
        parts: name -> a part of the network; no parameter belongs to two.
        norms: name -> the largest 2-norm of the gradient of all its parameters.
    """
    for name, part in parts.items():
        torch.nn.utils.clip_grad_norm_(part.parameters(), norms[name])


def training_step(
    trainer: nnUNetTrainer,
    batch: dict,
    parts: Mapping[str, nn.Module],
    norms: Mapping[str, float],
) -> dict:
    """One step, in nnU-Net's precision and with its scaler, with a brake for each part.

    Args:
        trainer: its network, loss, optimiser and scaler are used.
        batch: ``data`` (B, C, Y, X) and ``target``, a list of tensors.
        parts, norms: see ``clip_separately``.

    Returns:
        ``{"loss": ...}``, as nnU-Net collects it.
    """
    device = trainer.device
    data = batch["data"].to(device, non_blocking=True)
    target = [part.to(device, non_blocking=True) for part in batch["target"]]
    optimizer, scaler = trainer.optimizer, trainer.grad_scaler
    optimizer.zero_grad(set_to_none=True)
    half = torch.autocast("cuda") if device.type == "cuda" else contextlib.nullcontext()
    with half:
        loss = trainer.loss(trainer.network(data), target)
    if scaler is None:
        loss.backward()
        clip_separately(parts, norms)
        optimizer.step()
    else:
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        clip_separately(parts, norms)
        scaler.step(optimizer)
        scaler.update()
    return {"loss": loss.detach().cpu().numpy()}


def split_by_rate(
    optimizer: torch.optim.Optimizer, network: nn.Module, rates: Mapping[str, float]
) -> bool:
    """Gives the optimiser, in place, one group of parameters for each rate.

    Args:
        optimizer: of one group, with all parameters of the network, before its first step.
        network: its children are the parts.
        rates: part -> factor on the learning rate; 1 for the parts that are not named.

    Returns:
        Whether there is more than one group now. Then each group has an entry ``rate``; the first
        one is that of rate 1, whose learning rate nnU-Net logs.
    """
    groups: dict[float, list[nn.Parameter]] = {1.0: []}
    for name, part in network.named_children():
        groups.setdefault(float(rates.get(name, 1.0)), []).extend(part.parameters())
    if len(groups) == 1:
        return False
    first = optimizer.param_groups[0]
    first["params"], first["rate"] = groups.pop(1.0), 1.0
    for rate, parameters in groups.items():
        optimizer.add_param_group({"params": parameters, "rate": rate})
    return True


class RatedSchedule:
    """A schedule whose learning rate is multiplied by the factor ``rate`` of each group.

    Args:
        schedule: sets the same rate in all groups of the optimiser.
        optimizer: see ``split_by_rate``.

    Attributes:
        factors: of the groups. A checkpoint's entries ``rate`` do not change them: the cases may
            have got their DWIs, or lost them, since it was written.
    """

    def __init__(self, schedule: Schedule, optimizer: torch.optim.Optimizer) -> None:
        self.schedule = schedule
        self.optimizer = optimizer
        self.factors = [group.get("rate", 1.0) for group in optimizer.param_groups]

    def step(self, current_epoch: int) -> None:
        """Sets the rates of an epoch."""
        self.schedule.step(current_epoch)
        for group, factor in zip(self.optimizer.param_groups, self.factors, strict=True):
            group["lr"] *= factor

    def all_alike(self) -> None:
        """Lets all groups learn at the schedule's own rate from now on."""
        self.factors = [1.0] * len(self.factors)
