"""Extractor, generator and segmenter as one network, and its two builders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from nnunetv2_strokesynth.channels import PERFUSION_MAPS, PRESETS
from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder
from nnunetv2_strokesynth.networks.initialization import xavier_init
from nnunetv2_strokesynth.networks.planned_unet import planned_unet
from nnunetv2_strokesynth.networks.switchable_norm import SwitchableNorm2d
from nnunetv2_strokesynth.networks.unet import SLNet, UNet

# Wang et al. are silent; Song & Huang 2018 give the extractor half the channels.
EXTRACTOR_WIDTH = 0.5


class StrokeSynthNet(nn.Module):
    """CTP frames, MIP and perfusion maps -> pseudo-DWI -> lesion logits (Wang et al. 2020, Fig. 2).

    F_h = extractor(frames); I_g = generator(maps, MIP, F_h); logits = segmenter(I_g).

    The context encoder takes no part in ``forward``; the joint loss applies it. It is registered
    here so that optimiser, checkpoint and DistributedDataParallel see its parameters. DDP without
    ``find_unused_parameters`` waits for a gradient of every parameter, whoever used it: that the
    loss uses the encoder outside DDP's forward is fine (tried with two processes, gradients equal),
    as long as every batch does, one without any DWI included (``losses.joint`` sees to that).

    Args:
        extractor: (B, frames, Y, X) -> (B, 1, Y, X).
        generator: (B, maps + 2, Y, X) -> (B, 1, Y, X), channels in the order maps, MIP, F_h.
        segmenter: (B, 1, Y, X) -> (B, C, Y, X).
        context_encoder: (B, 1, Y, X) -> (B, 16); None when no synthesis loss is used.
        frame_indices: input channels that hold the CTP frames, in time order.
        map_indices: input channels that hold CBF, CBV, MTT, Tmax.
        mip_index: input channel that holds the MIP.
        return_synthesis: initial value of the attribute of that name.

    Attributes:
        return_synthesis: while True, ``forward`` also returns the pseudo-DWI and the feature. It
            plays the part that deep supervision plays in nnU-Net: on in training, off in
            inference.
    """

    def __init__(
        self,
        extractor: nn.Module,
        generator: nn.Module,
        segmenter: nn.Module,
        context_encoder: nn.Module | None,
        *,
        frame_indices: Sequence[int],
        map_indices: Sequence[int],
        mip_index: int,
        return_synthesis: bool = False,
    ) -> None:
        super().__init__()
        self.extractor = extractor
        self.generator = generator
        self.segmenter = segmenter
        self.context_encoder = context_encoder
        self.frame_indices = tuple(frame_indices)
        self.feature_indices = (*map_indices, mip_index)
        self.return_synthesis = return_synthesis

    def synthesize(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, C, Y, X) -> pseudo-DWI I_g and feature F_h, (B, 1, Y, X) each."""
        feature = self.extractor(_select(x, self.frame_indices))
        pseudo_dwi = self.generator(torch.cat((_select(x, self.feature_indices), feature), dim=1))
        return pseudo_dwi, feature

    def forward(
        self, x: torch.Tensor
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(B, C, Y, X) -> logits; with ``return_synthesis`` (logits, pseudo-DWI, feature)."""
        pseudo_dwi, feature = self.synthesize(x)
        logits = self.segmenter(pseudo_dwi)
        return (logits, pseudo_dwi, feature) if self.return_synthesis else logits


def _select(x: torch.Tensor, channels: Sequence[int]) -> torch.Tensor:
    """Channels of x by position. Slices: indexing with a list would copy it to the GPU and wait."""
    return torch.cat([x[:, index : index + 1] for index in channels], dim=1)


def _input_indices(preset_name: str) -> dict[str, Any]:
    preset = PRESETS[preset_name]
    return {
        "frame_indices": preset.frame_indices,
        "map_indices": preset.index(*PERFUSION_MAPS),
        "mip_index": preset.index("MIP")[0],
    }


def wang2020_networks(
    num_output_channels: int = 2,
    *,
    base_features: int = 64,
    with_context_encoder: bool = True,
    return_synthesis: bool = False,
) -> StrokeSynthNet:
    """The paper's networks with Xavier initialisation, for the channel preset ``wang2020``.

    Args:
        num_output_channels: classes, background included.
        base_features: features of generator and segmenter at full resolution; the extractor has
            half.
        with_context_encoder: False where no synthesis loss is used.
        return_synthesis: see ``StrokeSynthNet``.
    """
    indices = _input_indices("wang2020")
    extractor = UNet(
        len(indices["frame_indices"]), 1, base_features=round(base_features * EXTRACTOR_WIDTH)
    )
    generator = UNet(len(indices["map_indices"]) + 2, 1, base_features=base_features)
    segmenter = SLNet(1, num_output_channels, base_features=base_features)
    for network in (extractor, generator, segmenter):
        network.apply(xavier_init)
    context_encoder = ContextEncoder() if with_context_encoder else None
    return StrokeSynthNet(
        extractor,
        generator,
        segmenter,
        context_encoder,
        return_synthesis=return_synthesis,
        **indices,
    )


def planned_networks(
    architecture: dict[str, Any],
    preset: str,
    num_output_channels: int,
    *,
    with_context_encoder: bool = True,
    return_synthesis: bool = False,
) -> StrokeSynthNet:
    """Extractor, generator and segmenter with the topology of nnU-Net's plans.

    The segmenter has switchable norm and squeeze-and-excitation, the other two the plans' norm.

    Args:
        architecture: ``architecture`` of a 2-D plans configuration (see ``planned_unet``).
        preset: a key of ``channels.PRESETS``.
        num_output_channels: classes, background included.
        with_context_encoder: False where no synthesis loss is used.
        return_synthesis: see ``StrokeSynthNet``.

    Raises:
        ValueError: the plans are not 2-D.
    """
    conv_op = architecture["arch_kwargs"]["conv_op"]
    if "Conv2d" not in str(conv_op):
        raise ValueError(
            f"The synthesis networks work on slices, but the plans ask for {conv_op}. "
            "Use nnU-Net's configuration 2d."
        )
    indices = _input_indices(preset)
    return StrokeSynthNet(
        planned_unet(architecture, len(indices["frame_indices"]), 1, width=EXTRACTOR_WIDTH),
        planned_unet(architecture, len(indices["map_indices"]) + 2, 1),
        planned_unet(
            architecture, 1, num_output_channels, norm_op=SwitchableNorm2d, squeeze_excite=True
        ),
        ContextEncoder() if with_context_encoder else None,
        return_synthesis=return_synthesis,
        **indices,
    )
