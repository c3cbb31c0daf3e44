"""Recipes that compete to become ``StrokeSynthTrainer``: one part exchanged at a time.

nnU-Net finds these trainers through ``nnUNet_extTrainer``, which the arena sets.
"""

from torch import nn

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.dwi_scaling import PAPER
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import NOTHING
from nnunetv2_strokesynth.networks.strokesynth_net import PSEUDO_DWI
from nnunetv2_strokesynth.trainers.limited_rotation import LimitedRotation
from nnunetv2_strokesynth.trainers.own_normalization import FixedIntensities, FramesAsOneVolume
from nnunetv2_strokesynth.trainers.planned_synthesis import PlannedSynthesisTrainer


class ArenaTrainer_Plain(FramesAsOneVolume, PlannedSynthesisTrainer):
    """All channels and the pseudo-DWI, the plans' norm, none of the tuned parts."""


class ArenaTrainer_PlainPseudoDWIAlone(ArenaTrainer_Plain):
    """The segmenter sees the pseudo-DWI alone."""

    segmenter_inputs = (PSEUDO_DWI,)


class ArenaTrainer_PlainNoDWI(ArenaTrainer_Plain):
    """The segmenter alone, without a DWI."""

    uses_dwi = False
    learned_from = NOTHING
    segmenter_inputs = PRESETS["wang2020"].names


class ArenaTrainer_PlainPaperScale(ArenaTrainer_Plain):
    """The target scaled by the volume's 99th percentile, as in the paper."""

    dwi_scale = PAPER


class ArenaTrainer_PlainBatchNorm(ArenaTrainer_Plain):
    """Batch norm in all networks."""

    segmenter_norm = nn.BatchNorm2d
    synthesis_norm = nn.BatchNorm2d


class ArenaTrainer_PlainSynthesisBatchNorm(ArenaTrainer_Plain):
    """Batch norm in extractor and generator only."""

    synthesis_norm = nn.BatchNorm2d


class ArenaTrainer_PlainLimitedRotation(LimitedRotation, ArenaTrainer_Plain):
    """Limited rotation."""


class ArenaTrainer_PlainFixedIntensities(FixedIntensities, PlannedSynthesisTrainer):
    """HU and seconds normalised alike in all scans."""


class ArenaTrainer_PlainWarmUp(ArenaTrainer_Plain):
    """The synthesis alone for a third of the epochs, then a tenth of the gradient of L_s."""

    synthesis_warmup = 1 / 3
    segmentation_gradient = 0.1


class ArenaTrainer_PlainSpreadContext(ArenaTrainer_Plain):
    """A context encoder whose vectors are kept apart."""

    context_encoder = "spread"
