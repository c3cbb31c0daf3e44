"""``StagedSynthesisTrainer``: what Wang et al. 2020 and their forerunner of 2018 share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunetv2_strokesynth.dataloading.dwi_scaling import PAPER
from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.papers.shared.drop_schedule import DropSchedule
from nnunetv2_strokesynth.papers.shared.segmentation_terms import segmentation_loss
from nnunetv2_strokesynth.papers.shared.staged_trainer import StagedTrainer
from nnunetv2_strokesynth.papers.shared.synthesis_networks import synthesis_networks
from nnunetv2_strokesynth.trainers.environment import BASE_FEATURES
from nnunetv2_strokesynth.trainers.own_normalization import FramesAsOneVolume
from nnunetv2_strokesynth.trainers.synthesis_trainer import SynthesisTrainer


class StagedSynthesisTrainer(FramesAsOneVolume, StagedTrainer, SynthesisTrainer):
    """U-Nets with Xavier initialisation that synthesise a DWI and segment it, by RMSprop.

    Wang et al. 2020 and Song & Huang 2018 differ in what the subclasses set and in their losses.
    Both read the CTP frames as one volume, so a scan's frames and MIPs share one normalisation.

    Attributes:
        generator_inputs: names of channels, and ``FEATURE`` for the extractor's output.
        segmenter_inputs: names of channels, and ``PSEUDO_DWI`` for the generator's output.
        segmenter: called with input channels, output channels and base features.
        segmentation_terms: of L_s, keys of ``PAPER_TERMS``.
        context_length: numbers that a context encoder returns.
        lr_drops: shares of a stage's epochs after which the learning rate drops.
        lr_warm_up: share of a stage's epochs in which the learning rate grows.
    """

    dwi_scale = PAPER
    segmentation_gradient = 1.0
    synthesis_warmup = 0.0
    synthesis_rate = 1.0
    side_multiple = 32  # FCN and context encoder halve the image five times
    generator_inputs: tuple[str, ...]
    segmenter_inputs: tuple[str, ...]
    segmenter: Callable[[int, int, int], nn.Module]
    segmentation_terms: tuple[str, ...]
    context_length: int
    lr_drops: tuple[float, ...]
    lr_warm_up = 0.0

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The paper's networks, as wide as ``strokesynth_base_features`` in the plans says."""
        cls._check_inputs(configuration_manager, num_input_channels)
        return cls._networks(
            num_output_channels,
            base_features=configuration_manager.configuration[BASE_FEATURES],
            return_heads=enable_deep_supervision,
        )

    @classmethod
    def _networks(cls, num_output_channels: int, **options) -> nn.Module:
        """The networks with random weights; a paper adds ``options`` of ``synthesis_networks``."""
        return synthesis_networks(
            num_output_channels,
            preset=cls.preset,
            generator_inputs=cls.generator_inputs,
            segmenter_inputs=cls.segmenter_inputs,
            segmenter=cls.segmenter,
            context_length=cls.context_length,
            **options,
        )

    def _segmentation_loss(self) -> SegmentationLoss:
        return segmentation_loss(self.segmentation_terms)

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, DropSchedule]:
        """RMSprop; the learning rate drops in steps."""
        optimizer = torch.optim.RMSprop(self.network.parameters(), lr=self.initial_lr)
        schedule = DropSchedule(
            optimizer,
            self.initial_lr,
            self.epochs_per_stage,
            drops=self.lr_drops,
            warm_up=self.lr_warm_up,
        )
        return optimizer, schedule
