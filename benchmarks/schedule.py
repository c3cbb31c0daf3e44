"""How long the paper's full schedule takes on a GPU: StrokeSynthTrainer_Wang2020 on 94 scans.

    python -m benchmarks.schedule --device cuda [--quick] [--json FILE]

Each step is the real trainer's ``train_step`` on a batch that is already on the GPU: network, loss,
optimiser, autocast, gradient scaling and, unless ``nnUNet_compile`` forbids it, ``torch.compile``.
The networks are compiled during a warm-up. The schedule's time is the median of 30 steps times the
schedule's number of steps. It leaves out loading (``loader.py``), the validation after each epoch,
and checkpoints. The number of steps follows from the slices of the phantom's first 94 scans, of
which four fifths train.

Utilisation is the share of time in which the GPU was busy, as the driver reports it during the
timed steps; it needs ``pynvml``. On the CPU nothing is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from benchmarks.gpu_memory import BATCH, N_CHANNELS, SIZE, trainer_plans
from benchmarks.machine import report, row
from benchmarks.training_step import PRESET, make_batch, medians
from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.nnunet_commands import environment
from nnunetv2_strokesynth.papers.wang2020.trainer import StrokeSynthTrainer_Wang2020
from nnunetv2_strokesynth.phantom.plan import plan_scans
from nnunetv2_strokesynth.trainers.stock import StrokeSynthTrainer_Stock
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer

SCANS = 94  # as many as ISLES 2018 has for training
TRAIN_SHARE = 0.8  # five folds
TARGET_MIN = 15
WARMUP = 5
REPETITIONS = 30
SAMPLE_S = 0.1
Shape = tuple[int, int, int, int]


class Speed(NamedTuple):
    """Median seconds of a training step, and the GPU's mean utilisation meanwhile, 0 to 100."""

    seconds: float
    utilisation: float


NOT_MEASURED = Speed(math.nan, math.nan)


def measure(device: torch.device, quick: bool) -> list[dict]:
    """A row for each claim; NaN on the CPU.

    Args:
        device: where the steps run.
        quick: a third of the steps.
    """

    def speed(cls: type[nnUNetTrainer], batch: int) -> Speed:
        if device.type != "cuda":
            return NOT_MEASURED
        repetitions = REPETITIONS // 3 if quick else REPETITIONS
        return speed_of(cls, (batch, N_CHANNELS, SIZE, SIZE), device, repetitions=repetitions)

    paper = speed(StrokeSynthTrainer_Wang2020, StrokeSynthTrainer_Wang2020.paper_batch_size)
    default = speed(StrokeSynthTrainer, BATCH)
    return [
        *schedule_rows(paper, schedule_steps(SCANS)),
        *default_rows(default, speed(StrokeSynthTrainer_Stock, BATCH)),
    ]


def schedule_rows(speed: Speed, steps: int) -> list[dict]:
    """Minutes and images per second of the paper's schedule, next to the target."""
    cls = StrokeSynthTrainer_Wang2020
    size = f"{cls.paper_batch_size}x{N_CHANNELS}x{SIZE}x{SIZE}"
    schedule = f"{cls.default_epochs} epochs on {SCANS} phantom scans"
    target_s = 60 * TARGET_MIN / steps
    return [
        row(
            f"{cls.__name__}, {schedule}: {steps} steps of {size}, without loading and validation",
            speed.seconds * steps / 60,
            TARGET_MIN,
            target="<= 1",
            unit="min",
        ),
        row(
            f"{cls.__name__}, {size}",
            cls.paper_batch_size / speed.seconds,
            cls.paper_batch_size / target_s,
            unit="images/s",
        ),
        row(f"GPU utilisation, {cls.__name__}, {size}", speed.utilisation, 100, unit="%"),
    ]


def default_rows(ours: Speed, stock: Speed) -> list[dict]:
    """StrokeSynthTrainer's images per second next to those of nnU-Net's trainer."""
    size = f"{BATCH}x{N_CHANNELS}x{SIZE}x{SIZE}"
    name = StrokeSynthTrainer.__name__
    return [
        row(
            f"{name} next to nnU-Net's trainer, {size}",
            BATCH / ours.seconds,
            BATCH / stock.seconds,
            unit="images/s",
        ),
        row(f"GPU utilisation, {name}, {size}", ours.utilisation, 100, unit="%"),
    ]


