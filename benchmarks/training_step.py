"""A training step of StrokeSynthTrainer next to the bare sum of its three U-Nets.

    OMP_NUM_THREADS=1 python -m benchmarks.training_step [--device cuda] [--full] [--quick]

Ours has extractor, generator and segmenter as the trainer makes them (with squeeze-and-excitation
in the segmenter and the context encoder) and the joint loss. The yardstick has three PlainConvUNets
of the same topology and widths in the same chain, mean-squared error on pseudo-DWI and feature, and
cross-entropy on the logits. Both have nnU-Net's SGD, clipping and gradient scaling, the same batch,
and the loader's kind of targets. Two further rows exchange only the networks or only the loss.

The four take turns; figures are medians of processor time on the CPU and of wall time on CUDA. The
batch is (4, 12, 96, 96) with half the planner's features, or with ``--full`` nnU-Net's batch for
ISLES 2018, (25, 12, 256, 256), which needs a GPU. CUDA runs with autocast and ``torch.compile``, as
in nnU-Net.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.machine import report, row
from benchmarks.plans import plain_unet
from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.losses.joint import JointLoss
from nnunetv2_strokesynth.networks.planned_unet import PlannedImageNet, planned_unet
from nnunetv2_strokesynth.networks.strokesynth_net import EXTRACTOR_WIDTH, StrokeSynthNet
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer

TARGET = 1.15
PRESET = StrokeSynthTrainer.preset
SEEN = StrokeSynthTrainer.segmenter_inputs
FEATURES = (32, 64, 128, 256, 512, 512)  # of nnU-Net's plans for slices of ISLES 2018
Loss = Callable[[tuple[torch.Tensor, ...], list[torch.Tensor]], torch.Tensor]


def measure(device: torch.device, quick: bool, *, full: bool | None = None) -> list[dict]:
    """A row for each claim.

    Args:
        device: where the step runs.
        quick: smaller images and fewer repetitions.
        full: the batch of a real training; None means on CUDA, unless quick.
    """
    full = device.type == "cuda" and not quick if full is None else full
    shape = (25, 12, 256, 256) if full else (2, 12, 64, 64) if quick else (4, 12, 96, 96)
    plans = architecture(width=1.0 if full else 0.25 if quick else 0.5)
    batch = make_batch(shape, device)
    steps = make_steps(plans, device, batch)
    seconds = medians(steps, device, repetitions=5 if quick else 15, warmup=1 if quick else 3)
    size = "x".join(map(str, shape))
    claims = {
        "ours": ("training step", f"<= {TARGET}"),
        "our networks": ("our networks, bare losses", ""),
        "our loss": ("bare networks, our loss", ""),
    }
    return [
        row(
            f"{claim}, {size}",
            1000 * seconds[name],
            1000 * seconds["bare"],
            target=target,
            unit="CPU ms a step" if device.type == "cpu" else "ms a step",
        )
        for name, (claim, target) in claims.items()
    ]


def architecture(width: float) -> dict[str, Any]:
    """``architecture`` of nnU-Net's 2d plans with the features of each stage times ``width``."""
    return plain_unet([max(1, round(width * features)) for features in FEATURES])


def our_networks(plans: dict[str, Any]) -> StrokeSynthNet:
    """The networks as ``StrokeSynthTrainer`` builds them."""
    configuration = SimpleNamespace(
        configuration={"architecture": plans}, patch_size=(0, 0), data_identifier=""
    )
    n_channels = len(PRESETS[PRESET].names)
    return StrokeSynthTrainer.build_network_architecture(None, configuration, n_channels, 2, True)


def bare_networks(plans: dict[str, Any]) -> StrokeSynthNet:
    """The three U-Nets as planned: no squeeze-and-excitation, no context encoder."""
    ours = our_networks(plans)
    width = StrokeSynthTrainer.synthesis_width
    return StrokeSynthNet(
        PlannedImageNet(plans, PRESETS[PRESET].n_frames, EXTRACTOR_WIDTH * width),
        PlannedImageNet(plans, len(ours.generator_indices) + 1, width),
        planned_unet(plans, len(SEEN), 2),
        None,
        frame_indices=ours.frame_indices,
        generator_indices=ours.generator_indices,
        segmenter_indices=ours.segmenter_indices,
        segmentation_gradient=ours.segmentation_gradient,
        return_heads=True,
    )


