"""A U-Net whose topology comes from nnU-Net's plans."""

from __future__ import annotations

import copy
from typing import Any

import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from torch import nn

from nnunetv2_strokesynth.networks.squeeze_excite import SqueezeExcite

_WIDTH_KEYS = ("features_per_stage", "bottleneck_channels", "stem_channels")


def _scaled(features: int | list[int] | None, width: float) -> int | list[int] | None:
    """The features times the width, at least 1 each; the plans give some keys as None."""
    if features is None:
        return None
    if isinstance(features, (list, tuple)):
        return [_scaled(value, width) for value in features]
    return max(1, round(features * width))


def planned_unet(
    architecture: dict[str, Any],
    in_channels: int,
    out_channels: int,
    *,
    width: float = 1.0,
    norm_op: type[nn.Module] | None = None,
    squeeze_excite: bool = False,
) -> nn.Module:
    """Build the network that the plans describe, with one full-resolution head.

    Stages, features, strides, kernels, non-linearity and initialisation are nnU-Net's own. The
    plans of both its planners work, with ``PlainConvUNet`` or ``ResidualEncoderUNet``.

    Args:
        architecture: ``architecture`` of a plans configuration: ``network_class_name``,
            ``arch_kwargs``, ``_kw_requires_import``. Left unchanged.
        in_channels: input channels.
        out_channels: output channels.
        width: factor on the features of every stage.
        norm_op: normalisation class, called with the plans' keyword arguments; None takes the
            plans' class.
        squeeze_excite: a squeeze-and-excitation block after each encoder stage, bottleneck
            included.

    Returns:
        A module (B, in_channels, Y, X) -> (B, out_channels, Y, X), linear output.
    """
    arch_kwargs = copy.deepcopy(architecture["arch_kwargs"])
    needs_import = list(architecture["_kw_requires_import"])
    for key in _WIDTH_KEYS:
        if key in arch_kwargs:
            arch_kwargs[key] = _scaled(arch_kwargs[key], width)
    if norm_op is not None:
        arch_kwargs["norm_op"] = norm_op
        needs_import.remove("norm_op")
    network = get_network_from_plans(
        architecture["network_class_name"],
        arch_kwargs,
        needs_import,
        in_channels,
        out_channels,
        allow_init=True,
        deep_supervision=False,
    )
    _drop_unused_heads(network)
    if squeeze_excite:
        _insert_squeeze_excite(network.encoder)
    return network


class PlannedImageNet(nn.Module):
    """A planned U-Net that makes an image, (B, in_channels, Y, X) -> (B, 1, Y, X).

    It computes what ``planned_unet(architecture, in_channels, 1)`` does, but its last layer has
    another name: nnU-Net's ``-pretrained_weights`` skips all layers called ``seg_layers``, since
    another data set may have other classes, and would leave this one random.

    Args:
        architecture, in_channels, width, norm_op: see ``planned_unet``.
    """

    def __init__(
        self,
        architecture: dict[str, Any],
        in_channels: int,
        width: float = 1.0,
        norm_op: type[nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.unet = planned_unet(architecture, in_channels, 1, width=width, norm_op=norm_op)
        self.output = self.unet.decoder.seg_layers[-1]
        self.unet.decoder.seg_layers = nn.ModuleList([nn.Identity()])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, in_channels, Y, X) -> (B, 1, Y, X)."""
        return self.output(self.unet(x))


def _drop_unused_heads(network: nn.Module) -> None:
    """Keep the full-resolution head only.

    The decoder builds a head per stage even without deep supervision. Heads that take no part in
    the loss get no gradient, and DistributedDataParallel stops at the second step when a
    parameter gets none.
    """
    network.decoder.seg_layers = nn.ModuleList([network.decoder.seg_layers[-1]])


def _insert_squeeze_excite(encoder: nn.Module) -> None:
    """Append a block to each stage, in place; the decoder reads only the encoder's attributes."""
    for index, (stage, channels) in enumerate(
        zip(encoder.stages, encoder.output_channels, strict=True)
    ):
        encoder.stages[index] = nn.Sequential(stage, SqueezeExcite(channels))
