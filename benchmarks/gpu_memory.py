"""GPU memory of a training step: does StrokeSynthTrainer's default batch train within 11 GiB?

    python -m benchmarks.gpu_memory [--device cuda] [--quick] [--batch N] [--json FILE]

The default batch is nnU-Net's for slices of ISLES 2018, (25, 12, 256, 256), the networks are the
trainers' own, and the steps are ``training_step``'s: nnU-Net's with SGD.

On CUDA five steps run while PyTorch may take only 11 GiB. If that is too little, the figure comes
from a run without a limit, and the row says so. The CUDA context and other processes take memory
besides. Both figures are PyTorch's peaks: ``allocated`` is what tensors and workspaces took,
``reserved`` is what PyTorch held of the card, and this has to fit.

On the CPU the peak is estimated with fake tensors, which have a shape and no memory
(``memory_peaks.py``). It is the peak of the second step, when the momentum exists. The name of each
row says what the estimate leaves out. The estimated step differs from CUDA's in two points:

- Autocast to float16 is the CPU's. Convolutions return float16, and instance norm, LeakyReLU and
  concatenation keep it, as on CUDA. CUDA's further float32 operations (softmax, sums) occur only in
  our losses, which are in float32 anyway. On a fake CUDA device, which runs the forward alone,
  network and loss kept 5.295 GiB; the CPU's estimate was 5.294 GiB.
- Switchable norm uses its kernels for the CPU, which make float32 copies of one image at a time.
  CUDA's kernels make none, and with them the peak was 2 % lower, so the estimate is a little high.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from torch import nn
from torch.nn import functional as F

from benchmarks.machine import report, row
from benchmarks.memory_peaks import Step, estimated_gib, peak_within_limit
from benchmarks.training_step import (
    Loss,
    architecture,
    bare_loss,
    bare_networks,
    make_batch,
    make_step,
)
from nnunetv2_strokesynth.losses.joint import JointLoss
from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.networks.channel_segmenter import ChannelSegmenter
from nnunetv2_strokesynth.papers.shared.paper_trainer import PaperTrainer
from nnunetv2_strokesynth.papers.wang2020.trainer import StrokeSynthTrainer_Wang2020
from nnunetv2_strokesynth.trainers.stock import StrokeSynthTrainer_Stock
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer

LIMIT_GIB = 11
BATCH = 25
N_CHANNELS = 12
SIZE = 256
OURS = "StrokeSynthTrainer"
ESTIMATED = "estimated, eager, without the allocator's reserve and cuDNN's workspace"


def measure(device: torch.device, quick: bool, *, batch: int = BATCH) -> list[dict]:
    """A row for each claim: GiB against the limit, then the largest batch.

    Args:
        device: CUDA to measure; the CPU to estimate.
        quick: only StrokeSynthTrainer's step.
        batch: slices in a batch, except for StrokeSynthTrainer_Wang2020, which has its own size.
    """
    peaks = cuda_peaks if device.type == "cuda" else estimated_peaks
    rows = []
    for name in [OURS] if quick else SYSTEMS:
        shape = (_batch_of(name, batch), N_CHANNELS, SIZE, SIZE)
        for how, gib in peaks(name, shape, device).items():
            claim = f"GPU memory of {name}, {'x'.join(map(str, shape))}, {how}"
            target = "<= 1" if name == OURS else ""
            rows.append(row(claim, gib, LIMIT_GIB, target=target, unit="GiB"))
    if batch > 1 and not quick:
        rows.append(largest_batch_row(batch, device))
    return rows


def largest_batch_row(batch: int, device: torch.device) -> dict:
    """How many slices fit, by the line through this batch (2 or more) and half of it."""
    peaks = cuda_peaks if device.type == "cuda" else estimated_peaks
    found: dict[int, float] = {}
    for n in (batch // 2, batch):
        how, found[n] = list(peaks(OURS, (n, N_CHANNELS, SIZE, SIZE), device).items())[-1]
    claim = f"largest batch of {OURS} in {LIMIT_GIB} GiB, by a line, {how}"
    return row(claim, largest_batch(found, LIMIT_GIB), batch, unit="slices")


def largest_batch(gib: dict[int, float], limit_gib: float) -> float:
    """Most slices that the line through two sizes (slices -> GiB) allows; NaN if one is NaN."""
    (first, first_gib), (last, last_gib) = sorted(gib.items())
    slope = (last_gib - first_gib) / (last - first)
    slices = first + (limit_gib - first_gib) / slope
    return slices if math.isnan(slices) else float(math.floor(slices))


def _batch_of(name: str, batch: int) -> int:
    is_wang2020 = name == StrokeSynthTrainer_Wang2020.__name__
    return StrokeSynthTrainer_Wang2020.paper_batch_size if is_wang2020 else batch


def trainer_plans(
    batch: int, size: int, width: float, *, n_channels: int = N_CHANNELS
) -> dict[str, Any]:
    """The part of nnU-Net's plans that trainers read, for slices of size x size."""
    configuration = {
        "data_identifier": "nnUNetPlans_2d",
        "batch_size": batch,
        "patch_size": [size, size],
        "batch_dice": True,
        "normalization_schemes": ["ZScoreNormalization"] * n_channels,
        "use_mask_for_norm": [True] * n_channels,
        "architecture": architecture(width),
    }
    names = "mean std median min max percentile_00_5 percentile_99_5".split()
    return {
        "dataset_name": "Dataset018_Benchmark",
        "plans_name": "nnUNetPlans",
        "label_manager": "LabelManager",
        "configurations": {"2d": configuration},
        "foreground_intensity_properties_per_channel": {
            str(channel): dict.fromkeys(names, 1.0) for channel in range(n_channels)
        },
    }


