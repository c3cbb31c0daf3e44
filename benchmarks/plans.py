"""The part of nnU-Net's plans that describes a network, for benchmarks that plan nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def plain_unet(features: Sequence[int], *, convolutions: int = 2) -> dict[str, Any]:
    """``architecture`` of a 2d configuration as nnU-Net's default planner writes it.

    Args:
        features: of each stage.
        convolutions: in each stage, of the encoder and of the decoder.
    """
    n_stages = len(features)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": n_stages,
            "features_per_stage": list(features),
            "conv_op": "torch.nn.modules.conv.Conv2d",
            "kernel_sizes": [[3, 3]] * n_stages,
            "strides": [[1, 1], *[[2, 2]] * (n_stages - 1)],
            "n_conv_per_stage": [convolutions] * n_stages,
            "n_conv_per_stage_decoder": [convolutions] * (n_stages - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
