"""Losses: the maths in ``functional``, the modules that nnU-Net calls beside it."""

from nnunetv2_strokesynth.losses.joint import JointLoss, SegmentationLoss
from nnunetv2_strokesynth.losses.song2018 import Song2018Loss

__all__ = ["JointLoss", "SegmentationLoss", "Song2018Loss"]
