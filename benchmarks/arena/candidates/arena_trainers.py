"""What was tried on the way to ``StrokeSynthTrainer``'s recipe: one change each, for the arena.

nnU-Net finds these by ``nnUNet_extTrainer``, which the arena sets.
"""

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunetv2_strokesynth.networks import PSEUDO_DWI, SwitchableNorm2d, planned_unet
from nnunetv2_strokesynth.networks.strokesynth_net import ChannelSegmenter
from nnunetv2_strokesynth.trainers.decision import DecisionBias
from nnunetv2_strokesynth.trainers.strokesynth import (
    StrokeSynthTrainer,
    StrokeSynthTrainer_NoDWI,
    StrokeSynthTrainer_Stock,
)
from nnunetv2_strokesynth.trainers.upright import UprightHeads


class ArenaTrainer_StockUpright(UprightHeads, StrokeSynthTrainer_Stock):
    """Stock nnU-Net with our augmentation."""


class ArenaTrainer_StockBoth(UprightHeads, DecisionBias, StrokeSynthTrainer_Stock):
    """Stock nnU-Net with our augmentation and our decision."""


class ArenaTrainer_StockDecision(DecisionBias, StrokeSynthTrainer_Stock):
    """Stock nnU-Net with our decision."""


class ArenaTrainer_AtOneHalf(StrokeSynthTrainer):
    """The decision stays at a probability of one half."""

    moves_decision = False


class ArenaTrainer_Chain(StrokeSynthTrainer):
    """The segmenter sees the pseudo-DWI alone, as in Wang et al. 2020."""

    segmenter_inputs = (PSEUDO_DWI,)


class ArenaTrainer_Turned(StrokeSynthTrainer):
    """nnU-Net's augmentation: any turn, both axes mirrored."""

    upright_deg = None


class ArenaTrainer_ChainTurned(ArenaTrainer_Chain):
    """Both: the recipe that ``StrokeSynthTrainer`` began with."""

    upright_deg = None


class ArenaTrainer_Single(StrokeSynthTrainer_NoDWI):
    """The segmenter on all channels, with our loss and augmentation: no synthesis at all."""

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """One planned U-Net with the segmenter's norm and squeeze-and-excitation."""
        cls._check_inputs(configuration_manager, num_input_channels)
        segmenter = planned_unet(
            configuration_manager.configuration["architecture"],
            num_input_channels,
            num_output_channels,
            norm_op=SwitchableNorm2d,
            squeeze_excite=True,
        )
        channels = range(num_input_channels)
        return ChannelSegmenter(segmenter, channels, return_heads=enable_deep_supervision)
