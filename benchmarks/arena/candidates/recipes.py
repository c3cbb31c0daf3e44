"""Recipes that compete with ``StrokeSynthTrainer``: one part exchanged at a time.

nnU-Net finds these trainers through ``nnUNet_extTrainer``, which the arena sets.
"""

from functools import partial

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from benchmarks.arena.candidates.synthesis import (
    ForgetfulNet,
    LesionAwareGenerator,
    LesionAwareLoss,
    SgdAndAdam,
    VotingNet,
    l2_of_lesion_and_rest,
    l2_with_lesion_weight,
)
from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.dwi_scaling import PAPER
from nnunetv2_strokesynth.networks.strokesynth_net import PAPERS_GENERATOR_INPUTS, PSEUDO_DWI
from nnunetv2_strokesynth.trainers.limited_rotation import LimitedRotation
from nnunetv2_strokesynth.trainers.own_normalization import FixedIntensities
from nnunetv2_strokesynth.trainers.planned_synthesis import PlannedSynthesisTrainer
from nnunetv2_strokesynth.trainers.soft_labels import SoftLabels
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer, StrokeSynthTrainer_NoDWI


class ArenaTrainer_Before(StrokeSynthTrainer):
    """The recipe that the others here depart from: the default until one of them was chosen.

    The plans' norm, the paper's inputs of the generator and its weight of the lesion. What was
    chosen is ``ArenaTrainer_SynthesisChannelsLesionFactor``.
    """

    synthesis_norm = None
    generator_inputs = PAPERS_GENERATOR_INPUTS
    lesion_factor = 1.0


class ArenaTrainer_PseudoDWIAlone(ArenaTrainer_Before):
    """The segmenter sees the pseudo-DWI alone."""

    segmenter_inputs = (PSEUDO_DWI,)


class ArenaTrainer_PaperScale(ArenaTrainer_Before):
    """The target scaled by the volume's 99th percentile, as in the paper."""

    dwi_scale = PAPER


class ArenaTrainer_BatchNorm(ArenaTrainer_Before):
    """Batch norm in all networks."""

    segmenter_norm = nn.BatchNorm2d
    synthesis_norm = nn.BatchNorm2d


class ArenaTrainer_SynthesisBatchNorm(ArenaTrainer_Before):
    """Batch norm in extractor and generator only."""

    synthesis_norm = nn.BatchNorm2d


class ArenaTrainer_LimitedRotation(LimitedRotation, ArenaTrainer_Before):
    """Limited rotation."""


class ArenaTrainer_FixedIntensities(FixedIntensities, PlannedSynthesisTrainer):
    """HU and seconds normalised alike in all scans."""


class ArenaTrainer_WarmUp(ArenaTrainer_Before):
    """The synthesis alone for a third of the epochs, then a tenth of the gradient of L_s."""

    synthesis_warmup = 1 / 3
    segmentation_gradient = 0.1


class ArenaTrainer_SpreadContext(ArenaTrainer_Before):
    """A context encoder whose vectors are kept apart."""

    context_encoder = "spread"


class ArenaTrainer_SynthesisAllChannels(ArenaTrainer_Before):
    """The generator sees all channels, the CT and the frames included, beside F_h."""

    generator_inputs = PRESETS["wang2020"].names


class ArenaTrainer_SynthesisAllChannelsBatchNorm(ArenaTrainer_SynthesisAllChannels):
    """All channels to the generator; batch norm keeps their level over the slice."""

    synthesis_norm = nn.BatchNorm2d


class ArenaTrainer_SynthesisLesionHead(ArenaTrainer_SynthesisAllChannelsBatchNorm):
    """The same; a head for the lesion reads the generator's last features, in training only."""

    lesion_head_weight = 0.1

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The networks, with the head."""
        network = super().build_network_architecture(
            plans_manager,
            configuration_manager,
            num_input_channels,
            num_output_channels,
            enable_deep_supervision,
        )
        network.generator = LesionAwareGenerator(network.generator, num_output_channels)
        return network

    def _build_loss(self) -> nn.Module:
        generator = self.unwrapped_network.generator
        return LesionAwareLoss(super()._build_loss(), generator, self.lesion_head_weight)


class _SynthesisByAdam(ArenaTrainer_Before):
    """AdamW for all networks but the segmenter."""

    synthesis_lr = 2e-3

    def configure_optimizers(self):
        """SGD for the segmenter, AdamW for the others, one schedule."""
        optimizer, schedule = super().configure_optimizers()
        both = SgdAndAdam(optimizer, self.synthesis_lr, self.initial_lr)
        schedule.optimizer = schedule.schedule.optimizer = both
        return both, schedule


class ArenaTrainer_SynthesisAdam(_SynthesisByAdam, ArenaTrainer_SynthesisAllChannelsBatchNorm):
    """All channels, batch norm and AdamW in the synthesis."""


class ArenaTrainer_SynthesisAll(_SynthesisByAdam, ArenaTrainer_SynthesisLesionHead):
    """All channels, batch norm, AdamW and the lesion's head in the synthesis."""


