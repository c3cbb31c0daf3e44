"""Recipes that compete with ``StrokeSynthTrainer``: one part exchanged at a time.

nnU-Net finds these trainers through ``nnUNet_extTrainer``, which the arena sets.
"""

from torch import nn

from nnunetv2_strokesynth.dataloading.dwi_scaling import PAPER
from nnunetv2_strokesynth.networks.strokesynth_net import PSEUDO_DWI
from nnunetv2_strokesynth.trainers.limited_rotation import LimitedRotation
from nnunetv2_strokesynth.trainers.own_normalization import FixedIntensities
from nnunetv2_strokesynth.trainers.planned_synthesis import PlannedSynthesisTrainer
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer


class ArenaTrainer_PseudoDWIAlone(StrokeSynthTrainer):
    """The segmenter sees the pseudo-DWI alone."""

    segmenter_inputs = (PSEUDO_DWI,)


class ArenaTrainer_PaperScale(StrokeSynthTrainer):
    """The target scaled by the volume's 99th percentile, as in the paper."""

    dwi_scale = PAPER


class ArenaTrainer_BatchNorm(StrokeSynthTrainer):
    """Batch norm in all networks."""

    segmenter_norm = nn.BatchNorm2d
    synthesis_norm = nn.BatchNorm2d


class ArenaTrainer_SynthesisBatchNorm(StrokeSynthTrainer):
    """Batch norm in extractor and generator only."""

    synthesis_norm = nn.BatchNorm2d


class ArenaTrainer_LimitedRotation(LimitedRotation, StrokeSynthTrainer):
    """Limited rotation."""


class ArenaTrainer_FixedIntensities(FixedIntensities, PlannedSynthesisTrainer):
    """HU and seconds normalised alike in all scans."""


class ArenaTrainer_WarmUp(StrokeSynthTrainer):
    """The synthesis alone for a third of the epochs, then a tenth of the gradient of L_s."""

    synthesis_warmup = 1 / 3
    segmentation_gradient = 0.1


class ArenaTrainer_SpreadContext(StrokeSynthTrainer):
    """A context encoder whose vectors are kept apart."""

    context_encoder = "spread"
