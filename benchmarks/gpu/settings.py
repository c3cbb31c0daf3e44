"""The sizes of a run: whole on a GPU, small on a CPU."""

from __future__ import annotations

import os
from typing import NamedTuple

import torch


class Settings(NamedTuple):
    """What all parts share.

    Attributes:
        device: where networks run.
        small: whether the papers' trainers get a small batch and width, too.
        size: side of the slices in pixels.
        width: factor on the features of nnU-Net's plans.
        batch: slices in nnU-Net's batch.
        step_s: seconds for which steps are timed.
        workers: processes of the loader and of nnU-Net's commands.
        cases: phantom scans.
        max_slices: of a phantom scan.
        epochs: of the short training.
        iterations: of each of its epochs.
        predicted: numbers of cases for ``nnUNetv2_predict``, whose difference gives the time for
            one.
    """

    device: torch.device
    small: bool
    size: int
    width: float
    batch: int
    step_s: float
    workers: int
    cases: int
    max_slices: int
    epochs: int
    iterations: int
    predicted: tuple[int, int]


def settings(device: torch.device, small: bool) -> Settings:
    """The sizes of a whole or of a small run, with as many workers as fit this machine's cores."""
    if small:
        return Settings(
            device,
            small=True,
            size=64,
            width=0.125,
            batch=2,
            step_s=0.3,
            workers=1,
            cases=5,
            max_slices=2,
            epochs=2,
            iterations=2,
            predicted=(1, 2),
        )
    return Settings(
        device,
        small=False,
        size=256,
        width=1.0,
        batch=25,
        step_s=1.5,
        workers=max(1, min(12, (os.cpu_count() or 1) - 2)),
        cases=16,
        max_slices=8,
        epochs=2,
        iterations=50,
        predicted=(3, 20),
    )
