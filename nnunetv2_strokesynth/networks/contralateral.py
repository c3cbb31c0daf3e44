"""The other hemisphere: what a slice looks like when left and right change places.

A perfusion deficit shows as a difference between the sides, and readers look for it that way. A
convolution cannot: it does not know where the opposite point lies. So the mirror image is put
beside the image, as further channels. Clerigues et al. 2019 mirror in the data set, after a
registration; here the brain's own centre says where the midline is, which needs no further
channels on disk and holds for every patch that nnU-Net cuts.
"""

from __future__ import annotations

import torch


def midline_px(brain: torch.Tensor) -> torch.Tensor:
    """The column about which a slice is mirrored: the brain's mean x.

    Args:
        brain: (B, 1, Y, X), 0 outside the brain and nowhere else: a channel that nnU-Net
            normalised inside its mask. Without zeros, the image's centre comes out.

    Returns:
        (B,) float32 in pixels, 0 at the centre of the first column. The image's centre for a slice
        without brain.
    """
    columns = torch.arange(brain.shape[-1], device=brain.device, dtype=torch.float32)
    pixels = (brain != 0).sum(dim=(1, 2)).float()  # in each column
    count = pixels.sum(dim=-1)
    mean = (pixels * columns).sum(dim=-1) / count.clamp_min(1.0)
    return torch.where(count > 0, mean, columns.mean())


def beside_mirrored(x: torch.Tensor, midline: torch.Tensor) -> torch.Tensor:
    """An image and its mirror image: (B, C, Y, X), (B,) -> (B, 2 C, Y, X).

    Mirrored to the nearest pixel; what would come from outside repeats the last column.
    """
    columns = torch.arange(x.shape[-1], device=x.device)
    source = (2 * midline[:, None] - columns).round().long().clamp(0, x.shape[-1] - 1)
    mirrored = x.gather(-1, source[:, None, None, :].expand(x.shape))
    return torch.cat((x, mirrored), dim=1)
