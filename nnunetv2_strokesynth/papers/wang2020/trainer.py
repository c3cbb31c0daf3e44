"""``StrokeSynthTrainer_Wang2020``: the networks and the recipe of Wang et al. 2020 inside nnU-Net.

Every ablation of Tables 1 to 5 is a subclass in ``table_trainers.py`` that changes some of the
attributes below. Folds, loading, AMP, checkpoints, sliding window and export stay nnU-Net's. The
paper does not mention gradient clipping; alpha and beta are what it says only where no network's
gradient shortens another's, so each network is clipped by itself.
"""

from __future__ import annotations

from torch import nn

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.networks.strokesynth_net import EXTRACTOR_WIDTH, PSEUDO_DWI
from nnunetv2_strokesynth.papers.shared.staged_synthesis import StagedSynthesisTrainer
from nnunetv2_strokesynth.papers.shared.stages import JOINT, Stage
from nnunetv2_strokesynth.papers.shared.synthesis_networks import FEATURE
from nnunetv2_strokesynth.papers.shared.unet import SLNet
from nnunetv2_strokesynth.papers.wang2020.discriminator import MultiScaleDiscriminator
from nnunetv2_strokesynth.papers.wang2020.loss import Wang2020Loss


class StrokeSynthTrainer_Wang2020(StagedSynthesisTrainer):
    """Wang et al. 2020 to the letter (Table 5, DWI^{o,l,h}; Table 6).

    U-Nets of 64-1024 features (extractor: half) and SLNet, Xavier initialisation, RMSprop with
    learning rate 0.002, times 0.2 after 180 of 300 epochs, batches of 5 slices, an epoch as long as
    one pass over the training slices. ``checkpoint_final.pth`` holds the checkpoint that was best
    on the validation scans. The DWI is scaled as in the paper and not clipped, the CTP frames are
    normalised as the one volume that the paper calls them; all other normalisation is nnU-Net's,
    since the paper does not mention it. There is no augmentation: the paper names it among what
    could still be done (section 5). So predictions are not averaged over mirrored images either.
    ``docs/reference/fidelity.md`` lists departures.

    Attributes:
        pixel_term: key of ``PIXEL_TERMS``; None: the synthesis has no pixel loss.
        context_term: key of ``CONTEXT_TERMS``; None: there is no context encoder.
        adversarial: whether a discriminator judges the pseudo-DWI.
        frozen_context: whether the context encoder keeps its random weights.
        extractor_width: the extractor's features, as a share of the generator's.
        augmented: whether nnU-Net's augmentation is used.
    """

    preset = "wang2020"
    base_features = 64
    paper_batch_size = 5
    learning_rate = 0.002
    default_epochs = 300
    lr_drops = (0.6,)  # 180 of 300
    one_pass_epochs = True
    stages: tuple[Stage, ...] = (JOINT,)
    generator_inputs = (*PERFUSION_MAPS, "MIP", FEATURE)
    segmenter_inputs = (PSEUDO_DWI,)
    segmenter = SLNet
    segmentation_terms = ("L_wce", "L_hgd")  # Eq. 11
    alpha = 1.0  # Eq. 15
    beta = 1.0
    gamma = 1.2  # Eq. 6
    pixel_term: str | None = "w-L2"  # Eq. 7
    context_term: str | None = "l_h1"  # Eq. 8
    context_length = 16
    foreground_weight = 1.5  # Eq. 9
    decay_px = 50.0
    adversarial = False
    frozen_context = False
    extractor_width = EXTRACTOR_WIDTH
    augmented = False

    @classmethod
    def _networks(cls, num_output_channels: int, **options) -> nn.Module:
        network = super()._networks(
            num_output_channels,
            extractor_width=cls.extractor_width,
            with_context_encoder=cls.context_term is not None,
            discriminator=MultiScaleDiscriminator if cls.adversarial else None,
            **options,
        )
        if cls.frozen_context:
            network.context_encoder.requires_grad_(False)
        return network

    def _joint_loss(self, segmentation: SegmentationLoss) -> nn.Module:
        # The stages set alpha and beta.
        network = self.unwrapped_network
        return Wang2020Loss(
            network.context_encoder,
            gamma=self.gamma,
            segmentation=segmentation,
            pixel=self.pixel_term,
            context=self.context_term or "l_h1",
            discriminator=network.discriminator,
        )

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self):
        """Without augmentation: no rotation, and no mirroring in training or prediction."""
        rotation, dummy_2d, initial_patch_size, mirror_axes = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        if self.augmented:
            return rotation, dummy_2d, initial_patch_size, mirror_axes
        self.inference_allowed_mirroring_axes = None
        return rotation, dummy_2d, self.configuration_manager.patch_size, None

    @classmethod
    def get_training_transforms(cls, *args, **kwargs):
        """The list of targets alone, as in validation; nnU-Net's augmentation if ``augmented``."""
        if cls.augmented:
            return super().get_training_transforms(*args, **kwargs)
        kwargs.pop("use_mask_for_norm", None)
        return cls.get_validation_transforms(None, **kwargs)

    def _learns(self, name: str, stage: Stage) -> bool:
        frozen = name == "context_encoder" and self.frozen_context
        return super()._learns(name, stage) and not frozen

    def _enter(self, stage: Stage) -> None:
        """Enters the stage, and leaves out of the loss what the stage does not train."""
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
