"""``StrokeSynthTrainer`` and its relatives: the trainers that this package offers for own data."""

from __future__ import annotations

from functools import partial

from torch import nn

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.preprocessed_folders import PHYSICAL_SUFFIX
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import BLURRED_LESION, NOTHING
from nnunetv2_strokesynth.dataloading.transforms import PackTargets, blurred_lesion
from nnunetv2_strokesynth.networks.strokesynth_net import PAPERS_GENERATOR_INPUTS
from nnunetv2_strokesynth.trainers.earlier_checkpoint import SYNTHESIS_KEY
from nnunetv2_strokesynth.trainers.limited_rotation import LimitedRotation
from nnunetv2_strokesynth.trainers.own_normalization import FixedIntensities, FramesAsOneVolume
from nnunetv2_strokesynth.trainers.planned_synthesis import NetworkParts, PlannedSynthesisTrainer
from nnunetv2_strokesynth.trainers.scan_weights import ScanWeights
from nnunetv2_strokesynth.trainers.threshold_calibration import ThresholdCalibration
from nnunetv2_strokesynth.trainers.unoutlined_pairs import UnoutlinedPairs


class StrokeSynthTrainer(FramesAsOneVolume, UnoutlinedPairs, PlannedSynthesisTrainer):
    """Wang et al. 2020 with topology, norm and recipe from nnU-Net's plans.

    The segmenter sees all channels beside the pseudo-DWI. CTP frames and MIP of a scan share one
    normalisation. The generator sees all channels, too. It and the extractor have batch norm:
    instance norm takes the level of each slice away, and the pseudo-DWI's brain gets unsteady. The
    lesion counts more in L_g than in the paper. Outlines that a machine has drawn count less
    (``ScanWeights``), and scans without one teach the synthesis (``UnoutlinedPairs``).
    ``docs/explanation/results.md`` says what was tried and left out.
    """

    synthesis_norm: type[nn.Module] | None = nn.BatchNorm2d
    generator_inputs = PRESETS["wang2020"].names
    lesion_factor = 4.0

    @classmethod
    def _parts(cls, configuration: dict) -> NetworkParts:
        if SYNTHESIS_KEY in configuration:
            return super()._parts(configuration)
        # A model of an earlier version, which predicts, or one without a generator.
        tuned = configuration.get("data_identifier", "").endswith(PHYSICAL_SUFFIX)
        norm = nn.BatchNorm2d if tuned else None
        return NetworkParts(norm, norm, PAPERS_GENERATOR_INPUTS)


class StrokeSynthTrainer_Tuned(
    LimitedRotation,
    ThresholdCalibration,
    FixedIntensities,
    ScanWeights,
    PlannedSynthesisTrainer,
):
    """The recipe of earlier versions, which was chosen on the phantom and leads there only.

    Intensity normalisation is fixed, rotation limited, the threshold calibrated (the three mixins),
    and batch norm replaces the plans' norm.
    """

    segmenter_norm: type[nn.Module] | None = nn.BatchNorm2d
    synthesis_norm: type[nn.Module] | None = nn.BatchNorm2d

    def _last_layer(self) -> nn.Module:
        return self.unwrapped_network.segmenter.decoder.seg_layers[-1]


class StrokeSynthTrainer_NoDWI(StrokeSynthTrainer):
    """The segmenter alone, trained by L_s: for data without a DWI.

    Without a DWI, extractor and generator are further layers that learn from the same few lesions:
    on the phantom they cost time and gained nothing.
    """

    uses_dwi = False
    learned_from = NOTHING
    segmenter_inputs = PRESETS["wang2020"].names


class StrokeSynthTrainer_FineTune(StrokeSynthTrainer):
    """The three networks with L_s alone and a tenth of nnU-Net's rate: ``-pretrained_weights``.

    The weights come from ``StrokeSynthTrainer`` on a data set that has DWIs. nnU-Net's own rate,
    0.01, is meant for random weights and would undo much of them. Here the gradient of L_s does
    reach generator and extractor, since nothing else trains them.
    """

    uses_dwi = False
    learned_from = NOTHING  # L_s, which reaches the generator here, bends what it had learned
    segmentation_gradient = 1.0
    learning_rate = 0.001
    synthesis_rate = 1.0


class StrokeSynthTrainer_Surrogate(StrokeSynthTrainer):
    """The three networks; the generator learns a blurred lesion, since the data have no DWI.

    Extractor and generator thus get a gradient (L_g without the contextual term). What
    ``strokesynth synthesize`` writes is then a map of the lesion and no image of the brain.

    Attributes:
        surrogate_sigma_px: of the Gaussian that blurs the lesion, in pixels of the patch.
    """

    uses_dwi = False
    learned_from = BLURRED_LESION
    surrogate_sigma_px = 2.0

    def _build_loss(self) -> nn.Module:
        return self._joint_loss(self._segmentation_loss())

    @classmethod
    def _pack_targets(cls) -> PackTargets:
        surrogate = partial(blurred_lesion, sigma_px=cls.surrogate_sigma_px)
        return PackTargets(cls._weight_map(), surrogate)
