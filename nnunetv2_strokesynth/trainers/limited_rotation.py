"""Augmentation for scans in which heads lie upright."""

from __future__ import annotations

import math

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class UprightHeads(nnUNetTrainer):
    """nnU-Net's trainer, with slices turned a little and mirrored left and right only.

    nnU-Net turns slices by any angle and mirrors both axes, since it knows nothing about its
    images. A head in a scanner is never upside down, and where an artery's territory lies is
    something to be learned. The axes are those of the scans as stored: x runs from side to side.

    Attributes:
        upright_deg: the largest turn; None keeps what nnU-Net does.
    """

    upright_deg: float | None = 30.0

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self):  # noqa: N802  (nnU-Net's)
        """Rotation, whether 3-D patches are turned slice by slice, size to cut, axes to mirror."""
        geometry = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        if self.upright_deg is None:
            return geometry
        _, slice_by_slice, initial_patch_size, _ = geometry
        limit = math.radians(self.upright_deg)
        x_axis = len(self.configuration_manager.patch_size) - 1
        self.inference_allowed_mirroring_axes = (x_axis,)  # kept in the checkpoint
        return (-limit, limit), slice_by_slice, initial_patch_size, (x_axis,)
