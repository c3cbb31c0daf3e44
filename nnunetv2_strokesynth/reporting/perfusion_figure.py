"""One picture to check computed maps by: the vessels' curves, where they lie, the middle slice."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from nnunetv2_strokesynth.ctp.arteries import Vessel
from nnunetv2_strokesynth.ctp.compute_maps import ComputedMaps
from nnunetv2_strokesynth.ctp.motion import LARGE_MM, LEAST_MM, Motion
from nnunetv2_strokesynth.io.figure_file import figure_style
from nnunetv2_strokesynth.io.placement import Reference
from nnunetv2_strokesynth.reporting.dark import darken
from nnunetv2_strokesynth.reporting.fitted_text import letters, shortened
from nnunetv2_strokesynth.reporting.scan_images import (
    AIF_COLOUR,
    MIP_WINDOW_HU,
    VOF_COLOUR,
    computed_images,
)
from nnunetv2_strokesynth.reporting.slice_image import Outline, draw_slice, middle_slice
from nnunetv2_strokesynth.reporting.viewer import ViewedImage

_TISSUE_COLOUR, _MASK_COLOUR = "#009E73", "#F0E442"
_STORED_AXES = "zyx"
_NARROW_INCHES = 4.6  # so that a phone, which shows it at a third of this, leaves words readable


@figure_style()
def draw_perfusion(computed: ComputedMaps, reference: Reference, *, title: str) -> Figure:
    """The figure. Its slices are in radiological orientation, or as stored where it is unknown.

    The voxels are numbered as the series stores them: these numbers are those of ``--aif``.

    Args:
        computed: from ``compute_maps``, of the series in the reference's order.
        reference: the voxels of the series.
        title: such as the name of the file.
    """
    figure = Figure(figsize=(14, 8.4), layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=(1, 1))
    if computed.motion is None:
        _draw_curves(figure.add_subplot(grid[0, :2]), computed)
    else:
        upper, lower = grid[0, :2].subgridspec(2, 1, height_ratios=(3.2, 1)).subplots()
        _draw_curves(upper, computed)
        _draw_motion(lower, computed.motion)
    _draw_place(figure.add_subplot(grid[0, 2]), computed, computed.aif, "AIF", reference)
    if computed.vof is not None:
        _draw_place(figure.add_subplot(grid[0, 3]), computed, computed.vof, "VOF", reference)
    for column, shown in enumerate(computed_images(computed)):
        _draw_map(figure.add_subplot(grid[1, column]), computed, shown, reference)
    figure.suptitle(shortened(title, letters(figure.get_figwidth() - 0.5, 11)), fontsize=11)
    known = reference.stored.known
    shown_as = "radiological orientation" if known else "side unknown, shown as stored"
    stored = reference.stored.order
    figure.supxlabel(
        f"Slices: {shown_as}. Voxels are numbered as stored (order {stored}). For research only.",
        fontsize=8,
    )
    return figure


@figure_style()
def draw_curves(computed: ComputedMaps) -> Figure:
    """The curves of artery, vein and tissue, and the motion, on black, for a page of slices."""
    if computed.motion is None:
        figure = Figure(figsize=(_NARROW_INCHES, 4.0), layout="constrained")
        _draw_curves(figure.add_subplot(), computed, narrow=True)
    else:
        figure = Figure(figsize=(_NARROW_INCHES, 5.2), layout="constrained")
        upper, lower = figure.subplots(2, 1, height_ratios=(3.2, 1))
        _draw_curves(upper, computed, narrow=True)
        _draw_motion(lower, computed.motion)
    return darken(figure)


def _draw_curves(axes: Axes, computed: ComputedMaps, *, narrow: bool = False) -> None:
    times, row = computed.times_s, computed.row
    scale = row["aif_scale"]
    label = "AIF as measured" + (f" (scaled by {scale:.2f} for the maps)" if scale > 1 else "")
    baseline = computed.baseline_frames
    for vessel, name, colour, marker in (
        (computed.aif, label, AIF_COLOUR, "o"),
        (computed.vof, "VOF", VOF_COLOUR, "s"),
    ):
        if vessel is not None:
            curve = vessel.curve - vessel.curve[baseline].mean()
            axes.plot(times, curve, color=colour, marker=marker, ms=3, lw=1.3, label=name)
    onset_s = row["onset_s"]
    axes.axvline(onset_s, color="0.3", lw=1, ls="--", label=f"contrast arrives, {onset_s:.1f} s")
    tissue_axes = axes.twinx()
    (line,) = tissue_axes.plot(
        times, computed.tissue_hu, color=_TISSUE_COLOUR, lw=1.3, ls="-.", label="mean tissue"
    )
    tissue_axes.set_ylabel("tissue: enhancement (HU)", color=_TISSUE_COLOUR)
    line.set_label("mean tissue (right axis)")
    handles = [*axes.get_legend_handles_labels()[0], line]
    # Room above the curves, so that the legend hides none of them.
    for own in (axes, tissue_axes):
        low, high = own.get_ylim()
        own.set_ylim(low, low + (1.55 if narrow else 1.3) * (high - low))
    axes.legend(handles=handles, fontsize=8, loc="upper center", ncols=1 if narrow else 2)
    axes.set(xlabel="time after the first frame (s)", ylabel="vessels: enhancement (HU)")
    axes.set_title("Curves over the baseline", fontsize=11)
    axes.grid(alpha=0.25)


def _draw_motion(axes: Axes, motion: Motion) -> None:
    """How far the head moved in each frame as recorded."""
    frames = range(len(motion.moved_mm))
    axes.plot(frames, motion.moved_mm, color="0.1", lw=1.2, label="point that moves most (mm)")
    axes.plot(frames, motion.turn_deg, color="0.5", lw=1.2, ls="--", label="rotation (degrees)")
    axes.axhline(LARGE_MM, color="#D55E00", lw=0.8, ls=":")
    done = "taken out" if motion.corrected else f"under {LEAST_MM:g} mm, left as it is"
    axes.set_title(f"Motion of the head, {done}", fontsize=9)
    axes.set(xlabel="frame", xlim=(0, max(1, len(frames) - 1)))
    axes.set_ylim(0, 1.6 * max(LARGE_MM, motion.moved_mm.max(), motion.turn_deg.max()))
    axes.legend(fontsize=7, loc="upper center", ncols=2)
    axes.grid(alpha=0.25)


def _draw_map(axes: Axes, computed: ComputedMaps, shown: ViewedImage, reference: Reference) -> None:
    """The middle slice of the brain in a map; what was not computed (0) is black."""
    middle = middle_slice(computed.brain)
    axes.set_facecolor("black")
    image = draw_slice(
        axes,
        shown.part(middle),
        sides_known=reference.stored.known,
        window=shown.window,
        colour_map=shown.colour_map,
        aspect=_aspect(reference),
        voxel_numbers=True,
    )
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.8, extend="max")
    bar.set_label(f"{shown.name} ({shown.unit})")
    place = _number_voxels(axes, reference, middle)
    axes.set_title(f"{shown.name}, slice {place}", fontsize=10)
    _show_brain(axes, computed.brain)


def _draw_place(
    axes: Axes, computed: ComputedMaps, vessel: Vessel, name: str, reference: Reference
) -> None:
    """The vessel's voxels on the maximum over time of the slice where most of them lie."""
    slices = [z for z, _, _ in vessel.voxels]
    shown = max(set(slices), key=slices.count)
    draw_slice(
        axes,
        computed.highest_hu[shown],
        sides_known=reference.stored.known,
        window=MIP_WINDOW_HU,
        aspect=_aspect(reference),
        outlines=[Outline(computed.brain[shown], _MASK_COLOUR, width=0.8)],
        voxel_numbers=True,
    )
    for other, colour, marker in (
        (computed.aif, AIF_COLOUR, "o"),
        (computed.vof, VOF_COLOUR, "s"),
    ):
        places = [(x, y) for z, y, x in (other.voxels if other else ()) if z == shown]
        if places:
            label = "AIF" if other is computed.aif else "VOF"
            axes.scatter(
                *zip(*places, strict=True),
                s=36,
                marker=marker,
                facecolors="none",
                edgecolors=colour,
                linewidths=1.2,
                label=label,
            )
    axes.legend(fontsize=8, loc="lower right", framealpha=0.8)  # R and L stand above
    count = slices.count(shown)
    place = _number_voxels(axes, reference, shown)
    axes.set_title(
        f"{name}: {count} of {len(slices)} voxels,\nmaximum over time, {place}", fontsize=10
    )
    _show_brain(axes, computed.brain)


