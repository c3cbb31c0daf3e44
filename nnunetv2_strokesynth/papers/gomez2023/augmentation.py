"""The augmentation of Gomez 2023."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.intensity.brightness import BrightnessAdditiveTransform
from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform

from nnunetv2_strokesynth.papers.gomez2023.grid_distortion import GridDistortion
from nnunetv2_strokesynth.papers.shared.radial_distortion import RadialDistortion

_P_INTENSITY = 0.5
_P_ROTATION = 0.5
_P_DEFORMATION = 0.25  # each of elastic, grid and optical
_ELASTIC_SMOOTHNESS = (0.08, 0.2)  # of the field, as a share of the patch's sides
_ELASTIC_SHIFT = 0.025  # the most that a pixel moves, as a share of the patch's shorter side


class OpticalDistortion(RadialDistortion):
    """Radial distortion; pixels from outside the image count as outside the mask (-1)."""

    def _apply_to_segmentation(self, segmentation: torch.Tensor, grid: torch.Tensor):
        return super()._apply_to_segmentation(segmentation + 1, grid) - 1


def gomez2023_augmentation(
    patch_size: Sequence[int],
    rotation: tuple[float, float],
    mirror_axes: tuple[int, ...],
    use_mask_for_norm: Sequence[bool] | None = None,
) -> ComposeTransforms:
    """Distortions, rotation, flips, brightness and contrast, in place of nnU-Net's augmentation.

    The steps that are no augmentation are nnU-Net's: the crop to the patch, zeros outside the mask
    of channels that were normalised within one, and the label -1 (outside the mask) turned into
    background.

    Source: Gomez 2023, section 5.2. Choices, since the thesis gives the angles only: every
    probability and strength; brightness is a shift of each channel with a standard deviation of 0.2
    (of the normalised values), contrast a factor from 0.8 to 1.2; "optical" is a radial distortion.

    Args:
        patch_size: (Y, X).
        rotation: smallest and largest angle in rad.
        mirror_axes: spatial axes that may be flipped.
        use_mask_for_norm: for each channel, whether it was normalised within a mask.
    """
    intensities = [
        BrightnessAdditiveTransform(0.0, 0.2, synchronize_channels=False),
        ContrastTransform((0.8, 1.2), preserve_range=True, synchronize_channels=False),
    ]
    transforms: list[BasicTransform] = [
        RandomTransform(GridDistortion(), _P_DEFORMATION),
        RandomTransform(OpticalDistortion(), _P_DEFORMATION),
        _rotation_and_elastic(tuple(patch_size), rotation),
        MirrorTransform(mirror_axes),
        *(RandomTransform(transform, _P_INTENSITY) for transform in intensities),
    ]
    masked = [channel for channel, used in enumerate(use_mask_for_norm or ()) if used]
    if masked:
        transforms.append(MaskImageTransform(masked, channel_idx_in_seg=0, set_outside_to=0))
    return ComposeTransforms([*transforms, RemoveLabelTansform(-1, 0)])


def _rotation_and_elastic(
    patch_size: tuple[int, ...], rotation: tuple[float, float]
) -> SpatialTransform:
    """Rotation and elastic deformation; it also crops the loader's larger patch to the patch."""
    return SpatialTransform(
        patch_size,
        patch_center_dist_from_border=0,
        random_crop=False,
        p_elastic_deform=_P_DEFORMATION,
        elastic_deform_scale=_ELASTIC_SMOOTHNESS,
        elastic_deform_magnitude=(0, _ELASTIC_SHIFT * min(patch_size)),
        p_rotation=_P_ROTATION,
        rotation=rotation,
        border_mode_seg="constant",
        padding_value_seg=-1,
    )
