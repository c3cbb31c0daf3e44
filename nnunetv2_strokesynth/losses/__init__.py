"""Losses: the maths in ``functional``, the modules that nnU-Net calls beside it."""

from nnunetv2_strokesynth.losses.abulnaga2018 import BalancedCrossEntropy, FocalLoss
from nnunetv2_strokesynth.losses.gomez2023 import Gomez2023Loss
from nnunetv2_strokesynth.losses.joint import JointLoss, SegmentationLoss
from nnunetv2_strokesynth.losses.song2018 import Song2018Loss

__all__ = [
    "BalancedCrossEntropy",
    "FocalLoss",
    "Gomez2023Loss",
    "JointLoss",
    "SegmentationLoss",
    "Song2018Loss",
]
