"""Weight initialisation of the paper's networks."""

from __future__ import annotations

from torch import nn

_LINEAR_MAPS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)


def xavier_init(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases in one layer; norms keep theirs. For ``net.apply``.

    Source: Wang et al. 2020, section 4.1 (Glorot & Bengio 2010). The paper does not say which of
    the two Xavier distributions; the uniform one is ours, and so are the zero biases.
    """
    if isinstance(module, _LINEAR_MAPS):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
