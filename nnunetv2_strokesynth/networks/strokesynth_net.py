"""Extractor, generator and segmenter as one network, built from nnU-Net's plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from nnunetv2_strokesynth.channels import PERFUSION_MAPS, PRESETS
from nnunetv2_strokesynth.networks.channel_segmenter import ChannelSegmenter, select_channels
from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder
from nnunetv2_strokesynth.networks.logit_range import within_half_precision
from nnunetv2_strokesynth.networks.planned_unet import PlannedImageNet, planned_unet

# Wang et al. are silent; Song & Huang 2018 give the extractor half the channels.
EXTRACTOR_WIDTH = 0.5
# Among the names of the segmenter's inputs, this one stands for what the generator makes; the
# others are channels of the preset.
PSEUDO_DWI = "DWI^"
# Wang et al. 2020: F_o, the perfusion maps, and F_l, the MIP.
PAPERS_GENERATOR_INPUTS = (*PERFUSION_MAPS, "MIP")


def scale_gradient(x: torch.Tensor, share: float) -> torch.Tensor:
    """The same values; what flows back is ``share`` times the gradient.

    Args:
        x: any shape.
        share: 0 detaches, 1 changes nothing.
    """
    if share in (0.0, 1.0):
        return x if share else x.detach()
    fixed = x.detach()
    return fixed + share * (x - fixed)


class StrokeSynthNet(nn.Module):
    """CTP frames, MIP and perfusion maps -> pseudo-DWI -> lesion logits (Wang et al. 2020, Fig. 2).

    F_h = extractor(frames); I_g = generator(maps, MIP, F_h); logits = segmenter(I_g).

    The context encoder takes no part in ``forward``; the joint loss applies it. It is registered
    here so that optimiser, checkpoint and DistributedDataParallel see its parameters. DDP without
    ``find_unused_parameters`` waits for a gradient of every parameter. It gets those of the encoder
    although the loss uses it outside DDP's forward (tried with two processes: gradients are equal),
    because ``JointLoss`` uses it in every batch, one without any DWI included.

    Args:
        extractor: (B, frames, Y, X) -> (B, 1, Y, X); None when the generator reads no F_h.
        generator: (B, K, Y, X) -> (B, 1, Y, X), channels in the order of ``generator_indices``,
            then F_h.
        segmenter: (B, 1 + S, Y, X) -> (B, C, Y, X), channels in the order of ``segmenter_indices``,
            then the pseudo-DWI.
        context_encoder: (B, 1, Y, X) -> (B, 16); None when no contextual loss is used.
        frame_indices: input channels that hold the CTP frames, in time order.
        generator_indices: input channels for the generator; CBF, CBV, MTT, Tmax and the MIP in the
            paper.
        segmenter_indices: input channels that the segmenter sees besides the pseudo-DWI.
        segmentation_gradient: initial value of the attribute of that name.
        return_heads: initial value of the attribute of that name.

    Attributes:
        segmentation_gradient: how much of the segmentation's gradient reaches generator and
            extractor: 1 end to end, 0 none (they then learn the DWI alone), between a share of it.
            It changes no output.
        return_heads: while True, ``forward`` also returns the pseudo-DWI and the feature. The
            trainer sets it as nnU-Net sets deep supervision: on in training, off in inference.
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
        segmentation_gradient: float = 1.0,
        return_heads: bool = False,
    ) -> None:
        super().__init__()
        self.extractor = extractor
        self.generator = generator
        self.segmenter = segmenter
        self.context_encoder = context_encoder
        self.frame_indices = tuple(frame_indices)
        self.generator_indices = tuple(generator_indices)
        self.segmenter_indices = tuple(segmenter_indices)
        self.segmentation_gradient = segmentation_gradient
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
        """(B, C, Y, X) -> logits; with ``return_heads`` (logits, pseudo-DWI, feature)."""
        pseudo_dwi, feature = self.synthesize(x)
        inputs = scale_gradient(pseudo_dwi, self.segmentation_gradient)
        if self.segmenter_indices:
            inputs = torch.cat((select_channels(x, self.segmenter_indices), inputs), dim=1)
        logits = self.segmenter(inputs)
        return (logits, pseudo_dwi, feature) if self.return_heads else within_half_precision(logits)


def planned_networks(
    architecture: dict[str, Any],
    preset: str,
    num_output_channels: int,
    *,
    segmenter_inputs: Sequence[str] = (PSEUDO_DWI,),
    generator_inputs: Sequence[str] = PAPERS_GENERATOR_INPUTS,
    synthesis_width: float = 1.0,
    synthesis_norm: type[nn.Module] | None = None,
    segmenter_norm: type[nn.Module] | None = None,
    segmentation_gradient: float = 1.0,
    with_context_encoder: bool = True,
    make_context_encoder: Callable[[], ContextEncoder] = ContextEncoder,
    return_heads: bool = False,
) -> StrokeSynthNet | ChannelSegmenter:
    """Extractor, generator and segmenter with the topology of nnU-Net's plans.

    The segmenter has squeeze-and-excitation blocks.

    Args:
        architecture: ``architecture`` of a 2-D plans configuration (see ``planned_unet``).
        preset: a key of ``channels.PRESETS``.
        num_output_channels: classes, background included.
        segmenter_inputs: names of channels; ``PSEUDO_DWI`` last is the generator's output. Without
            it there is no generator, and a ``ChannelSegmenter`` comes back.
        generator_inputs: names of channels that the generator sees beside F_h.
        synthesis_width: factor on the generator's features; the extractor has half as many.
        synthesis_norm: normalisation class of generator and extractor; None takes the plans'.
        segmenter_norm: normalisation class of the segmenter; None takes the plans'.
        segmentation_gradient: see ``StrokeSynthNet``.
        with_context_encoder: False where no synthesis loss is used.
        make_context_encoder: makes the context encoder.
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
    generator_indices = channels.index(*generator_inputs)
    image_net = partial(PlannedImageNet, architecture, norm_op=synthesis_norm)
    return StrokeSynthNet(
        image_net(channels.n_frames, width=EXTRACTOR_WIDTH * synthesis_width),
        image_net(len(generator_indices) + 1, width=synthesis_width),
        segmenter,
        make_context_encoder() if with_context_encoder else None,
        frame_indices=channels.frame_indices,
        generator_indices=generator_indices,
        segmenter_indices=segmenter_indices,
        segmentation_gradient=segmentation_gradient,
        return_heads=return_heads,
    )