def bare_loss(output: tuple[torch.Tensor, ...], target: list[torch.Tensor]) -> torch.Tensor:
    """Cross-entropy on the logits, mean-squared error on pseudo-DWI and feature."""
    logits, pseudo_dwi, feature = output
    labels, dwi, _ = target
    synthesis = F.mse_loss(pseudo_dwi.float(), dwi) + F.mse_loss(feature.float(), dwi)
    return F.cross_entropy(logits.float(), labels[:, 0].long()) + synthesis


def make_batch(shape: tuple[int, int, int, int], device: torch.device) -> dict[str, Any]:
    """A batch as the loader returns it: image, [labels, DWI, weight map]."""
    torch.manual_seed(0)
    n, _, *sides = shape
    labels = torch.zeros(n, 1, *sides, dtype=torch.int16)
    labels[..., : sides[0] // 4, : sides[1] // 4] = 1
    target = [labels, torch.rand(n, 1, *sides), 0.5 + torch.rand(n, 1, *sides)]
    return {"data": torch.randn(shape).to(device), "target": [t.to(device) for t in target]}


def make_steps(
    plans: dict[str, Any], device: torch.device, batch: dict[str, Any]
) -> dict[str, Callable[[], None]]:
    """Name -> step, for each pair of networks and loss."""

    def ours() -> tuple[nn.Module, Loss]:
        network = our_networks(plans)
        return network, JointLoss(network.context_encoder)

    def with_bare_loss() -> tuple[nn.Module, Loss]:
        network = our_networks(plans)
        network.context_encoder = None
        return network, bare_loss

    def with_our_loss() -> tuple[nn.Module, Loss]:
        network = bare_networks(plans)
        network.context_encoder = our_networks(plans).context_encoder
        return network, JointLoss(network.context_encoder)

    pairs = {
        "ours": ours(),
        "bare": (bare_networks(plans), bare_loss),
        "our networks": with_bare_loss(),
        "our loss": with_our_loss(),
    }
    return {
        name: make_step(network.to(device), loss, device, batch)
        for name, (network, loss) in pairs.items()
    }


def make_step(
    network: nn.Module, loss: Loss, device: torch.device, batch: dict[str, Any]
) -> Callable[[], None]:
    """nnU-Net's ``train_step`` and optimiser; on CUDA with compilation, autocast and scaling."""
    cuda = device.type == "cuda"
    optimizer = torch.optim.SGD(
        network.parameters(), lr=1e-2, weight_decay=3e-5, momentum=0.99, nesterov=True
    )
    scaler = torch.amp.GradScaler("cuda", enabled=cuda)
    run = torch.compile(network) if cuda else network

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda") if cuda else contextlib.nullcontext():
            value = loss(run(batch["data"]), batch["target"])
        scaler.scale(value).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 12)
        scaler.step(optimizer)
        scaler.update()

    return step


def medians(
    steps: dict[str, Callable[[], None]], device: torch.device, *, repetitions: int, warmup: int
) -> dict[str, float]:
    """Median seconds of each step; they take turns."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    found: dict[str, list[float]] = {name: [] for name in steps}
    for repetition in range(warmup + repetitions):
        for name, step in steps.items():
            start = clock()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            if repetition >= warmup:
                found[name].append(clock() - start)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def main() -> None:
    """Measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="small images, few repetitions")
    parser.add_argument("--full", action="store_true", default=None, help="a real batch")
    parser.add_argument("--json", type=Path, help="file for the figures")
    args = parser.parse_args()
    device = torch.device(args.device)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # as nnU-Net
    report(measure(device, args.quick, full=args.full), device, args.json)


if __name__ == "__main__":
    main()
