"""The augmentation of Abulnaga & Rubin 2018, except the flips, for which nnU-Net's serve."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from batchgeneratorsv2.helpers.scalar_type import RandomScalar, sample_scalar
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from torch.nn import functional as F

OUTSIDE = -1  # nnU-Net's label of what is no part of the scan
MAX_ANGLE_DEG = 10.0
MAX_SHIFT = 0.1  # share of the sides
SCALES = (0.9, 1.1)


class InPlaneAffine(BasicTransform):
    """Scales, rotates and shifts each sample in the (y, x) plane, all slices alike.

    Images and DWI are interpolated linearly, and labels take their nearest neighbour. Outside the
    input, images are 0 and labels -1, as in nnU-Net's own padding. The result has the patch's
    sides; a larger input lets its margin move into the patch.

    Source: Abulnaga & Rubin 2018, section 4.1. Choices: the three follow each other in a fixed
    order, as one resampling, where the paper draws the order; one scale for both axes; one shift
    for each.

    Args:
        patch_size: (Y, X) or (Z, Y, X); the input must have the same Z.
        angle_deg: bounds of the angle, which is drawn uniformly.
        shift: bounds of the shift, as a share of the patch's sides.
        scaling: bounds of the scale; above 1 enlarges.
    """

    def __init__(
        self,
        patch_size: Sequence[int],
        *,
        angle_deg: RandomScalar = (-MAX_ANGLE_DEG, MAX_ANGLE_DEG),
        shift: RandomScalar = (-MAX_SHIFT, MAX_SHIFT),
        scaling: RandomScalar = SCALES,
    ) -> None:
        super().__init__()
        self.sides = tuple(int(side) for side in patch_size[-2:])
        self.angle_deg = angle_deg
        self.shift = shift
        self.scaling = scaling

    def get_parameters(self, **data_dict) -> dict:
        """The sampling grid (1, Y, X, 2) in the coordinates of ``grid_sample``."""
        grid = affine_grid(
            data_dict["image"].shape[-2:],
            self.sides,
            angle_deg=sample_scalar(self.angle_deg),
            shift_px=[sample_scalar(self.shift) * side for side in self.sides],
            scale=sample_scalar(self.scaling),
        )
        return {"grid": grid}

    def _apply_to_image(self, img: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        return _sample(img, grid, "bilinear")

    def _apply_to_regr_target(self, regression_target: torch.Tensor, grid: torch.Tensor):
        return _sample(regression_target, grid, "bilinear")

    def _apply_to_segmentation(self, segmentation: torch.Tensor, grid: torch.Tensor):
        return _sample(segmentation - OUTSIDE, grid, "nearest") + OUTSIDE


def _sample(volume: torch.Tensor, grid: torch.Tensor, mode: str) -> torch.Tensor:
    """(C, ..., Y, X) at the grid's points; slices count as channels, 0 outside."""
    slices = volume.reshape(1, -1, *volume.shape[-2:]).float()
    sampled = F.grid_sample(slices, grid, mode=mode, padding_mode="zeros", align_corners=False)
    return sampled.reshape(*volume.shape[:-2], *sampled.shape[-2:]).to(volume.dtype)


def affine_grid(
    sides_in: Sequence[int],
    sides_out: Sequence[int],
    *,
    angle_deg: float,
    shift_px: Sequence[float],
    scale: float,
) -> torch.Tensor:
    """Where each pixel of the result takes its value, for ``grid_sample``: (1, Y, X, 2).

    The image is scaled about its centre, then rotated about it, then shifted. Without a shift, its
    centre falls on that of the result.

    Args:
        sides_in: (y, x) of the image.
        sides_out: (Y, X) of the result.
        angle_deg: positive turns the y axis towards the x axis.
        shift_px: along y and x.
        scale: above 1 enlarges.
    """
    axes = [torch.arange(side) + 0.5 - side / 2 for side in sides_out]
    rows, columns = torch.meshgrid(*axes, indexing="ij")
    rows, columns = rows - shift_px[0], columns - shift_px[1]
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    y = (cos * rows + sin * columns) / scale
    x = (cos * columns - sin * rows) / scale
    return torch.stack((2 * x / sides_in[1], 2 * y / sides_in[0]), dim=-1)[None]


def covering_sides(sides: Sequence[int]) -> list[int]:
    """Sides (y, x) of an input large enough that the default augmentation stays within it.

    Args:
        sides: (Y, X) of the patch.
    """
    cos, sin = math.cos(math.radians(MAX_ANGLE_DEG)), math.sin(math.radians(MAX_ANGLE_DEG))
    y, x = ((1 + 2 * MAX_SHIFT) / min(SCALES) * side for side in sides)
    return [math.ceil(cos * y + sin * x), math.ceil(cos * x + sin * y)]
