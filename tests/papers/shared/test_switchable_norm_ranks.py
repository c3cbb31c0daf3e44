"""Batch statistics over processes: two of them against one formula on all samples, in float64.

This file is also the program that each process runs: ``RANK FOLDER``.
"""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed as dist
from torch import nn

from nnunetv2_strokesynth.papers.shared.switchable_norm import SwitchableNorm2d

# Ranks differ in number and size of samples.
SHAPES = ((2, 3, 4, 5), (1, 3, 6, 2))
MODES = ("eager", "compiled", "alone")


def image(rank: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(10 * seed + rank)
    x = torch.randn(SHAPES[rank], generator=generator, dtype=torch.float64)
    return (1 + rank) * x + 5 * rank


def new_norm() -> nn.Module:
    torch.manual_seed(0)
    norm = SwitchableNorm2d(3, eps=1e-2).double()
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.add_(torch.rand_like(parameter))
    return norm


def step(rank: int, mode: str) -> dict[str, torch.Tensor]:
    """Forward and backward of one process: result, gradients and running statistics."""
    norm = new_norm()
    norm.synchronise = mode != "alone"
    module = norm
    if mode == "compiled":
        module = torch.compile(norm, backend="aot_eager", fullgraph=True)
    x = image(rank, 0).requires_grad_()
    out = module(x)
    out.backward(image(rank, 1))
    found = {"out": out.detach(), "x": x.grad} | dict(norm.named_buffers())
    found |= {name: p.grad for name, p in norm.named_parameters()}
    if rank == 0:  # inference waits for nobody
        norm.eval()(x)
    return found


def run_rank(rank: int, folder: Path) -> None:
    """One process; keeps what it found in ``rank.pt``."""
    store = (folder / "store").as_uri()
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    torch.save({mode: step(rank, mode) for mode in MODES}, folder / f"{rank}.pt")
    dist.destroy_process_group()


def formula(norm: nn.Module, images: list[torch.Tensor]) -> list[torch.Tensor]:
    """Every statistic straight from the pixels of all images."""
    of_channels = torch.cat([x.transpose(0, 1).flatten(1) for x in images], dim=1)
    batch = (of_channels.mean(dim=1)[:, None, None], of_channels.var(1, False)[:, None, None])
    shares = (torch.softmax(norm.mean_weight, 0), torch.softmax(norm.var_weight, 0))
    outs = []
    for x in images:
        kinds = [(2, 3), (1, 2, 3)]
        means = [x.mean(dims, keepdim=True) for dims in kinds] + [batch[0]]
        variances = [x.var(dims, False, keepdim=True) for dims in kinds] + [batch[1]]
        mean, var = (
            sum(w * moment for w, moment in zip(share, moments, strict=True))
            for share, moments in zip(shares, (means, variances), strict=True)
        )
        scale, shift = norm.weight[:, None, None], norm.bias[:, None, None]
        outs.append((x - mean) / (var + norm.eps).sqrt() * scale + shift)
    norm.running_mean.mul_(0.9).add_(0.1 * batch[0].detach().flatten())
    norm.running_var.mul_(0.9).add_(0.1 * batch[1].detach().flatten())
    return outs


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> list[dict[str, dict[str, torch.Tensor]]]:
    """By rank and mode."""
    folder = tmp_path_factory.mktemp("ranks")
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, str(rank), str(folder)], stderr=subprocess.PIPE, text=True
        )
        for rank in (0, 1)
    ]
    try:
        errors = [process.communicate(timeout=280)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0, 0], errors
    return [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]


@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_two_processes_equal_one_formula(ranks, mode):
    ranks = [rank[mode] for rank in ranks]
    norm = new_norm()
    images = [image(rank, 0).requires_grad_() for rank in (0, 1)]
    outs = formula(norm, images)
    sum((out * image(rank, 1)).sum() for rank, out in enumerate(outs)).backward()
    for found, x, out in zip(ranks, images, outs, strict=True):
        torch.testing.assert_close(found["out"], out.detach())
        torch.testing.assert_close(found["x"], x.grad)
        for name, buffer in norm.named_buffers():
            torch.testing.assert_close(found[name], buffer)
    for name, parameter in norm.named_parameters():  # DDP adds these up
        torch.testing.assert_close(ranks[0][name] + ranks[1][name], parameter.grad)


def test_without_synchronisation_each_process_is_alone(ranks):
    for rank, found in enumerate(rank["alone"] for rank in ranks):
        norm, x = new_norm(), image(rank, 0).requires_grad_()
        (out,) = formula(norm, [x])
        out.backward(image(rank, 1))
        torch.testing.assert_close(found["out"], out.detach())
        torch.testing.assert_close(found["x"], x.grad)
        torch.testing.assert_close(found["running_var"], norm.running_var)


if __name__ == "__main__":
    run_rank(int(sys.argv[1]), Path(sys.argv[2]))
