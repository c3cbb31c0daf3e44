"""The check of image sides that all networks with pooling need."""

from __future__ import annotations

import torch


def check_sides(x: torch.Tensor, divisor: int, network: str) -> None:
    """Refuse images (B, C, ..., Y, X) whose sides cannot be halved down to the deepest level.

    Args:
        x: the network's input.
        divisor: what Y and X must be multiples of.
        network: the network's name, for the message.

    Raises:
        ValueError: Y or X is not a multiple of ``divisor``.
    """
    if x.shape[-2] % divisor or x.shape[-1] % divisor:
        raise ValueError(
            f"The {network} needs image sides that are multiples of {divisor}, found "
            f"{tuple(x.shape[-2:])}. Pad the image, or choose such a patch size."
        )
