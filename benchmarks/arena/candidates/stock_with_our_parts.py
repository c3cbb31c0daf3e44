"""Stock nnU-Net with each of ``StrokeSynthTrainer``'s optional parts alone, and with all of them.

nnU-Net finds these trainers through ``nnUNet_extTrainer``, which the arena sets.
"""

from nnunetv2_strokesynth.trainers.limited_rotation import LimitedRotation
from nnunetv2_strokesynth.trainers.own_normalization import FixedIntensities, FramesAsOneVolume
from nnunetv2_strokesynth.trainers.stock import StrokeSynthTrainer_Stock
from nnunetv2_strokesynth.trainers.threshold_calibration import ThresholdCalibration


class ArenaTrainer_StockLimitedRotation(LimitedRotation, StrokeSynthTrainer_Stock):
    """Stock nnU-Net with limited rotation."""


class ArenaTrainer_StockThresholdCalibration(ThresholdCalibration, StrokeSynthTrainer_Stock):
    """Stock nnU-Net with threshold calibration."""


class ArenaTrainer_StockFixedIntensities(FixedIntensities, StrokeSynthTrainer_Stock):
    """Stock nnU-Net with fixed intensity normalisation."""

    preset = "wang2020"


class ArenaTrainer_StockAllParts(
    LimitedRotation, ThresholdCalibration, FixedIntensities, StrokeSynthTrainer_Stock
):
    """Stock nnU-Net with all three parts."""

    preset = "wang2020"


class ArenaTrainer_StockFramesAsOne(FramesAsOneVolume, StrokeSynthTrainer_Stock):
    """Stock nnU-Net, CTP frames and MIP normalised together."""

    preset = "wang2020"
