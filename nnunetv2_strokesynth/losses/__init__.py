"""Losses: the maths in ``functional``, the modules that nnU-Net calls in ``joint``."""

from nnunetv2_strokesynth.losses.joint import JointLoss, SegmentationLoss

__all__ = ["JointLoss", "SegmentationLoss"]