class ArenaTrainer_SynthesisLesionWeight(ArenaTrainer_SynthesisAllChannelsBatchNorm):
    """All channels, batch norm; four times the weight of other tissue in the lesion."""

    foreground_weight = 4.0


class ArenaTrainer_SynthesisLesionShare(ArenaTrainer_SynthesisAllChannelsBatchNorm):
    """All channels, batch norm; the lesion has half of the loss, however small it is."""

    def _build_loss(self) -> nn.Module:
        loss = super()._build_loss()
        loss._pixel = l2_of_lesion_and_rest
        return loss


class _LesionWeight(ArenaTrainer_Before):
    """A weight of the lesion in L_g alone; L_s keeps the paper's."""

    lesion_weight = 4.0

    def _joint_loss(self, segmentation):
        loss = super()._joint_loss(segmentation)
        loss._pixel = partial(l2_with_lesion_weight, lesion=self.lesion_weight)
        return loss


class ArenaTrainer_LesionInL2(_LesionWeight, ArenaTrainer_SynthesisAllChannelsBatchNorm):
    """All channels, batch norm; lesion times 4 in L_g alone."""


class ArenaTrainer_LesionInL2By8(ArenaTrainer_LesionInL2):
    """All channels, batch norm; lesion times 8 in L_g alone."""

    lesion_weight = 8.0


class ArenaTrainer_LesionInL2Adam(_SynthesisByAdam, ArenaTrainer_LesionInL2):
    """All channels, batch norm, AdamW; lesion times 4 in L_g alone."""


class ArenaTrainer_LesionInL2Head(_LesionWeight, ArenaTrainer_SynthesisLesionHead):
    """All channels, batch norm, a head for the lesion; lesion times 4 in L_g alone."""


class ArenaTrainer_LesionInL2Vote(ArenaTrainer_LesionInL2Head):
    """The same; the head has a vote in prediction."""

    lesion_head_weight = 0.3

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The networks, with both votes."""
        network = super().build_network_architecture(
            plans_manager,
            configuration_manager,
            num_input_channels,
            num_output_channels,
            enable_deep_supervision,
        )
        network.__class__ = VotingNet
        return network


class ArenaTrainer_LesionInL2Forgetful(ArenaTrainer_LesionInL2):
    """All channels, batch norm, lesion times 4 in L_g; half of the samples without pseudo-DWI."""

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The networks, with a segmenter that sometimes does without the image."""
        network = super().build_network_architecture(
            plans_manager,
            configuration_manager,
            num_input_channels,
            num_output_channels,
            enable_deep_supervision,
        )
        network.__class__ = ForgetfulNet
        return network


class ArenaTrainer_LesionInL2All(_SynthesisByAdam, ArenaTrainer_LesionInL2Head):
    """All channels, batch norm, AdamW, a head for the lesion; lesion times 4 in L_g alone."""


class ArenaTrainer_LesionInL2AdamForgetful(_SynthesisByAdam, ArenaTrainer_LesionInL2Forgetful):
    """All channels, batch norm, AdamW, lesion times 4; half of the samples without pseudo-DWI."""


class ArenaTrainer_SoftLabels(SoftLabels, StrokeSynthTrainer):
    """Machine outlines are learned as probabilities."""


class ArenaTrainer_NoDWISoftLabels(SoftLabels, StrokeSynthTrainer_NoDWI):
    """The same without the DWI."""


class ArenaTrainer_SynthesisBatchNormLesionFactor(ArenaTrainer_SynthesisBatchNorm):
    """Batch norm in the synthesis; four times the weight of Eq. 9 in the lesion, in L_g only."""

    lesion_factor = 4.0


class ArenaTrainer_SynthesisChannelsLesionFactor(ArenaTrainer_SynthesisAllChannelsBatchNorm):
    """The same, all channels to the generator."""

    lesion_factor = 4.0
