"""A training step of each system: the trainer's own, on one batch that is on the device.

Networks, loss, optimiser, autocast, gradient scaling and compilation are the trainer's. Its batch
and patch sizes are those that it plans for slices of 256 x 256.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from benchmarks import training_step
from benchmarks.gpu.names import BARE, COMPILED, EAGER, PLAIN_NORM, WANG2020
from benchmarks.gpu.settings import Settings
from benchmarks.schedule import initialised
from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers
from nnunetv2_strokesynth.papers.shared.paper_trainer import PaperTrainer
from nnunetv2_strokesynth.papers.shared.switchable_norm import SwitchableNorm2d
from nnunetv2_strokesynth.trainers.environment import BASE_FEATURES
from nnunetv2_strokesynth.trainers.stroke_trainer import StrokeTrainer


class System(NamedTuple):
    """A step, which returns the loss, and the shape of its batch."""

    step: Callable[[], float]
    shape: tuple[int, ...]


def modes_of(name: str) -> tuple[str, ...]:
    """In which modes a system is measured. The compiler takes the formula of the norm anyway."""
    return (EAGER,) if name == PLAIN_NORM else (COMPILED, EAGER)


def build(name: str, setting: Settings, folder: Path) -> System:
    """A system that is ready to train; the trainer's log is below ``folder``."""
    if name == BARE:
        return bare_system(setting)
    if name == PLAIN_NORM:
        SwitchableNorm2d.forward = SwitchableNorm2d._formula
        name = WANG2020
    return trainer_system(getattr(strokesynth_trainers, name), setting, folder)


def bare_system(setting: Settings) -> System:
    """The yardstick of ``training_step``: three U-Nets and plain losses."""
    n_channels = len(PRESETS[training_step.PRESET].names)
    shape = (setting.batch, n_channels, setting.size, setting.size)
    networks = training_step.bare_networks(training_step.architecture(setting.width))
    networks = networks.to(setting.device)
    if setting.device.type == "cpu":
        networks = torch.compile(networks, backend="aot_eager")
    batch = training_step.make_batch(shape, setting.device)
    losses = [torch.tensor(0.0)]

    def loss(output: tuple[torch.Tensor, ...], target: list[torch.Tensor]) -> torch.Tensor:
        losses[0] = training_step.bare_loss(output, target)
        return losses[0]

    step = training_step.make_step(networks, loss, setting.device, batch)

    def run() -> float:
        step()
        return losses[0].item()

    return System(run, shape)


def trainer_system(cls: type[nnUNetTrainer], setting: Settings, folder: Path) -> System:
    """The trainer's ``train_step`` in its first epoch."""
    trainer = ready_trainer(cls, setting, folder)
    batch = training_batch(trainer, setting.device)
    return System(lambda: float(trainer.train_step(batch)["loss"]), tuple(batch["data"].shape))


def ready_trainer(cls: type[nnUNetTrainer], setting: Settings, folder: Path) -> nnUNetTrainer:
    """A trainer at the beginning of its first epoch; on the CPU traced, but not compiled."""
    n_channels = len(PRESETS[getattr(cls, "preset", training_step.PRESET)].names)
    shape = (setting.batch, n_channels, setting.size, setting.size)
    with mock.patch.dict(os.environ):
        if setting.small and issubclass(cls, PaperTrainer):
            cls.paper_batch_size = setting.batch
            os.environ[BASE_FEATURES] = "8"
        trainer = initialised(cls, shape, setting.device, setting.width, folder)
    if setting.device.type == "cpu":
        trainer.network = torch.compile(trainer.network, backend="aot_eager")
    trainer.on_train_epoch_start()
    return trainer


def training_batch(trainer: nnUNetTrainer, device: torch.device) -> dict[str, Any]:
    """Random images; a square lesion in each, in the list of targets that the trainer packs."""
    torch.manual_seed(0)
    configuration = trainer.configuration_manager
    n, sides = configuration.batch_size, configuration.patch_size
    image = torch.randn(n, trainer.num_input_channels, *sides)
    labels = torch.zeros(n, 1, *sides, dtype=torch.int16)
    for index, lesion in enumerate(labels):
        start = (3 * index) % (sides[0] // 2)
        lesion[:, start : start + sides[0] // 5, sides[1] // 4 : sides[1] // 2] = 1
    if isinstance(trainer, StrokeTrainer):
        target = packed_targets(trainer, labels)
    else:
        strides = [round(1 / scale[-1]) for scale in trainer._get_deep_supervision_scales()]
        target = [labels[..., ::step, ::step].contiguous() for step in strides]
    return {"data": image.to(device), "target": [part.to(device) for part in target]}


def packed_targets(trainer: StrokeTrainer, labels: torch.Tensor) -> list[torch.Tensor]:
    """What the trainer's last transform makes of each slice: labels, DWI, map."""
    pack = trainer._pack_targets()
    samples = []
    for lesion in labels:
        sample = {"segmentation": lesion}
        if trainer.uses_dwi:
            sample["regression_target"] = torch.rand(lesion.shape)
        samples.append(pack.apply(sample)["segmentation"])
    return [torch.stack(parts) for parts in zip(*samples, strict=True)]
