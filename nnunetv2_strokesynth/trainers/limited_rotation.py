"""A mixin: augmentation for scans in which heads lie upright."""

from __future__ import annotations

import math

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class LimitedRotation(nnUNetTrainer):
    """Mixin: augmentation rotates slices a little and mirrors them left and right only.

    nnU-Net rotates slices by any angle and mirrors both axes, since it knows nothing about its
    images. A head in a scanner is never upside down, and the network can learn where an artery's
    territory lies. The axes are those of the scans as stored: x runs from side to side. The mixin
    stands to the left of the trainer's base.

    Attributes:
        max_rotation_deg: the largest rotation, in either direction.
    """

    max_rotation_deg = 30.0

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self):
        """Rotation, whether 3-D patches are turned slice by slice, size to cut, axes to mirror."""
        _, slice_by_slice, initial_patch_size, _ = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        limit = math.radians(self.max_rotation_deg)
        x_axis = len(self.configuration_manager.patch_size) - 1
        self.inference_allowed_mirroring_axes = (x_axis,)  # kept in the checkpoint
        return (-limit, limit), slice_by_slice, initial_patch_size, (x_axis,)
