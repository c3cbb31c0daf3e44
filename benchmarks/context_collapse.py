"""How soon does the context encoder of Wang et al. 2020 (Eq. 8) collapse?

Trains the encoder alone on the contextual loss between real DWI slices and a blurred, noisy copy in
the place of the pseudo-DWI: with the optimiser of the paper (RMSprop, 0.002) and with nnU-Net's
(SGD 0.01, momentum 0.99, Nesterov), with and without the ReLU after its last convolution. The
spread of Phi_c(I_d) over the slices says what is left of it.

    python benchmarks/context_collapse.py nnUNet_raw/Dataset018_ISLES2018/targetsTr
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from nnunetv2_strokesynth.dataloading.dwi_scaling import scale_dwi
from nnunetv2_strokesynth.losses.synthesis import (
    context_distance_per_sample,
    context_spread,
)
from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder

OPTIMISERS = {
    "RMSprop 0.002": lambda p: torch.optim.RMSprop(p, lr=0.002),
    "SGD 0.01": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.99, nesterov=True),
}


def slices(folder: Path, n: int) -> torch.Tensor:
    """The middle slices of the first n volumes, in (0, 1): (n, 1, 256, 256)."""
    images = []
    for path in sorted(folder.glob("*.nii.gz"))[:n]:
        volume = scale_dwi(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
        image = torch.from_numpy(np.asarray(volume[len(volume) // 2], dtype=np.float32))
        images.append(F.interpolate(image[None, None], (256, 256), mode="bilinear"))
    return torch.cat(images)


def collapse(
    dwi: torch.Tensor, optimiser: str, *, last_relu: bool, seed: int, iterations: int
) -> list[float]:
    """The spread over all slices before training and after each iteration."""
    torch.manual_seed(seed)
    encoder = ContextEncoder()
    if not last_relu:
        encoder.layers[-1] = nn.Identity()
    step = OPTIMISERS[optimiser](encoder.parameters())
    everything = torch.ones(len(dwi), dtype=torch.bool)
    history = []
    for _ in range(iterations + 1):
        with torch.no_grad():
            history.append(context_spread(encoder(dwi), everything).item())
        if history[-1] == 0:
            break
        batch = dwi[torch.randperm(len(dwi))[:5]]
        pseudo = F.avg_pool2d(batch, 5, stride=1, padding=2)
        pseudo = pseudo + 0.05 * torch.randn_like(pseudo)
        step.zero_grad()
        context_distance_per_sample(encoder(pseudo), encoder(batch)).mean().backward()
        step.step()
    return history


def main() -> None:
    """Print a table: size and optimiser against what is left of the spread."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", type=Path, help="folder of DWI volumes (targetsTr)")
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--slices", type=int, default=20)
    args = parser.parse_args()
    dwi, rows = slices(args.targets, args.slices), []
    settings = itertools.product((64, 128, 256), OPTIMISERS, (True, False))
    for size, name, last_relu in tqdm(list(settings)):
        images = F.interpolate(dwi, (size, size), mode="area")
        runs = [
            collapse(images, name, last_relu=last_relu, seed=seed, iterations=args.iterations)
            for seed in range(args.seeds)
        ]
        left = [run[-1] / run[0] for run in runs if run[0] > 0]
        dead = [len(run) - 1 for run in runs if run[-1] == 0 and run[0] > 0]
        rows.append(
            {
                "pixels": size,
                "optimiser": name,
                "last layer": "ReLU" if last_relu else "linear",
                "dead (spread exactly 0)": f"{len(dead)} of {len(left)}",
                "after iterations (median)": np.median(dead) if dead else np.nan,
                "spread left (median)": np.median(left),
            }
        )
    sys.stdout.write(pd.DataFrame(rows).to_string(index=False) + "\n")


if __name__ == "__main__":
    main()
