"""Networks of the published systems."""

from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder
from nnunetv2_strokesynth.networks.discriminator import MultiScaleDiscriminator
from nnunetv2_strokesynth.networks.fcn import FCN
from nnunetv2_strokesynth.networks.initialization import xavier_init
from nnunetv2_strokesynth.networks.planned_unet import planned_unet
from nnunetv2_strokesynth.networks.r2unet import R2UNet
from nnunetv2_strokesynth.networks.resunet import ResUNet
from nnunetv2_strokesynth.networks.squeeze_excite import SqueezeExcite
from nnunetv2_strokesynth.networks.strokesynth_net import (
    FEATURE,
    PSEUDO_DWI,
    ChannelSegmenter,
    StrokeSynthNet,
    planned_networks,
    wang2020_networks,
)
from nnunetv2_strokesynth.networks.switchable_norm import SwitchableNorm2d, SwitchableNorm3d
from nnunetv2_strokesynth.networks.unet import SLNet, SLNetNoSE, SLNetNoSN, UNet

__all__ = [
    "ChannelSegmenter",
    "ContextEncoder",
    "FCN",
    "FEATURE",
    "MultiScaleDiscriminator",
    "PSEUDO_DWI",
    "R2UNet",
    "ResUNet",
    "SLNet",
    "SLNetNoSE",
    "SLNetNoSN",
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
