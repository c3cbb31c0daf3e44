"""What was tried on the way to ``StrokeSynthTrainer``'s recipe: one change each, for the arena.

nnU-Net finds these by ``nnUNet_extTrainer``, which the arena sets.
"""

from nnunetv2_strokesynth.networks import PSEUDO_DWI, SwitchableNorm2d
from nnunetv2_strokesynth.trainers.decision import DecisionBias
from nnunetv2_strokesynth.trainers.physical import PhysicalUnits
from nnunetv2_strokesynth.trainers.strokesynth import (
    StrokeSynthTrainer,
    StrokeSynthTrainer_NoDWI,
    StrokeSynthTrainer_Stock,
)
from nnunetv2_strokesynth.trainers.upright import UprightHeads


class ArenaTrainer_StockUpright(UprightHeads, StrokeSynthTrainer_Stock):
    """Stock nnU-Net with our augmentation."""


class ArenaTrainer_StockDecision(DecisionBias, StrokeSynthTrainer_Stock):
    """Stock nnU-Net with our decision."""


class ArenaTrainer_StockPhysical(PhysicalUnits, StrokeSynthTrainer_Stock):
    """Stock nnU-Net with our normalisation."""


class ArenaTrainer_StockAll(UprightHeads, DecisionBias, PhysicalUnits, StrokeSynthTrainer_Stock):
    """Stock nnU-Net with all three."""


class ArenaTrainer_AtOneHalf(StrokeSynthTrainer):
    """The decision stays at a probability of one half."""

    moves_decision = False


class ArenaTrainer_Chain(StrokeSynthTrainer):
    """The segmenter sees the pseudo-DWI alone, trained end to end, as in Wang et al. 2020."""

    segmenter_inputs = (PSEUDO_DWI,)
    end_to_end = True


class ArenaTrainer_EndToEnd(StrokeSynthTrainer):
    """The segmentation's gradient reaches generator and extractor."""

    end_to_end = True


class ArenaTrainer_FullWidth(StrokeSynthTrainer):
    """Generator as wide as the plans say, extractor half as wide."""

    synthesis_width = 1.0


class ArenaTrainer_OneSide(StrokeSynthTrainer):
    """No mirror images."""

    contralateral = False


class ArenaTrainer_SwitchableNorm(StrokeSynthTrainer):
    """The segmenter with switchable norm."""

    segmenter_norm = SwitchableNorm2d


class ArenaTrainer_Turned(StrokeSynthTrainer):
    """nnU-Net's augmentation: any turn, both axes mirrored."""

    upright_deg = None


class ArenaTrainer_ZScored(StrokeSynthTrainer):
    """nnU-Net's normalisation."""

    physical_units = False


class ArenaTrainer_Before(StrokeSynthTrainer):
    """What the second form of our recipe was: all channels, upright, decision, and no more."""

    physical_units = False
    contralateral = False
    end_to_end = True
    synthesis_width = 1.0
    segmenter_norm = SwitchableNorm2d


class ArenaTrainer_NoDWIOneSide(StrokeSynthTrainer_NoDWI):
    """One network, no mirror images."""

    contralateral = False


class ArenaTrainer_NoDWISwitchableNorm(StrokeSynthTrainer_NoDWI):
    """One network with switchable norm."""

    segmenter_norm = SwitchableNorm2d
