"""``StrokeSynthTrainer_Wang2020``: the paper's networks and the paper's recipe inside nnU-Net.

Every ablation of Tables 1 to 5 is a subclass in ``wang2020_tables.py`` that changes some of the
attributes below. What nnU-Net keeps doing: folds, loading, augmentation, AMP, gradient clipping,
checkpoints, sliding window, mirroring, export.
"""

from __future__ import annotations

import torch
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.networks.strokesynth_net import (
    FEATURE,
    PSEUDO_DWI,
    wang2020_networks,
)
from nnunetv2_strokesynth.papers.shared.segmentation_terms import segmentation_loss
from nnunetv2_strokesynth.papers.shared.stages import (
    JOINT,
    DropSchedule,
    Stage,
)
from nnunetv2_strokesynth.papers.shared.unet import SLNet
from nnunetv2_strokesynth.papers.wang2020.loss import Wang2020Loss
from nnunetv2_strokesynth.trainers.environment import BASE_FEATURES
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer


class StrokeSynthTrainer_Wang2020(StrokeSynthTrainer):
    """Wang et al. 2020 to the letter (Table 5, DWI^{o,l,h}; Table 6).

    U-Nets of 64-1024 features (extractor: half) and SLNet, Xavier initialisation, RMSprop with
    learning rate 0.002, times 0.2 after 180 of 300 epochs, batches of 5 slices, an epoch as long as
    one pass over the training slices, and the checkpoint that was best on the validation scans: it
    is what ``checkpoint_final.pth`` holds after training. ``docs/fidelity.md`` lists departures.
    """

    base_features = 64
    paper_batch_size = 5
    side_multiple = 32  # FCN and context encoder halve the image five times
    learning_rate = 0.002
    one_pass_epochs = True
    physical_units = False  # nnU-Net's normalisation: the paper is silent
    upright_deg = None  # nnU-Net's augmentation: the paper is silent
    moves_decision = False
    generator_inputs = (*PERFUSION_MAPS, "MIP", FEATURE)
    segmenter_inputs = (PSEUDO_DWI,)
    frames: tuple[str, ...] | None = None  # of the extractor; None: all of the preset
    segmenter = SLNet
    normalise_inputs = False
    alpha = 1.0  # Eq. 15
    beta = 1.0
    segmentation_terms = ("L_wce", "L_hgd")  # Eq. 11
    pixel_term = "w-L2"  # Eq. 7
    context_term = "l_h1"  # Eq. 8; None: no context encoder
    context_length = 16
    two_encoders = False  # Song & Huang 2018: one for the pseudo-DWI, one for the DWI
    adversarial = False
    frozen_context = False
    stages: tuple[Stage, ...] = (JOINT,)
    default_epochs = 300  # of each stage
    lr_drops = (0.6,)  # shares of a stage's epochs: 180 of 300
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
        network = wang2020_networks(
            num_output_channels,
            preset=cls.preset,
            generator_inputs=cls.generator_inputs,
            segmenter_inputs=cls.segmenter_inputs,
            frames=cls.frames,
            segmenter=cls.segmenter,
            normalise_inputs=cls.normalise_inputs,
            base_features=configuration_manager.configuration[BASE_FEATURES],
            with_context_encoder=cls.context_term is not None,
            with_discriminator=cls.adversarial,
            with_real_context_encoder=cls.two_encoders,
            context_length=cls.context_length,
            return_heads=enable_deep_supervision,
        )
        if cls.frozen_context:
            network.context_encoder.requires_grad_(False)
        return network

    def _build_loss(self) -> nn.Module:
        segmentation = segmentation_loss(self.segmentation_terms)
        if not self.uses_dwi:
            return segmentation
        return self._joint_loss(self.unwrapped_network, segmentation)

    def _joint_loss(self, network: nn.Module, segmentation: SegmentationLoss) -> nn.Module:
        return Wang2020Loss(
            network.context_encoder,
            gamma=self.gamma,
            segmentation=segmentation,
            pixel=self.pixel_term,
            context=self.context_term or "l_h1",
            discriminator=network.discriminator,
        )

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, DropSchedule]:
        """RMSprop and the schedule of section 4.1."""
        optimizer = torch.optim.RMSprop(self.network.parameters(), lr=self.initial_lr)
        schedule = DropSchedule(
            optimizer,
            self.initial_lr,
            self.epochs_per_stage,
            drops=self.lr_drops,
            warm_up=self.lr_warm_up,
        )
        return optimizer, schedule

    def _learns(self, name: str, stage: Stage) -> bool:
        frozen = name == "context_encoder" and self.frozen_context
        return super()._learns(name, stage) and not frozen

    def _enter(self, stage: Stage) -> None:
        """As every trainer; leaves out of the loss what the stage does not train."""
        super()._enter(stage)
        if isinstance(self.loss, Wang2020Loss):
            self.loss.segmentation_weight = float(stage.segmentation)
            self.loss.alpha = self.alpha if stage.synthesis else 0.0
            self.loss.beta = self.beta if stage.feature else 0.0

    def validation_scores(self, stage: Stage) -> list[float]:
        """Online Dice, or minus the loss where a stage trains no segmentation."""
        if stage.segmentation:
            return super().validation_scores(stage)
        return [-loss for loss in self.logger.local_logger.my_fantastic_logging["val_losses"]]
