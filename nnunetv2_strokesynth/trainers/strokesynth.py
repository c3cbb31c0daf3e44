"""``StrokeSynthTrainer`` and its relatives: the trainers that this package offers for own data."""

from __future__ import annotations

from functools import partial

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.transforms import PackTargets, blurred_lesion
from nnunetv2_strokesynth.networks.strokesynth_net import PSEUDO_DWI, planned_networks
from nnunetv2_strokesynth.trainers.fixed_intensities import FixedIntensities
from nnunetv2_strokesynth.trainers.limited_rotation import LimitedRotation
from nnunetv2_strokesynth.trainers.synthesis_trainer import SynthesisTrainer
from nnunetv2_strokesynth.trainers.threshold_calibration import ThresholdCalibration


class StrokeSynthTrainer(LimitedRotation, ThresholdCalibration, FixedIntensities, SynthesisTrainer):
    """Wang et al. 2020 with topology and recipe from nnU-Net's plans, and with what we measured.

    Extractor, generator and segmenter take features, strides and kernel sizes from the plans. The
    segmenter has squeeze-and-excitation. The loss is the paper's (Eq. 15).

    ``docs/explanation/results.md`` has the measurements behind each difference from the paper: the
    segmenter sees all channels beside the pseudo-DWI; the gradient of L_s does not reach generator
    and extractor, which learn the DWI alone; the generator is half as wide as the plans say, the
    extractor a quarter; batch norm replaces switchable norm; intensity normalisation is fixed,
    rotation limited, and the threshold calibrated (the three mixins).
    """

    preset = "wang2020"
    segmenter_inputs: tuple[str, ...] = (*PRESETS["wang2020"].names, PSEUDO_DWI)
    # Instance norm, the plans', removes how bright or how late a slice is as a whole.
    segmenter_norm: type[nn.Module] | None = nn.BatchNorm2d
    synthesis_norm: type[nn.Module] | None = nn.BatchNorm2d
    synthesis_width = 0.5
    end_to_end = False
    # The paper's weights are 1. The segmenter gets no gradient of these losses, so here the weights
    # set the learning rate of generator and extractor. At nnU-Net's rate, made for cross entropy
    # and Dice, the pseudo-DWI shows no anatomy.
    alpha = 30.0
    beta = 30.0
    gamma = 1.2
    foreground_weight = 1.5
    decay_px = 50.0

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The three networks and the context encoder.

        Args:
            enable_deep_supervision: True in training: the network then returns the tuple of heads.

        Raises:
            ValueError: the configuration is 3-D, or the number of channels is not the preset's.
        """
        cls._check_inputs(configuration_manager, num_input_channels)
        return planned_networks(
            configuration_manager.configuration["architecture"],
            cls.preset,
            num_output_channels,
            segmenter_inputs=cls.segmenter_inputs,
            synthesis_width=cls.synthesis_width,
            synthesis_norm=cls.synthesis_norm,
            segmenter_norm=cls.segmenter_norm,
            end_to_end=cls.end_to_end,
            with_context_encoder=cls.uses_dwi,
            return_heads=enable_deep_supervision,
        )

    def _last_layer(self) -> nn.Module:
        return self.unwrapped_network.segmenter.decoder.seg_layers[-1]


class StrokeSynthTrainer_NoDWI(StrokeSynthTrainer):
    """The segmenter alone, trained by L_s: for data without a DWI.

    Without a DWI, extractor and generator are further layers that learn from the same few lesions:
    on the phantom they cost time and gained nothing.
    """

    uses_dwi = False
    segmenter_inputs = PRESETS["wang2020"].names


class StrokeSynthTrainer_FineTune(StrokeSynthTrainer):
    """The three networks with L_s alone and a tenth of nnU-Net's rate: ``-pretrained_weights``.

    The weights come from ``StrokeSynthTrainer`` on a data set that has DWIs. nnU-Net's own rate,
    0.01, is meant for random weights and would undo much of them. Here the gradient of L_s does
    reach generator and extractor, since nothing else trains them.
    """

    uses_dwi = False
    end_to_end = True
    learning_rate = 0.001


class StrokeSynthTrainer_Surrogate(StrokeSynthTrainer):
    """The three networks; the generator learns a blurred lesion, since the data have no DWI.

    Extractor and generator thus get a gradient (L_g without the contextual term). What
    ``strokesynth synthesize`` writes is then a map of the lesion and no image of the brain.

    Attributes:
        surrogate_sigma_px: of the Gaussian that blurs the lesion, in pixels of the patch.
    """

    uses_dwi = False
    surrogate_sigma_px = 2.0

    def _build_loss(self) -> nn.Module:
        return self._joint_loss(self._segmentation_loss())

    @classmethod
    def _pack_targets(cls) -> PackTargets:
        surrogate = partial(blurred_lesion, sigma_px=cls.surrogate_sigma_px)
        return PackTargets(cls._weight_map(), surrogate)
