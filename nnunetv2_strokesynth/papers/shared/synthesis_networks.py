"""The networks of Wang et al. 2020 and Song & Huang 2018: U-Nets of a fixed layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from nnunetv2_strokesynth.channels import PERFUSION_MAPS, PRESETS
from nnunetv2_strokesynth.networks.channel_segmenter import ChannelSegmenter, select_channels
from nnunetv2_strokesynth.networks.context_encoder import CONTEXT_LENGTH, ContextEncoder
from nnunetv2_strokesynth.networks.initialization import xavier_init
from nnunetv2_strokesynth.networks.strokesynth_net import (
    EXTRACTOR_WIDTH,
    PSEUDO_DWI,
    StrokeSynthNet,
)
from nnunetv2_strokesynth.papers.shared.unet import SLNet, UNet

# Among the names of the generator's inputs, this one stands for what the extractor makes.
FEATURE = "F_h"


class PaperSynthesisNet(StrokeSynthNet):
    """``StrokeSynthNet`` with two further networks, which only the papers' losses apply.

    They take no part in ``forward`` and are registered for the same reason as the context encoder.

    Args:
        *networks: see ``StrokeSynthNet``.
        discriminator: (B, K + 1, Y, X) -> score maps (Wang et al. 2020, Table 1); None when no
            adversarial loss is used.
        real_context_encoder: a context encoder for the real DWI alone (Song & Huang 2018); None
            where one encoder serves all images.
        **options: see ``StrokeSynthNet``.
    """

    def __init__(
        self,
        *networks: nn.Module | None,
        discriminator: nn.Module | None = None,
        real_context_encoder: nn.Module | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*networks, **options)
        self.discriminator = discriminator
        self.real_context_encoder = real_context_encoder

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor | None, ...]:
        """As ``StrokeSynthNet``.

        With a discriminator and ``return_heads``, the channels that the generator saw come fourth.
        """
        output = super().forward(x)
        if not self.return_heads or self.discriminator is None:
            return output
        return *output, select_channels(x, self.generator_indices)


def synthesis_networks(
    num_output_channels: int = 2,
    *,
    preset: str = "wang2020",
    generator_inputs: Sequence[str] = (*PERFUSION_MAPS, "MIP", FEATURE),
    segmenter_inputs: Sequence[str] = (PSEUDO_DWI,),
    frames: Sequence[str] | None = None,
    segmenter: Callable[[int, int, int], nn.Module] = SLNet,
    base_features: int = 64,
    extractor_width: float = EXTRACTOR_WIDTH,
    with_context_encoder: bool = True,
    with_real_context_encoder: bool = False,
    context_length: int = CONTEXT_LENGTH,
    discriminator: Callable[[int, int], nn.Module] | None = None,
    normalise_inputs: bool = False,
    return_heads: bool = False,
) -> PaperSynthesisNet | ChannelSegmenter:
    """The networks of Wang et al. 2020 or Song & Huang 2018, with Xavier initialisation.

    The defaults are those that Wang et al. propose.

    Args:
        num_output_channels: classes, background included.
        preset: a key of ``channels.PRESETS``: where the inputs are found.
        generator_inputs: names of channels; ``FEATURE`` last adds the extractor.
        segmenter_inputs: names of channels; ``PSEUDO_DWI`` last is the generator's output. Without
            it there is no generator, and a ``ChannelSegmenter`` comes back.
        frames: names of the channels that the extractor sees; None: all CTP frames of the preset.
        segmenter: called with input channels, output channels, base features.
        base_features: features of generator and segmenter at full resolution.
        extractor_width: the extractor's features, as a share of them.
        with_context_encoder: False where no contextual loss is used.
        with_real_context_encoder: True where the real DWI has an encoder of its own (Song & Huang
            2018).
        context_length: numbers that the encoders return.
        discriminator: called with input channels and base features; None where no adversarial loss
            is used.
        normalise_inputs: a batch norm without learned parameters in front of each network (Song &
            Huang 2018).
        return_heads: see ``StrokeSynthNet``.
    """
    channels = PRESETS[preset]
    initialised = partial(_initialised, normalise_inputs=normalise_inputs)
    n_inputs = len(segmenter_inputs)
    segmentation_net = initialised(
        segmenter(n_inputs, num_output_channels, base_features), n_inputs
    )
    segmenter_indices = channels.index(*(n for n in segmenter_inputs if n != PSEUDO_DWI))
    if PSEUDO_DWI not in segmenter_inputs:
        return ChannelSegmenter(segmentation_net, segmenter_indices, return_heads=return_heads)
    n_inputs = len(generator_inputs)
    generator = initialised(UNet(n_inputs, 1, base_features), n_inputs)
    generator_indices = channels.index(*(n for n in generator_inputs if n != FEATURE))
    frame_indices = channels.index(*frames) if frames else channels.frame_indices
    extractor = None
    if FEATURE in generator_inputs:
        width = max(1, round(base_features * extractor_width))
        extractor = initialised(UNet(len(frame_indices), 1, width), len(frame_indices))
    critic = None
    if discriminator is not None:
        critic = discriminator(len(generator_indices) + 1, base_features).apply(xavier_init)
    return PaperSynthesisNet(
        extractor,
        generator,
        segmentation_net,
        ContextEncoder(context_length) if with_context_encoder else None,
        real_context_encoder=ContextEncoder(context_length) if with_real_context_encoder else None,
        frame_indices=frame_indices,
        generator_indices=generator_indices,
        segmenter_indices=segmenter_indices,
        discriminator=critic,
        return_heads=return_heads,
    )


def _initialised(network: nn.Module, n_inputs: int, *, normalise_inputs: bool) -> nn.Module:
    """The network with Xavier initialisation, behind a batch norm if its inputs are normalised."""
    network.apply(xavier_init)
    if not normalise_inputs:
        return network
    return nn.Sequential(nn.BatchNorm2d(n_inputs, affine=False), network)
