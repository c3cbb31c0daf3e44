"""One slice with outlines on it: every picture of a scan is drawn here.

Every slice says which side is which: R on the left and L on the right where it is in radiological
orientation, ``side unknown`` where the header of the scan does not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke

GT_COLOUR, PREDICTION_COLOUR = "lime", "yellow"
SIDE_UNKNOWN = "side unknown"


class Outline(NamedTuple):
    """The border of a mask.

    Attributes:
        mask: bool ``(Y, X)``; an empty one has no border.
        colour: of the line.
        width: of the line, in points.
    """

    mask: np.ndarray
    colour: str
    width: float = 1.0


def lesion_outlines(lesion_gt: np.ndarray | None, lesion_pred: np.ndarray | None) -> list[Outline]:
    """The true lesion in green, and on top of it the predicted one in yellow, a thinner line.

    So both are seen where they agree.
    """
    outlines = []
    if lesion_gt is not None:
        outlines.append(Outline(lesion_gt, GT_COLOUR, width=2.0))
    if lesion_pred is not None:
        outlines.append(Outline(lesion_pred, PREDICTION_COLOUR))
    return outlines


def draw_slice(
    axes: Axes,
    image: np.ndarray,
    *,
    sides_known: bool,
    window: tuple[float, float],
    colour_map: str = "gray",
    aspect: float = 1.0,
    outlines: Sequence[Outline] = (),
    voxel_numbers: bool = False,
    small: bool = False,
) -> AxesImage:
    """Draw a slice, row 0 at the top and column 0 on the left.

    Args:
        axes: receives the slice.
        image: ``(Y, X)``.
        sides_known: whether the patient's right is on the left of the image; False where the
            header does not tell.
        window: values at the two ends of the colour map.
        colour_map: a name of matplotlib's.
        aspect: pixel height / pixel width.
        outlines: masks of the same shape; later ones lie on top.
        voxel_numbers: whether the axes count voxels; otherwise they are hidden.
        small: whether the letters are those of a thumbnail.
    """
    low, high = window
    if voxel_numbers:
        axes.set(xlabel="x (voxel)", ylabel="y (voxel)")
    else:
        hide_axes(axes)
    drawn = axes.imshow(
        image,
        cmap=colour_map,
        vmin=low,
        vmax=high if high > low else low + 1.0,
        aspect=aspect,
        interpolation="nearest",
    )
    for mask, colour, width in outlines:
        if mask.any():
            axes.contour(mask.astype(float), levels=[0.5], colors=colour, linewidths=width)
    _mark_sides(axes, sides_known, fontsize=5.0 if small else 9.0)
    return drawn


def hide_axes(axes: Axes) -> None:
    """Remove ticks and frame; titles and labels stay."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _mark_sides(axes: Axes, known: bool, *, fontsize: float) -> None:
    """R on the left and L on the right, or ``side unknown`` at the bottom."""
    style = {
        "transform": axes.transAxes,
        "color": "white",
        "weight": "bold",
        "path_effects": [withStroke(linewidth=0.2 * fontsize, foreground="black")],
    }
    if not known:
        axes.text(
            0.5, 0.02, SIDE_UNKNOWN, ha="center", va="bottom", fontsize=0.75 * fontsize, **style
        )
        return
    axes.text(0.02, 0.5, "R", ha="left", va="center", fontsize=fontsize, **style)
    axes.text(0.98, 0.5, "L", ha="right", va="center", fontsize=fontsize, **style)


def widest_lesion_slice(lesion: np.ndarray) -> int:
    """The slice of ``(Z, Y, X)`` with the most lesion voxels; the middle one without any."""
    areas = lesion.reshape(len(lesion), -1).sum(axis=1)
    return int(np.argmax(areas)) if areas.any() else len(lesion) // 2


def robust_window(image: np.ndarray) -> tuple[float, float]:
    """Grey window from the 1st to the 98th percentile of the non-zero pixels; 0 to 1 without any.

    In a perfusion map the vessels are the brightest few per cent; the lesion is not among them.
    """
    values = image[np.isfinite(image) & (image != 0)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, (1, 98))
    return float(low), float(high if high > low else low + 1.0)
