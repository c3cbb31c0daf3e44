"""What switchable normalisation costs next to ``InstanceNorm2d(affine=True)``.

    OMP_NUM_THREADS=1 python -m benchmarks.switchable_norm [--device cuda] [--compile] [--json FILE]

Forward and backward run at three shapes of a 2-D U-Net. The norms take turns, so that other jobs
slow all of them; each figure is a median. ``time`` is wall time. ``cpu`` is processor time, which
other jobs hardly change (on the CPU only). ``memory`` is what the forward keeps for the backward on
the CPU, and the peak of both on CUDA. ``autograd`` is the same formula with autograd's backward.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.machine import report
from nnunetv2_strokesynth.papers.shared.switchable_norm import SwitchableNorm2d

SHAPES = ((5, 64, 256, 256), (5, 256, 64, 64), (5, 1024, 16, 16))
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Autograd(SwitchableNorm2d):
    """Switchable norm whose backward is autograd's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, Y, X) -> the same shape."""
        return self._formula(x)


class Cost(NamedTuple):
    """Seconds of one forward and backward."""

    time_s: float
    cpu_s: float


def step(norm: nn.Module, x: torch.Tensor, grad: torch.Tensor) -> None:
    """Forward and backward, beginning without gradients."""
    x.grad = None
    norm.zero_grad(set_to_none=True)
    norm(x).backward(grad)


def cost(norm: nn.Module, x: torch.Tensor, grad: torch.Tensor) -> Cost:
    """Wall and processor seconds of one step."""
    _wait(x.device)
    start, cpu_start = time.perf_counter(), time.process_time()
    step(norm, x, grad)
    _wait(x.device)
    return Cost(time.perf_counter() - start, time.process_time() - cpu_start)


def bytes_kept(norm: nn.Module, x: torch.Tensor) -> int:
    """Bytes that the forward keeps for the backward, without parameters and buffers."""
    known = {t.untyped_storage().data_ptr() for t in norm.state_dict().values()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = norm(x)
    del out
    return sum(kept.values())


def peak_bytes(norm: nn.Module, x: torch.Tensor, grad: torch.Tensor) -> int:
    """Most memory that one step takes on CUDA on top of its arguments."""
    x.grad = None
    norm.zero_grad(set_to_none=True)
    _wait(x.device)
    torch.cuda.reset_peak_memory_stats(x.device)
    before = torch.cuda.memory_allocated(x.device)
    step(norm, x, grad)
    _wait(x.device)
    return torch.cuda.max_memory_allocated(x.device) - before


def measure_shape(shape: tuple[int, ...], args: argparse.Namespace) -> dict:
    """One row of the table: milliseconds and ratios to the instance norm."""
    device, dtype = torch.device(args.device), DTYPES[args.dtype]
    classes: dict[str, type[nn.Module]] = {"ours": SwitchableNorm2d}
    if args.autograd:
        classes["autograd"] = Autograd
    norms = {"instance": nn.InstanceNorm2d(shape[1], affine=True)}
    norms |= {name: cls(shape[1]) for name, cls in classes.items()}
    norms = {name: norm.to(device) for name, norm in norms.items()}
    runs = {name: torch.compile(norm) if args.compile else norm for name, norm in norms.items()}
    x = torch.randn(shape, device=device, dtype=dtype, requires_grad=True)
    grad = torch.randn(shape, device=device, dtype=dtype)
    costs: dict[str, list[Cost]] = {name: [] for name in norms}
    for repetition in range(args.warmup + args.repetitions):
        for name, run in runs.items():
            found = cost(run, x, grad)
            if repetition >= args.warmup:
                costs[name].append(found)
    if device.type == "cuda":
        memory = {name: peak_bytes(run, x, grad) for name, run in runs.items()}
    else:
        memory = {name: bytes_kept(norms[name], x) for name in norms}
    medians = {
        name: Cost(*map(statistics.median, zip(*c, strict=True))) for name, c in costs.items()
    }
    row: dict = {"shape": "x".join(map(str, shape)), "dtype": args.dtype}
    row["instance ms"] = 1000 * medians["instance"].time_s
    for name in classes:
        row[f"{name}: time"] = medians[name].time_s / medians["instance"].time_s
        if device.type == "cpu":
            row[f"{name}: cpu"] = medians[name].cpu_s / medians["instance"].cpu_s
        row[f"{name}: memory"] = memory[name] / memory["instance"]
    return row


def measure(device: torch.device, *, quick: bool) -> list[dict]:
    """Rows for the table of ``run.py``: processor time on the CPU, wall time on CUDA."""
    args = argparse.Namespace(
        device=device.type,
        dtype="float32",
        compile=device.type == "cuda",
        autograd=False,
        repetitions=9 if quick else 25,
        warmup=3,
    )
    rows = []
    for shape in SHAPES[1:] if quick else SHAPES:
        row = measure_shape(shape, args)
        ratio = row["ours: cpu" if device.type == "cpu" else "ours: time"]
        limits = (("", ratio, "<= 1.3"), (", memory", row["ours: memory"], "<= 1.1"))
        rows += [
            {
                "claim": f"switchable norm, {row['shape']}{what}",
                "ratio": value,
                "target": limit,
                "unit": "of InstanceNorm2d",
            }
            for what, value, limit in limits
        ]
    return rows


def main() -> None:
    """Measure all shapes, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="of the image")
    parser.add_argument("--threads", type=int, help="of PyTorch (default: as the machine has it)")
    parser.add_argument("--compile", action="store_true", help="compile all norms")
    parser.add_argument("--autograd", action="store_true", help="measure that norm too")
    parser.add_argument("--repetitions", type=int, default=25)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for the figures")
    args = parser.parse_args()
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    report([measure_shape(shape, args) for shape in SHAPES], torch.device(args.device), args.json)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
