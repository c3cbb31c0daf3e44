"""Extractor, generator and segmenter as one network, and its two builders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from nnunetv2_strokesynth.channels import (
    PERFUSION_MAPS,
    PRESETS,
)
from nnunetv2_strokesynth.networks.context_encoder import (
    CONTEXT_LENGTH,
    ContextEncoder,
)
from nnunetv2_strokesynth.networks.initialization import xavier_init
from nnunetv2_strokesynth.networks.logit_range import within_half_precision
from nnunetv2_strokesynth.networks.planned_unet import (
    PlannedImageNet,
    planned_unet,
)
from nnunetv2_strokesynth.papers.shared.unet import (
    SLNet,
    UNet,
)
from nnunetv2_strokesynth.papers.wang2020.discriminator import MultiScaleDiscriminator

# Wang et al. are silent; Song & Huang 2018 give the extractor half the channels.
EXTRACTOR_WIDTH = 0.5
# Names of inputs that are made by the network itself; all others are channels of the preset.
FEATURE, PSEUDO_DWI = "F_h", "DWI^"


class StrokeSynthNet(nn.Module):
    """CTP frames, MIP and perfusion maps -> pseudo-DWI -> lesion logits (Wang et al. 2020, Fig. 2).

    F_h = extractor(frames); I_g = generator(maps, MIP, F_h); logits = segmenter(I_g).

    Context encoder and discriminator take no part in ``forward``; the joint loss applies them. They
    are registered here so that optimiser, checkpoint and DistributedDataParallel see their
    parameters. DDP without ``find_unused_parameters`` waits for a gradient of every parameter,
    whoever used it: that the loss uses the encoder outside DDP's forward is fine (tried with two
    processes, gradients equal), as long as every batch does, one without any DWI included
    (``losses.joint`` sees to that).

    Args:
        extractor: (B, frames, Y, X) -> (B, 1, Y, X); None when the generator reads no F_h.
        generator: (B, K, Y, X) -> (B, 1, Y, X), channels in the order of ``generator_indices``,
            then F_h.
        segmenter: (B, 1 + S, Y, X) -> (B, C, Y, X), channels in the order of ``segmenter_indices``,
            then the pseudo-DWI.
        context_encoder: (B, 1, Y, X) -> (B, 16); None when no contextual loss is used.
        frame_indices: input channels that hold the CTP frames, in time order.
        generator_indices: input channels for the generator: CBF, CBV, MTT, Tmax and the MIP.
        segmenter_indices: input channels that the segmenter sees besides the pseudo-DWI.
        end_to_end: False keeps the segmentation's gradient out of generator and extractor, which
            then learn the DWI alone.
        discriminator: (B, K + 1, Y, X) -> score maps; None when no adversarial loss is used.
        real_context_encoder: as the context encoder, for the real DWI alone (Song & Huang 2018);
            None where one encoder serves all images.
        return_heads: initial value of the attribute of that name.

    Attributes:
        return_heads: while True, ``forward`` also returns the pseudo-DWI and the feature. It
            plays the part that deep supervision plays in nnU-Net: on in training, off in
            inference.
    """

    def __init__(
        self,
        extractor: nn.Module | None,
        generator: nn.Module,
        segmenter: nn.Module,
        context_encoder: nn.Module | None,
        *,
        frame_indices: Sequence[int],
        generator_indices: Sequence[int],
        segmenter_indices: Sequence[int] = (),
        end_to_end: bool = True,
        discriminator: nn.Module | None = None,
        real_context_encoder: nn.Module | None = None,
        return_heads: bool = False,
    ) -> None:
        super().__init__()
        self.extractor = extractor
        self.generator = generator
        self.segmenter = segmenter
        self.context_encoder = context_encoder
        self.discriminator = discriminator
        self.real_context_encoder = real_context_encoder
        self.frame_indices = tuple(frame_indices)
        self.generator_indices = tuple(generator_indices)
        self.segmenter_indices = tuple(segmenter_indices)
        self.end_to_end = end_to_end
        self.return_heads = return_heads

    def synthesize(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(B, C, Y, X) -> pseudo-DWI I_g and feature F_h, (B, 1, Y, X) each.

        The feature is None without an extractor.
        """
        inputs = select_channels(x, self.generator_indices)
        if self.extractor is None:
            return self.generator(inputs), None
        feature = self.extractor(select_channels(x, self.frame_indices))
        return self.generator(torch.cat((inputs, feature), dim=1)), feature

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor | None, ...]:
        """(B, C, Y, X) -> logits.

        With ``return_heads``: (logits, pseudo-DWI, feature), and, if there is a discriminator,
        fourth the channels that the generator saw.
        """
        pseudo_dwi, feature = self.synthesize(x)
        inputs = pseudo_dwi if self.end_to_end else pseudo_dwi.detach()
        if self.segmenter_indices:
            inputs = torch.cat((select_channels(x, self.segmenter_indices), inputs), dim=1)
        logits = self.segmenter(inputs)
        if not self.return_heads:
            return within_half_precision(logits)
        if self.discriminator is None:
            return logits, pseudo_dwi, feature
        return logits, pseudo_dwi, feature, select_channels(x, self.generator_indices)