def _show_brain(axes: Axes, brain: np.ndarray) -> None:
    """Cut a slice to the brain of all slices and a margin; the voxels keep their numbers."""
    _, rows, columns = np.nonzero(brain)
    margin = 0.08 * max(np.ptp(rows), np.ptp(columns)) + 1
    axes.set_xlim(columns.min() - margin, columns.max() + margin)
    axes.set_ylim(rows.max() + margin, rows.min() - margin)


def _aspect(reference: Reference) -> float:
    _, y_mm, x_mm = reference.grid.geometry.spacing_zyx_mm
    return y_mm / x_mm


def _number_voxels(axes: Axes, reference: Reference, slice_index: int) -> str:
    """Number columns and rows as the series stores them; returns the slice's name, ``z = 3``."""
    turn, shape = reference.reorientation, reference.stored.shape_zyx
    names = [_STORED_AXES[axis] for axis in turn.axes]
    formats = []
    for axis, flip in zip(turn.axes, turn.flips, strict=True):
        last = shape[axis] - 1
        formats.append(lambda i, _, last=last, flip=flip: f"{last - i if flip else i:.0f}")
    axes.set(xlabel=f"{names[2]} (voxel)", ylabel=f"{names[1]} (voxel)")
    axes.xaxis.set_major_formatter(FuncFormatter(formats[2]))
    axes.yaxis.set_major_formatter(FuncFormatter(formats[1]))
    return f"{names[0]} = {formats[0](slice_index, None)}"
