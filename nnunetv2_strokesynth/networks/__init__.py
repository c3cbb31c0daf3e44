"""Networks of the published systems."""

from nnunetv2_strokesynth.networks.asymmetric_unet import AsymmetricResidualUNet
from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder
from nnunetv2_strokesynth.networks.cross_attention_unet import (
    CrossAttentionUNet,
    SupervisedSegmenter,
    from_one_map,
    merge_boundary,
)
from nnunetv2_strokesynth.networks.discriminator import MultiScaleDiscriminator
from nnunetv2_strokesynth.networks.fcn import FCN
from nnunetv2_strokesynth.networks.initialization import xavier_init
from nnunetv2_strokesynth.networks.monte_carlo import MonteCarloSegmenter
from nnunetv2_strokesynth.networks.planned_unet import PlannedImageNet, planned_unet
from nnunetv2_strokesynth.networks.pretrained import load_backbone
from nnunetv2_strokesynth.networks.pspnet import ChannelPSPNet, PSPNet
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
from nnunetv2_strokesynth.networks.unet3d import UNet3d
from nnunetv2_strokesynth.networks.vnet import VNet

__all__ = [
    "AsymmetricResidualUNet",
    "ChannelPSPNet",
    "ChannelSegmenter",
    "ContextEncoder",
    "CrossAttentionUNet",
    "FCN",
    "FEATURE",
    "MonteCarloSegmenter",
    "MultiScaleDiscriminator",
    "PSEUDO_DWI",
    "PSPNet",
    "R2UNet",
    "ResUNet",
    "SLNet",
    "SLNetNoSE",
    "SLNetNoSN",
    "SqueezeExcite",
    "StrokeSynthNet",
    "SupervisedSegmenter",
    "SwitchableNorm2d",
    "SwitchableNorm3d",
    "UNet",
    "UNet3d",
    "VNet",
    "from_one_map",
    "merge_boundary",
    "load_backbone",
    "planned_networks",
    "PlannedImageNet",
    "planned_unet",
    "wang2020_networks",
    "xavier_init",
]
