"""Weight initialisation of Wang et al. 2020: context encoder, U-Nets and SLNet."""

from __future__ import annotations

from torch import nn

_LINEAR_MAPS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)


def xavier_init(module: nn.Module) -> None:
    """Give one layer Xavier-uniform weights and zero biases; norms keep theirs.

    Use it as ``network.apply(xavier_init)``.

    Source: Wang et al. 2020, section 4.1 (Glorot & Bengio 2010). Choices: the uniform one of the
    two Xavier distributions, since the paper names neither, and the zero biases.
    """
    if isinstance(module, _LINEAR_MAPS):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
