"""Figures of an evaluation, drawn from measured numbers.

The functions take the per-case table of ``evaluation.measure`` (or the JSON of ``strokesynth
tune``) and return a ``Figure``; ``io.figure_file`` writes it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter

from nnunetv2_strokesynth.evaluation.columns import (
    COLUMN_BY_KEY,
    SIZE_GROUPS,
)
from nnunetv2_strokesynth.evaluation.statistics import volume_agreement
from nnunetv2_strokesynth.io.figure_file import figure_style

# Okabe and Ito's colours, which colour-blind readers tell apart; markers differ too, for print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
_OUTLIER = 5.0
"""Choice: from this value on, one case would flatten the boxes of the others."""
MARKERS = ("o", "^", "s", "D")


def _sets(cases: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return list(cases.groupby("predictions", sort=False))


@figure_style()
def volume_scatter(cases: pd.DataFrame) -> Figure:
    """Predicted against true lesion volume in mL, with the line of identity and R^2.

    Args:
        cases: per-case table; one colour and marker per set of predictions.
    """
    figure = Figure(figsize=(5.4, 5.2), layout="constrained")
    axes = figure.add_subplot()
    volumes = cases[["volume_gt_ml", "volume_pred_ml"]].to_numpy(dtype=float)
    limit = max(1.0, float(np.nanmax(volumes)) * 1.05)
    axes.plot([0, limit], [0, limit], color="0.4", lw=1, ls="--", label="identity", zorder=1)
    for index, (name, rows) in enumerate(_sets(cases)):
        agreement = volume_agreement(rows["volume_gt_ml"], rows["volume_pred_ml"])
        axes.scatter(
            rows["volume_gt_ml"],
            rows["volume_pred_ml"],
            s=26,
            alpha=0.75,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            linewidths=0,
            label=f"{name}: R² = {agreement.r2:.2f}, n = {agreement.n}",
            zorder=2,
        )
    axes.set(xlim=(0, limit), ylim=(0, limit), aspect="equal")
    axes.set(xlabel="true volume (mL)", ylabel="predicted volume (mL)")
    axes.set_title("Lesion volume, one point per case", fontsize=11)
    axes.grid(alpha=0.25)
    # Above all points where a prediction of a large lesion rarely lies.
    axes.legend(loc="upper left", fontsize=8, framealpha=0.9)
    return figure


def _bland_altman_panel(axes: Axes, name: str, rows: pd.DataFrame, index: int) -> None:
    gt, pred = rows["volume_gt_ml"].to_numpy(float), rows["volume_pred_ml"].to_numpy(float)
    agreement = volume_agreement(gt, pred)
    axes.scatter(
        (gt + pred) / 2,
        pred - gt,
        s=26,
        alpha=0.75,
        color=COLOURS[index % len(COLOURS)],
        marker=MARKERS[index % len(MARKERS)],
        linewidths=0,
    )
    axes.axhline(0, color="0.7", lw=0.8)
    lines = (
        (agreement.upper_ml, "bias + 1.96 sd", "--"),
        (agreement.bias_ml, "bias", "-"),
        (agreement.lower_ml, "bias - 1.96 sd", "--"),
    )
    handles = []
    for height, label, style in lines:
        if np.isfinite(height):
            axes.axhline(height, color="0.2", lw=1, ls=style)
            text = f"{label} = {height:+.1f} mL"
            handles.append(Line2D([], [], color="0.2", lw=1, ls=style, label=text))
    axes.set(xlabel="mean of true and predicted volume (mL)")
    axes.set_title(f"{name} (n = {agreement.n})", fontsize=10)
    axes.grid(alpha=0.25)
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.17), fontsize=8, frameon=False
    )


@figure_style()
def bland_altman(cases: pd.DataFrame) -> Figure:
    """Volume error against mean volume with bias and limits of agreement, a panel per set.

    Args:
        cases: per-case table.
    """
    sets = _sets(cases)
    figure = Figure(figsize=(0.6 + 4.8 * len(sets), 4.8), layout="constrained")
    panels = figure.subplots(1, len(sets), squeeze=False, sharex=True, sharey=True)[0]
    for index, (axes, (name, rows)) in enumerate(zip(panels, sets, strict=True)):
        _bland_altman_panel(axes, name, rows, index)
    panels[0].set_ylabel("predicted - true volume (mL)")
    figure.suptitle("Bland-Altman: agreement of lesion volumes", fontsize=11)
    return figure


def _boxes(axes: Axes, sets: list[tuple[str, pd.DataFrame]], key: str) -> None:
    """Boxes of one column, grouped by lesion size, with every case as a point."""
    column = COLUMN_BY_KEY[key]
    width = 0.8 / len(sets)
    for index, (_, rows) in enumerate(sets):
        colour = COLOURS[index % len(COLOURS)]
        for group_index, group in enumerate(SIZE_GROUPS):
            values = rows.loc[rows["size_group"] == group, key].to_numpy(float) * column.factor
            values = values[np.isfinite(values)]
            centre = group_index + (index - (len(sets) - 1) / 2) * width
            if not values.size:
                continue
            drawn = axes.boxplot(
                values,
                positions=[centre],
                widths=width * 0.8,
                showmeans=True,
                showfliers=False,
                patch_artist=True,
                meanprops={"marker": "D", "mfc": "white", "mec": "black", "ms": 4},
                medianprops={"color": "black"},
                zorder=2,
            )
            drawn["boxes"][0].set(facecolor=colour, alpha=0.45)
            # A fixed spread instead of a random one: the same data give the same picture.
            offsets = np.linspace(-0.25, 0.25, values.size) * width if values.size > 1 else 0.0
            axes.scatter(centre + offsets, values, s=9, color=colour, linewidths=0, zorder=3)
    axes.set_ylabel(column.heading)
    axes.grid(axis="y", alpha=0.25)
    drawn = pd.concat([rows[key] for _, rows in sets]).to_numpy(float) * column.factor
    drawn = drawn[np.isfinite(drawn)]
    if not column.factor > 1 and drawn.size and np.abs(drawn).max() > _OUTLIER:
        axes.set_yscale("symlog", linthresh=1.0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_ylabel(f"{column.heading}, logarithmic above 1")


@figure_style()
def size_group_boxes(
    cases: pd.DataFrame, keys: tuple[str, ...] = ("dice", "relative_volume_error")
) -> Figure:
    """Box plots by true lesion volume, as Fig. 10 of Wang et al. 2020 (Dice and RVE).

    Boxes span the quartiles, whiskers reach the farthest case within 1.5 box heights, the line is
    the median, the white diamond the mean, and every case is a point.

    Args:
        cases: per-case table.
        keys: columns to draw, one panel each.
    """
    sets = _sets(cases)
    figure = Figure(figsize=(4.6 * len(keys), 4.4), layout="constrained")
    ticks = []
    for group in SIZE_GROUPS:
        counts = [str((rows["size_group"] == group).sum()) for _, rows in sets]
        ticks.append(f"{group}\nn = {' / '.join(counts if len(set(counts)) > 1 else counts[:1])}")
    for axes, key in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys, strict=True):
        _boxes(axes, sets, key)
        axes.set_xticks(range(len(SIZE_GROUPS)), ticks)
        axes.set(xlim=(-0.5, len(SIZE_GROUPS) - 0.5), xlabel="true lesion volume")
    handles: list[Patch | Line2D] = [
        Patch(facecolor=COLOURS[index % len(COLOURS)], alpha=0.45, ec="black", label=name)
        for index, (name, _) in enumerate(sets)
    ]
    handles += [
        Line2D([], [], color="black", label="median"),
        Line2D([], [], marker="D", mfc="white", mec="black", ms=4, ls="", label="mean"),
    ]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False
    )
    return figure


_DISTANCE, _NOT_COUNTABLE = "hausdorff_mm_mean", "hausdorff_not_countable"
HEATMAPS = (
    ("dice_mean", "mean Dice (%)", 100.0, 1, "viridis"),
    (_DISTANCE, "mean HD (mm)", 1.0, 1, "viridis_r"),
    ("mean_rank", "mean rank (1 = best)", 1.0, 1, "viridis_r"),
)


@figure_style()
def grid_heatmaps(tuning: dict) -> Figure:
    """Dice, HD and rank of every threshold and minimum size; the chosen one is framed.

    Args:
        tuning: content of the JSON that ``strokesynth tune`` writes.
    """
    grid = pd.DataFrame(tuning["grid"])
    figure = Figure(figsize=(13.2, 5.0), layout="constrained")
    for axes, (key, title, factor, digits, colours) in zip(
        figure.subplots(1, 3), HEATMAPS, strict=True
    ):
        values = grid.pivot(index="threshold", columns="min_size", values=key).astype(float)
        shown = values.to_numpy() * factor
        image = axes.imshow(shown, cmap=colours, aspect="auto")
        figure.colorbar(image, ax=axes, shrink=0.9)
        absent = None
        if key == _DISTANCE and _NOT_COUNTABLE in grid:
            absent = grid.pivot(index="threshold", columns="min_size", values=_NOT_COUNTABLE)
        _annotate(axes, shown, digits, image, absent=absent)
        row = values.index.get_loc(tuning["threshold"])
        column = values.columns.get_loc(tuning["min_size"])
        corner = (column - 0.5, row - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, ec="red", lw=2.5))
        axes.set_xticks(range(len(values.columns)), [f"{size:g}" for size in values.columns])
        axes.set_yticks(range(len(values.index)), [f"{value:g}" for value in values.index])
        axes.set(xlabel=f"minimum component size ({tuning['unit']})", title=title)
    figure.axes[0].set_ylabel("threshold of the lesion probability")
    n_cases = tuning["tuned_on"]["n_cases"]
    figure.suptitle(
        f"Post-processing tuned on {n_cases} cases; chosen (red): T = {tuning['threshold']:g}, "
        f"S_min = {tuning['min_size']:g} {tuning['unit']}; yellow is better. (n): as many "
        "cases have no HD, and the mean leaves them out",
        fontsize=10,
    )
    return figure


def _annotate(
    axes: Axes, shown: np.ndarray, digits: int, image, *, absent: pd.DataFrame | None = None
) -> None:
    """Write every value in its cell, dark on light cells and light on dark ones.

    Args:
        axes, image: the heat map.
        shown: its values.
        digits: decimals.
        absent: how many cases each value leaves out; None where it is the mean of all.
    """
    for (row, column), value in np.ndenumerate(shown):
        red, green, blue, _ = image.cmap(image.norm(value))
        luminance = 0.3 * red + 0.6 * green + 0.1 * blue
        text = f"{value:.{digits}f}" if np.isfinite(value) else "–"
        if absent is not None and absent.iloc[row, column] > 0:
            text += f"\n({absent.iloc[row, column]:.0f})"
        colour = "black" if luminance > 0.5 or not np.isfinite(value) else "white"
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
