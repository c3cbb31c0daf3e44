"""What the losses see in a training step."""

import torch

SIZE = 32


def make_batch(n: int = 3, without_dwi: tuple[int, ...] = ()):
    """Outputs as leaves, and targets in the types in which nnU-Net's loader delivers them."""
    torch.manual_seed(0)
    logits = torch.randn(n, 2, SIZE, SIZE)
    pseudo_dwi, feature, dwi = torch.rand(3, n, 1, SIZE, SIZE)
    labels = (torch.rand(n, 1, SIZE, SIZE) > 0.8).to(torch.int16)
    for index in without_dwi:
        dwi[index] = torch.nan
    output = tuple(value.requires_grad_() for value in (logits, pseudo_dwi, feature))
    return output, [labels, dwi, 0.5 + torch.rand(n, 1, SIZE, SIZE)]
