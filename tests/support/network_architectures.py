"""Plans dictionaries in the shape that nnU-Net's two planners write, with few features."""

import pytest

_N_STAGES = 4
_COMMON = {
    "n_stages": _N_STAGES,
    "features_per_stage": [4, 8, 16, 16],
    "conv_op": "torch.nn.modules.conv.Conv2d",
    "kernel_sizes": [[3, 3]] * _N_STAGES,
    "strides": [[1, 1], [2, 2], [2, 2], [2, 1]],
    "conv_bias": True,
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
    "norm_op_kwargs": {"eps": 1e-05, "affine": True},
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}


def _architecture(network: str, **arch_kwargs) -> dict:
    return {
        "network_class_name": f"dynamic_network_architectures.architectures.unet.{network}",
        "arch_kwargs": {**_COMMON, **arch_kwargs},
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


ARCHITECTURES = {
    "PlainConvUNet": _architecture(
        "PlainConvUNet",
        n_conv_per_stage=[2] * _N_STAGES,
        n_conv_per_stage_decoder=[2] * (_N_STAGES - 1),
    ),
    "ResidualEncoderUNet": _architecture(
        "ResidualEncoderUNet",
        n_blocks_per_stage=[1, 2, 2, 2],
        n_conv_per_stage_decoder=[1] * (_N_STAGES - 1),
    ),
}


@pytest.fixture
def architectures() -> dict[str, dict]:
    """``architecture`` of a 2-D plans configuration by the name of its network class."""
    return ARCHITECTURES


@pytest.fixture(params=sorted(ARCHITECTURES))
def architecture(request) -> dict:
    """The same of each planner in turn."""
    return ARCHITECTURES[request.param]