def trainer_network(cls: type[nnUNetTrainer], plans: dict[str, Any]) -> nn.Module:
    """The trainer's network as it trains, for 12 channels and two classes."""
    if issubclass(cls, PaperTrainer):
        plans = cls._own_plans(plans, "2d")
    manager = PlansManager(plans)
    configuration = manager.get_configuration("2d")
    return cls.build_network_architecture(manager, configuration, N_CHANNELS, 2, True)


def joint(cls: type[StrokeSynthTrainer], plans: dict[str, Any]) -> tuple[nn.Module, Loss]:
    """Three networks and the joint loss."""
    network = trainer_network(cls, plans)
    return network, JointLoss(network.context_encoder)


def bare(plans: dict[str, Any]) -> tuple[nn.Module, Loss]:
    """The yardstick of ``training_step``: three U-Nets and plain losses."""
    return bare_networks(plans["configurations"]["2d"]["architecture"]), bare_loss


def stock(plans: dict[str, Any]) -> tuple[nn.Module, Loss]:
    """nnU-Net's U-Net with deep supervision and its loss, as its trainer makes them."""
    network = trainer_network(StrokeSynthTrainer_Stock, plans)
    dice = {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": False}
    per_scale = DC_and_CE_loss(dice, {}, dice_class=MemoryEfficientSoftDiceLoss)
    n_scales = len(network.decoder.seg_layers)
    weights = [0.5**scale for scale in range(n_scales - 1)]
    deep = DeepSupervisionWrapper(per_scale, [weight / sum(weights) for weight in weights] + [0])

    def loss(output: list[torch.Tensor], target: list[torch.Tensor]) -> torch.Tensor:
        return deep(output, [target[0][..., :: 2**scale, :: 2**scale] for scale in range(n_scales)])

    return network, loss


def alone(part: str, plans: dict[str, Any]) -> tuple[nn.Module, Loss]:
    """One network of StrokeSynthTrainer; channel 0 stands for the preceding network's output."""
    networks = trainer_network(StrokeSynthTrainer, plans)
    indices = {
        "extractor": networks.frame_indices,
        "generator": (*networks.generator_indices, 0),
        "segmenter": (*networks.segmenter_indices, 0),
    }[part]
    network = ChannelSegmenter(getattr(networks, part), indices)
    if part == "segmenter":
        return network, SegmentationLoss()
    return network, lambda image, target: F.mse_loss(image.float(), target[1])


SYSTEMS: dict[str, Callable[[dict[str, Any]], tuple[nn.Module, Loss]]] = {
    OURS: partial(joint, StrokeSynthTrainer),
    "its extractor alone": partial(alone, "extractor"),
    "its generator alone": partial(alone, "generator"),
    "its segmenter alone": partial(alone, "segmenter"),
    "three bare U-Nets": bare,
    "nnU-Net's own U-Net": stock,
    StrokeSynthTrainer_Wang2020.__name__: partial(joint, StrokeSynthTrainer_Wang2020),
}


def estimated_peaks(
    name: str, shape: tuple[int, int, int, int], device: torch.device, *, width: float = 1.0
) -> dict[str, float]:
    """Kind of the figure -> estimated GiB of a system's step; takes no memory itself.

    Args:
        name: a key of ``SYSTEMS``.
        shape: of the batch, square slices.
        device: of the fake tensors; the CPU.
        width: factor on the features of the plans.
    """
    return {ESTIMATED: estimated_gib(partial(half_step, name, shape, device, width))}


def half_step(
    name: str, shape: tuple[int, int, int, int], device: torch.device, width: float
) -> Step:
    """The step that ``make_step`` makes on CUDA, but on the CPU and not compiled."""
    half = torch.autocast(device.type, dtype=torch.float16)
    network, loss = SYSTEMS[name](trainer_plans(shape[0], shape[-1], width))
    network.forward = half(network.forward)
    return make_step(network, half(loss), device, make_batch(shape, device))


def cuda_peaks(
    name: str, shape: tuple[int, int, int, int], device: torch.device
) -> dict[str, float]:
    """Kind of the figure -> measured GiB of a system's step; ours also without compilation."""

    def build() -> Step:
        network, loss = SYSTEMS[name](trainer_plans(shape[0], shape[-1], 1.0))
        return make_step(network.to(device), loss, device, make_batch(shape, device))

    found = {}
    for how in ("eager", "compiled") if name == OURS else ("compiled",):
        peak, fits = peak_within_limit(build, device, LIMIT_GIB, eager=how == "eager")
        too_little = "" if fits else f", after running out of {LIMIT_GIB} GiB"
        found[f"{how}, reserved{too_little}"] = peak.reserved
        found[f"{how}, allocated{too_little}"] = peak.allocated
    return found


def main() -> None:
    """Measure or estimate, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu (estimate) or cuda")
    parser.add_argument("--quick", action="store_true", help="StrokeSynthTrainer alone")
    parser.add_argument("--batch", type=int, default=BATCH, help="slices (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="file for the figures")
    args = parser.parse_args()
    if args.batch < 1:
        parser.error(f"--batch is {args.batch}, expected 1 or more")
    device = torch.device(args.device)
    torch.backends.cudnn.benchmark = device.type == "cuda"  # as nnU-Net
    report(measure(device, args.quick, batch=args.batch), device, args.json)


if __name__ == "__main__":
    main()
