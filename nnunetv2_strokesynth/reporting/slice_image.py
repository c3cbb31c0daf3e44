"""One slice with outlines on it: every picture of a scan is drawn here.

Every slice says which side is which: R on the left and L on the right where it is in radiological
orientation, ``side unknown`` where the header of the scan does not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patheffects import withStroke

GT_COLOUR, PREDICTION_COLOUR = "#00E5FF", "#FF3DF2"  # cyan and magenta
SIDE_UNKNOWN = "side unknown"


class Outline(NamedTuple):
    """The border of a mask.

    Attributes:
        mask: bool ``(Y, X)``; an empty one has no border.
        colour: of the line.
        width: of the line, in points.
        dashed: whether the line is; so two outlines are told apart without their colours.
    """

    mask: np.ndarray
    colour: str
    width: float = 1.0
    dashed: bool = False


def lesion_outlines(lesion_gt: np.ndarray | None, lesion_pred: np.ndarray | None) -> list[Outline]:
    """The true lesion in cyan, and on top of it the predicted one in magenta, a dashed line.

    So both are seen where they agree, and on a white lesion, too.
    """
    outlines = []
    if lesion_gt is not None:
        outlines.append(Outline(lesion_gt, GT_COLOUR, width=1.6))
    if lesion_pred is not None:
        outlines.append(Outline(lesion_pred, PREDICTION_COLOUR, width=1.6, dashed=True))
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
        colour_map: a name of matplotlib's. NaN is black: nothing was computed.
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
        cmap=colormaps[colour_map].with_extremes(bad="black"),
        vmin=low,
        vmax=high if high > low else low + 1.0,
        aspect=aspect,
        interpolation="nearest",
    )
    for outline in outlines:
        _draw_outline(axes, outline)
    _mark_sides(axes, sides_known, fontsize=5.0 if small else 9.0)
    return drawn


def _draw_outline(axes: Axes, outline: Outline) -> None:
    """The line, with a thin black rim that a bright lesion does not swallow."""
    if not outline.mask.any():
        return
    drawn = axes.contour(
        outline.mask.astype(float),
        levels=[0.5],
        colors=outline.colour,
        linewidths=outline.width,
        linestyles=[(0, (3, 1.5))] if outline.dashed else ["solid"],
    )
    drawn.set_path_effects([withStroke(linewidth=outline.width + 0.8, foreground="black")])


def hide_axes(axes: Axes) -> None:
    """Remove ticks and frame; titles and labels stay."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _mark_sides(axes: Axes, known: bool, *, fontsize: float) -> None:
    """R in the left upper corner and L in the right one, or ``side unknown`` at the bottom.

    In the corners there is air, and no skull that hides a letter.
    """
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
    axes.text(0.02, 0.98, "R", ha="left", va="top", fontsize=fontsize, **style)
    axes.text(0.98, 0.98, "L", ha="right", va="top", fontsize=fontsize, **style)


def widest_lesion_slice(lesion: np.ndarray) -> int:
    """The slice of ``(Z, Y, X)`` with the most lesion voxels; the middle one without any."""
    areas = lesion.reshape(len(lesion), -1).sum(axis=1)
    return int(np.argmax(areas)) if areas.any() else len(lesion) // 2


def crop(brain: np.ndarray, margin: float) -> tuple[slice, slice]:
    """Rows and columns of the brain of all slices, and a margin, so that the skull is seen.

    Args:
        brain: bool (Z, Y, X); where it is empty, the whole slice is shown.
        margin: as a part of the brain's size.
    """
    spans = []
    for axis, size in zip((1, 0), brain.shape[1:], strict=True):
        found = np.flatnonzero(brain.any(axis=0).any(axis=axis))
        first, last = (int(found[0]), int(found[-1])) if found.size else (0, size - 1)
        edge = round(margin * (last - first + 1))
        spans.append(slice(max(0, first - edge), min(size, last + edge + 1)))
    return spans[0], spans[1]


def middle_slice(brain: np.ndarray) -> int:
    """The middle one of the slices of ``(Z, Y, X)`` that hold brain; of all slices without any."""
    found = np.flatnonzero(brain.any(axis=(1, 2)))
    return int(found[len(found) // 2]) if found.size else len(brain) // 2


def robust_window(image: np.ndarray) -> tuple[float, float]:
    """Grey window from the 1st to the 98th percentile of the non-zero pixels; 0 to 1 without any.

    In a perfusion map the vessels are the brightest few per cent; the lesion is not among them.
    """
    values = image[np.isfinite(image) & (image != 0)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, (1, 98))
    return float(low), float(high if high > low else low + 1.0)
