"""Radial distortion, an augmentation of Song & Huang 2018 and, as "optical", of Gomez 2023."""

from __future__ import annotations

import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from torch.nn import functional as F


class GridSampling(BasicTransform):
    """Resamples images, DWI and labels at the points of a ``grid``, from ``get_parameters``.

    Images and DWI are interpolated linearly and continue with their edge values. Labels take their
    nearest neighbour and become 0 outside the image.
    """

    def _apply_to_image(self, img: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        sampled = F.grid_sample(
            img[None].float(), grid, mode="bilinear", padding_mode="border", align_corners=False
        )
        return sampled[0].to(img.dtype)

    def _apply_to_regr_target(self, regression_target: torch.Tensor, grid: torch.Tensor):
        return self._apply_to_image(regression_target, grid)

    def _apply_to_segmentation(self, segmentation: torch.Tensor, grid: torch.Tensor):
        sampled = F.grid_sample(
            segmentation[None].float(),
            grid,
            mode="nearest",
            padding_mode="zeros",
            align_corners=False,
        )
        return sampled[0].to(segmentation.dtype)


class RadialDistortion(GridSampling):
    """Barrel or pincushion distortion: a point at radius r shows what was at ``r (1 + k r^2)``.

    r is 1 at the middle of each side of the image.

    Source: Song & Huang 2018 name "radial distortion" without a formula or a range. Choice: the
    first term of Brown's lens model.

    Args:
        strength: k is drawn uniformly from (-strength, strength).
    """

    def __init__(self, strength: float = 0.2):
        super().__init__()
        self.strength = strength

    def get_parameters(self, **data_dict) -> dict:
        """The sampling grid (1, Y, X, 2) in the coordinates of ``grid_sample``."""
        k = (2 * torch.rand(()) - 1) * self.strength
        return {"grid": distortion_grid(data_dict["image"].shape[-2:], float(k))}


def distortion_grid(shape: tuple[int, int], k: float) -> torch.Tensor:
    """Where each pixel of a (Y, X) image takes its value, for ``grid_sample``: (1, Y, X, 2).

    Args:
        shape: Y and X.
        k: 0 gives the identity, above 0 a barrel, below 0 a pincushion.
    """
    rows, columns = (((torch.arange(n) + 0.5) * 2 / n) - 1 for n in shape)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    scale = 1 + k * (x.square() + y.square())
    return torch.stack((x * scale, y * scale), dim=-1)[None]