class ChannelSegmenter(nn.Module):
    """A segmenter on some of the channels, without any synthesis (Wang et al. 2020, Tables 3 to 5).

    Args:
        segmenter: (B, S, Y, X) -> (B, C, Y, X).
        segmenter_indices: the input channels that it sees.
        return_heads: initial value of the attribute of that name.

    Attributes:
        return_heads: while True, ``forward`` returns a tuple that holds the logits alone, as
            nnU-Net's deep-supervision protocol wants it in training.
    """

    def __init__(
        self,
        segmenter: nn.Module,
        segmenter_indices: Sequence[int],
        *,
        return_heads: bool = False,
    ) -> None:
        super().__init__()
        self.segmenter = segmenter
        self.segmenter_indices = tuple(segmenter_indices)
        self.return_heads = return_heads

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor]:
        """(B, C, Y, X) -> logits; with ``return_heads`` (logits,)."""
        logits = self.segmenter(select_channels(x, self.segmenter_indices))
        return (logits,) if self.return_heads else within_half_precision(logits)


def select_channels(x: torch.Tensor, channels: Sequence[int]) -> torch.Tensor:
    """Channels of x by position. Slices: indexing with a list would copy it to the GPU and wait."""
    return torch.cat([x[:, index : index + 1] for index in channels], dim=1)


def wang2020_networks(
    num_output_channels: int = 2,
    *,
    preset: str = "wang2020",
    generator_inputs: Sequence[str] = (*PERFUSION_MAPS, "MIP", FEATURE),
    segmenter_inputs: Sequence[str] = (PSEUDO_DWI,),
    frames: Sequence[str] | None = None,
    segmenter: Callable[[int, int, int], nn.Module] = SLNet,
    base_features: int = 64,
    with_context_encoder: bool = True,
    with_real_context_encoder: bool = False,
    context_length: int = CONTEXT_LENGTH,
    with_discriminator: bool = False,
    normalise_inputs: bool = False,
    return_heads: bool = False,
) -> StrokeSynthNet | ChannelSegmenter:
    """The networks of Wang et al. 2020 with Xavier initialisation: the proposed ones by default.

    Args:
        num_output_channels: classes, background included.
        preset: a key of ``channels.PRESETS``: where the inputs are found.
        generator_inputs: names of channels; ``FEATURE`` last adds the extractor.
        segmenter_inputs: names of channels; ``PSEUDO_DWI`` last is the generator's output. Without
            it there is no generator, and a ``ChannelSegmenter`` comes back.
        frames: names of the channels that the extractor sees; None: all CTP frames of the preset.
        segmenter: called with input channels, output channels, base features.
        base_features: features of generator and segmenter at full resolution; the extractor has
            half.
        with_context_encoder: False where no contextual loss is used.
        with_real_context_encoder: True where the real DWI has an encoder of its own (Song & Huang
            2018).
        context_length: numbers that the encoders return.
        with_discriminator: True where the adversarial loss is used.
        normalise_inputs: a batch norm without learned parameters in front of each network (Song &
            Huang 2018).
        return_heads: see ``StrokeSynthNet``.
    """
    channels = PRESETS[preset]

    def initialised(network: nn.Module, n_inputs: int) -> nn.Module:
        network.apply(xavier_init)
        if not normalise_inputs:
            return network
        return nn.Sequential(nn.BatchNorm2d(n_inputs, affine=False), network)

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
        width = max(1, round(base_features * EXTRACTOR_WIDTH))
        extractor = initialised(UNet(len(frame_indices), 1, width), len(frame_indices))
    discriminator = None
    if with_discriminator:
        discriminator = MultiScaleDiscriminator(len(generator_indices) + 1, base_features)
        discriminator.apply(xavier_init)
    return StrokeSynthNet(
        extractor,
        generator,
        segmentation_net,
        ContextEncoder(context_length) if with_context_encoder else None,
        real_context_encoder=ContextEncoder(context_length) if with_real_context_encoder else None,
        frame_indices=frame_indices,
        generator_indices=generator_indices,
        segmenter_indices=segmenter_indices,
        discriminator=discriminator,
        return_heads=return_heads,
    )


