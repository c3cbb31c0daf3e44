"""Recipes that compete with ``StrokeSynthTrainer``: one part exchanged at a time.

nnU-Net finds these trainers through ``nnUNet_extTrainer``, which the arena sets.
"""

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from benchmarks.arena.candidates.synthesis import (
    ForgetfulNet,
    GaussianGenerator,
    GaussianLoss,
    LesionAwareGenerator,
    LesionAwareLoss,
    SgdAndAdam,
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


class ArenaTrainer_SynthesisAllChannels(ArenaTrainer_Before):
    """The generator sees all channels, the CT and the frames included, beside F_h."""

    generator_inputs = PRESETS["wang2020"].names


class ArenaTrainer_SynthesisAllChannelsBatchNorm(ArenaTrainer_SynthesisAllChannels):
    """All channels to the generator; batch norm keeps their level over the slice."""

    synthesis_norm = nn.BatchNorm2d


class _ChangedNetwork(ArenaTrainer_Before):
    """A network in which something is exchanged once it is built."""

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The networks, changed."""
        network = super().build_network_architecture(
            plans_manager,
            configuration_manager,
            num_input_channels,
            num_output_channels,
            enable_deep_supervision,
        )
        cls._change(network, num_output_channels)
        return network

    @classmethod
    def _change(cls, network: nn.Module, num_output_channels: int) -> None:
        """Hook: what is exchanged, in place."""
        raise NotImplementedError


class ArenaTrainer_SynthesisLesionHead(_ChangedNetwork, ArenaTrainer_SynthesisAllChannelsBatchNorm):
    """The same; a head for the lesion reads the generator's last features, in training only."""

    lesion_head_weight = 0.1

    @classmethod
    def _change(cls, network: nn.Module, num_output_channels: int) -> None:
        network.generator = LesionAwareGenerator(network.generator, num_output_channels)

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


class ArenaTrainer_LesionInL2Forgetful(_ChangedNetwork, ArenaTrainer_SynthesisAllChannelsBatchNorm):
    """All channels, batch norm, w = 4 in L_g alone; half of the samples without pseudo-DWI."""

    lesion_factor = 4.0 / StrokeSynthTrainer.foreground_weight

    @classmethod
    def _change(cls, network: nn.Module, num_output_channels: int) -> None:
        network.__class__ = ForgetfulNet


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


class ArenaTrainer_NoContext(ArenaTrainer_SynthesisChannelsLesionFactor):
    """The default without the contextual term."""

    gamma = 0.0


class ArenaTrainer_SpreadContext(ArenaTrainer_SynthesisChannelsLesionFactor):
    """The default; a context encoder whose vectors are kept apart."""

    context_encoder = "spread"


class ArenaTrainer_WarmUp(ArenaTrainer_SynthesisChannelsLesionFactor):
    """The default; no gradient of L_s in a third of the epochs, then a tenth of it."""

    synthesis_warmup = 1 / 3
    segmentation_gradient = 0.1


class ArenaTrainer_EndToEnd(ArenaTrainer_SynthesisChannelsLesionFactor):
    """The default; the whole gradient of L_s reaches extractor and generator, as in the paper."""

    segmentation_gradient = 1.0


class ArenaTrainer_Gaussian(_ChangedNetwork, ArenaTrainer_SynthesisChannelsLesionFactor):
    """The default; the generator draws mean and variance and learns by their likelihood."""

    alpha = 0.0

    @classmethod
    def _change(cls, network: nn.Module, num_output_channels: int) -> None:
        network.generator = GaussianGenerator(network.generator)

    def _build_loss(self) -> nn.Module:
        return GaussianLoss(super()._build_loss(), self.unwrapped_network.generator)


class ArenaTrainer_LesionFactorAdam(_SynthesisByAdam, ArenaTrainer_SynthesisChannelsLesionFactor):
    """The default; AdamW in the synthesis."""
