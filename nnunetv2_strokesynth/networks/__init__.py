"""Networks of the published systems."""

from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder
from nnunetv2_strokesynth.networks.initialization import xavier_init
from nnunetv2_strokesynth.networks.planned_unet import planned_unet
from nnunetv2_strokesynth.networks.squeeze_excite import SqueezeExcite
from nnunetv2_strokesynth.networks.strokesynth_net import (
    StrokeSynthNet,
    planned_networks,
    wang2020_networks,
)
from nnunetv2_strokesynth.networks.switchable_norm import SwitchableNorm2d, SwitchableNorm3d
from nnunetv2_strokesynth.networks.unet import SLNet, UNet

__all__ = [
    "ContextEncoder",
    "SLNet",
    "SqueezeExcite",
    "StrokeSynthNet",
    "SwitchableNorm2d",
    "SwitchableNorm3d",
    "UNet",
    "planned_networks",
    "planned_unet",
    "wang2020_networks",
    "xavier_init",
]