def planned_networks(
    architecture: dict[str, Any],
    preset: str,
    num_output_channels: int,
    *,
    segmenter_inputs: Sequence[str] = (PSEUDO_DWI,),
    synthesis_width: float = 1.0,
    synthesis_norm: type[nn.Module] | None = None,
    segmenter_norm: type[nn.Module] | None = None,
    end_to_end: bool = True,
    with_context_encoder: bool = True,
    return_heads: bool = False,
) -> StrokeSynthNet | ChannelSegmenter:
    """Extractor, generator and segmenter with the topology of nnU-Net's plans.

    The segmenter has squeeze-and-excitation.

    Args:
        architecture: ``architecture`` of a 2-D plans configuration (see ``planned_unet``).
        preset: a key of ``channels.PRESETS``.
        num_output_channels: classes, background included.
        segmenter_inputs: names of channels; ``PSEUDO_DWI`` last is the generator's output. Without
            it there is no generator, and a ``ChannelSegmenter`` comes back.
        synthesis_width: factor on the generator's features; the extractor has half as many.
        synthesis_norm: of generator and extractor; None takes the plans'.
        segmenter_norm: None takes the plans'.
        end_to_end: see ``StrokeSynthNet``.
        with_context_encoder: False where no synthesis loss is used.
        return_heads: see ``StrokeSynthNet``.

    Raises:
        ValueError: the plans are not 2-D.
    """
    conv_op = architecture["arch_kwargs"]["conv_op"]
    if "Conv2d" not in str(conv_op):
        raise ValueError(
            f"The synthesis networks work on slices, but the plans ask for {conv_op}. "
            "Use nnU-Net's configuration 2d."
        )
    channels = PRESETS[preset]
    segmenter = planned_unet(
        architecture,
        len(segmenter_inputs),
        num_output_channels,
        norm_op=segmenter_norm,
        squeeze_excite=True,
    )
    segmenter_indices = channels.index(*(n for n in segmenter_inputs if n != PSEUDO_DWI))
    if PSEUDO_DWI not in segmenter_inputs:
        return ChannelSegmenter(segmenter, segmenter_indices, return_heads=return_heads)
    generator_indices = channels.index(*PERFUSION_MAPS, "MIP")
    image_net = partial(PlannedImageNet, architecture, norm_op=synthesis_norm)
    return StrokeSynthNet(
        image_net(channels.n_frames, width=EXTRACTOR_WIDTH * synthesis_width),
        image_net(len(generator_indices) + 1, width=synthesis_width),
        segmenter,
        ContextEncoder() if with_context_encoder else None,
        frame_indices=channels.frame_indices,
        generator_indices=generator_indices,
        segmenter_indices=segmenter_indices,
        end_to_end=end_to_end,
        return_heads=return_heads,
    )