def schedule_steps(n_scans: int) -> int:
    """Training steps of the paper's schedule on the phantom's first scans (seed 0)."""
    cls = StrokeSynthTrainer_Wang2020
    slices = sum(plan.grid.n_slices for plan in plan_scans(0, 0, n_scans, size=SIZE))
    steps_an_epoch = math.ceil(round(TRAIN_SHARE * slices) / cls.paper_batch_size)
    return cls.default_epochs * len(cls.stages) * steps_an_epoch


def speed_of(
    cls: type[nnUNetTrainer],
    shape: Shape,
    device: torch.device,
    *,
    repetitions: int,
    width: float = 1.0,
) -> Speed:
    """Speed of the trainer's own training step, after a warm-up.

    Args:
        cls: the trainer.
        shape: of the batch, square slices.
        device: where it trains.
        repetitions: steps that are timed.
        width: factor on the features of the plans; the paper's networks do not read them.
    """
    torch._dynamo.reset()  # otherwise a second batch size would be compiled for all sizes
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        step = make_step(initialised(cls, shape, device, width, Path(folder)), shape, device)
        for _ in range(WARMUP):
            step()
        with sampled_utilisation(device) as samples:
            seconds = medians({"step": step}, device, repetitions=repetitions, warmup=0)["step"]
        return Speed(seconds, statistics.fmean(samples) if samples else math.nan)


def initialised(
    cls: type[nnUNetTrainer], shape: Shape, device: torch.device, width: float, folder: Path
) -> nnUNetTrainer:
    """A trainer that is ready to train; its log is below ``folder``."""
    names = PRESETS[getattr(cls, "preset", PRESET)].names
    plans = trainer_plans(shape[0], shape[-1], width, n_channels=len(names))
    plans["continue_training"] = False
    dataset = {
        "channel_names": {str(i): name for i, name in enumerate(names)},
        "labels": {"background": 0, "lesion": 1},
        "file_ending": ".nii.gz",
    }
    with mock.patch.dict(os.environ, environment(folder)):
        configuration = getattr(cls, "configuration", "2d")
        trainer = cls(plans, configuration, 0, dataset, device)
        preprocessed = Path(trainer.preprocessed_dataset_folder)
        preprocessed.mkdir(parents=True)
        (preprocessed / "case.b2nd").touch()  # the trainer looks at the ending only
        trainer.initialize()
    trainer.network.train()
    return trainer


def make_step(trainer: nnUNetTrainer, shape: Shape, device: torch.device) -> Callable[[], None]:
    """The trainer's step on one batch, with labels at all scales for deep supervision."""
    batch = make_batch(shape, device)
    scales = trainer._get_deep_supervision_scales()
    if scales is not None:
        labels = batch["target"][0]
        strides = [round(1 / scale[-1]) for scale in scales]
        batch["target"] = [labels[..., ::n, ::n].contiguous() for n in strides]

    def step() -> None:
        trainer.train_step(batch)

    return step


@contextlib.contextmanager
def sampled_utilisation(device: torch.device) -> Iterator[list[int]]:
    """A list that collects the GPU's utilisation; it stays empty where it cannot be read."""
    samples: list[int] = []
    done = threading.Event()

    def sample() -> None:
        # There may be no pynvml or no GPU, and pynvml's own errors need pynvml to be named
        with contextlib.suppress(Exception):
            while not done.wait(SAMPLE_S):
                samples.append(torch.cuda.utilization(device))

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield samples
    finally:
        done.set()
        sampler.join()


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cuda; cpu measures nothing")
    parser.add_argument("--quick", action="store_true", help="fewer steps")
    parser.add_argument("--json", type=Path, help="file for the figures")
    args = parser.parse_args()
    device = torch.device(args.device)
    torch.backends.cudnn.benchmark = device.type == "cuda"  # as nnU-Net
    report(measure(device, args.quick), device, args.json)


if __name__ == "__main__":
    main()
