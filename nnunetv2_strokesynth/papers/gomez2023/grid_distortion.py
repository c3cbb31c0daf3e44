"""Grid distortion, one of the augmentations of Gomez 2023."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from nnunetv2_strokesynth.papers.shared.radial_distortion import (
    GridSampling,
    distortion_grid,
)

_FOLD = 0.25


class GridDistortion(GridSampling):
    """Moves a coarse grid of control points at random, and the pixels between them with it.

    The points on the image's border stay in place, so that nothing from outside the image is shown.

    Source: Gomez 2023, section 5.2 names "random grid distortions" without a definition. Choices:
    the number of cells, independent uniform shifts, bilinear interpolation between the points.

    Args:
        strength: in each axis a point moves by up to this share of a cell, either way. Below 0.25,
            so that no cell can fold.
        n_cells: cells along each axis.

    Raises:
        ValueError: a strength that is not in (0, 0.25), or fewer than two cells.
    """

    def __init__(self, strength: float = 0.2, n_cells: int = 5):
        if not 0 < strength < _FOLD or n_cells < 2:
            raise ValueError(
                f"GridDistortion needs a strength above 0 and below {_FOLD} and at least 2 cells "
                f"along each axis, found {strength} and {n_cells}: no point would move, or cells "
                "could fold."
            )
        super().__init__()
        self.strength = strength
        self.n_cells = n_cells

    def get_parameters(self, **data_dict) -> dict:
        """The sampling grid (1, Y, X, 2) in the coordinates of ``grid_sample``."""
        shifts = torch.zeros(2, self.n_cells + 1, self.n_cells + 1)
        inner = shifts[:, 1:-1, 1:-1]
        inner.uniform_(-self.strength, self.strength)
        return {"grid": control_point_grid(data_dict["image"].shape[-2:], shifts)}


def control_point_grid(shape: tuple[int, int], shifts: torch.Tensor) -> torch.Tensor:
    """Where each pixel of a (Y, X) image takes its value, for ``grid_sample``: (1, Y, X, 2).

    Args:
        shape: Y and X. The outer control points lie on the centres of the outer pixels.
        shifts: (2, n + 1, m + 1), shift of each control point along y and x, in cells.
    """
    moved = F.interpolate(shifts[None], size=shape, mode="bilinear", align_corners=True)[0]
    n_cells = (shifts.shape[1] - 1, shifts.shape[2] - 1)
    cell_y, cell_x = (2 * (side - 1) / side / n for side, n in zip(shape, n_cells, strict=True))
    offsets = torch.stack((moved[1] * cell_x, moved[0] * cell_y), dim=-1)
    return distortion_grid(shape, 0.0) + offsets[None]
