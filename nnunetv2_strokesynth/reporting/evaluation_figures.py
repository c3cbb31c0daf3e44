"""Figures of an evaluation, drawn from measured numbers.

The functions take the per-case table of ``evaluation.measure`` and return a ``Figure``;
``io.figure_file`` writes it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from nnunetv2_strokesynth.evaluation.columns import (
    COLUMN_BY_KEY,
    SIZE_GROUPS,
    number_text,
)
from nnunetv2_strokesynth.evaluation.statistics import volume_agreement
from nnunetv2_strokesynth.evaluation.tables import NOTHING
from nnunetv2_strokesynth.io.figure_file import COLOURS, figure_style
from nnunetv2_strokesynth.reporting.fitted_text import letters, shortened

_OUTLIER = 5.0
"""Choice: from this value on, one case would flatten the boxes of the others."""
MARKERS = ("o", "^", "s", "D", "v", "P", "X")
_PANEL_INCHES = 4.8
_HATCHES = ("", "///", "...", "xxx")
_LOGARITHMIC_TICKS = [0.0, 0.5, *(base * 10.0**k for k in range(7) for base in (1, 2, 5))]
_MOST_COLUMNS = 3
_MOST_COUNTS = 3


class _Look(NamedTuple):
    """How a set of predictions is drawn: points as ``colour`` and ``marker``, boxes hatched."""

    colour: str
    marker: str
    hatch: str

    @property
    def points(self) -> dict[str, Any]:
        """Options of a scatter."""
        style = {"color": self.colour, "marker": self.marker}
        # Not clipped: a missed lesion lies on the axis, with half of its point beyond.
        return {**style, "s": 26, "alpha": 0.75, "linewidths": 0, "clip_on": False}

    @property
    def box(self) -> dict[str, Any]:
        """Options of a box."""
        return {"facecolor": self.colour, "alpha": 0.45, "hatch": self.hatch}


def look_of(index: int) -> _Look:
    """The look of a set by its place; two dozen sets look different, as points and as boxes."""
    turn, place = divmod(index, len(COLOURS))
    marker, hatch = MARKERS[index % len(MARKERS)], _HATCHES[turn % len(_HATCHES)]
    return _Look(COLOURS[place], marker, hatch)


def _sets(cases: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return list(cases.groupby("predictions", sort=False))


def _width(lengths: list[int], n_rows: int) -> int:
    """Letters that a legend of some rows is wide, 0 for a single column: it always fits."""
    if n_rows >= len(lengths):
        return 0
    return sum(max(lengths[first : first + n_rows]) for first in range(0, len(lengths), n_rows))


def _legend_below(figure: Figure, handles: list[Any]) -> None:
    """A legend under all panels, in as many columns as fit, that hides no point."""
    room = letters(figure.get_figwidth() - 0.3, 8)
    for handle in handles:
        handle.set_label(shortened(str(handle.get_label()), room - 8))
    lengths = [len(str(handle.get_label())) + 8 for handle in handles]  # 8: sample and gap
    n_rows = next(n for n in range(1, len(handles) + 1) if _width(lengths, n) <= room)
    n_columns = -(-len(handles) // n_rows)
    figure.set_figheight(figure.get_figheight() + 0.17 * n_rows)
    place = {"loc": "outside lower center", "ncols": n_columns}
    figure.legend(handles=handles, **place, fontsize=8, frameon=False)


@figure_style()
def volume_scatter(cases: pd.DataFrame) -> Figure:
    """Predicted against true lesion volume in mL, with the line of identity and R^2.

    Args:
        cases: per-case table; one colour and marker per set of predictions.
    """
    figure = Figure(figsize=(5.4, 5.0), layout="constrained")
    axes = figure.add_subplot()
    volumes = cases[["volume_gt_ml", "volume_pred_ml"]].to_numpy(dtype=float)
    limit = max(1.0, float(np.nanmax(volumes)) * 1.05)
    line = {"color": "0.4", "lw": 1, "ls": "--", "label": "identity"}
    handles: list[Any] = axes.plot([0, limit], [0, limit], **line, zorder=1)
    for index, (name, rows) in enumerate(_sets(cases)):
        pair = rows["volume_gt_ml"], rows["volume_pred_ml"]
        agreement = volume_agreement(*pair)
        r2 = number_text(agreement.r2, 2) if np.isfinite(agreement.r2) else NOTHING
        numbers = f": R² = {r2}, n = {agreement.n}"
        label = shortened(name, letters(figure.get_figwidth(), 8) - len(numbers) - 8) + numbers
        handles.append(axes.scatter(*pair, **look_of(index).points, label=label, zorder=2))
    axes.set(xlim=(0, limit), ylim=(0, limit), aspect="equal")
    axes.set(xlabel="true volume (mL)", ylabel="predicted volume (mL)")
    axes.set_title("Lesion volume, one point per case", fontsize=11)
    axes.grid(alpha=0.25)
    _legend_below(figure, handles)
    return figure


def _bland_altman_panel(axes: Axes, name: str, rows: pd.DataFrame, index: int) -> None:
    gt, pred = rows["volume_gt_ml"].to_numpy(float), rows["volume_pred_ml"].to_numpy(float)
    agreement = volume_agreement(gt, pred)
    axes.scatter((gt + pred) / 2, pred - gt, **look_of(index).points)
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
            text = f"{label} = {number_text(height, 1, signed=True)} mL"
            handles.append(Line2D([], [], color="0.2", lw=1, ls=style, label=text))
    axes.set(xlabel="mean of true and predicted volume (mL)")
    numbers = f" (n = {agreement.n})"
    name = shortened(name, letters(_PANEL_INCHES - 0.6, 10) - len(numbers))
    axes.set_title(f"{name}{numbers}", fontsize=10)
    axes.grid(alpha=0.25)
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.17), fontsize=8, frameon=False
    )


@figure_style()
def bland_altman(cases: pd.DataFrame) -> Figure:
    """Volume error against mean volume with bias and limits of agreement, a panel per set.

    Three panels stand beside each other at most.

    Args:
        cases: per-case table.
    """
    sets = _sets(cases)
    n_columns = min(len(sets), _MOST_COLUMNS)
    n_rows = -(-len(sets) // n_columns)
    size = (0.6 + _PANEL_INCHES * n_columns, _PANEL_INCHES * n_rows)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True, sharey=True)
    for index, (axes, (name, rows)) in enumerate(zip(panels.ravel(), sets, strict=False)):
        _bland_altman_panel(axes, name, rows, index)
        axes.tick_params(labelbottom=True)
    for axes in panels.ravel()[len(sets) :]:
        axes.remove()
    for axes in panels[:, 0]:
        axes.set_ylabel("predicted - true volume (mL)")
    figure.suptitle("Bland-Altman: agreement of lesion volumes", fontsize=11)
    return figure


def _boxes(axes: Axes, sets: list[tuple[str, pd.DataFrame]], key: str) -> None:
    """Boxes of one column, grouped by lesion size, with every case as a point."""
    column = COLUMN_BY_KEY[key]
    width = 0.8 / len(sets)
    for index, (_, rows) in enumerate(sets):
        look = look_of(index)
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
            drawn["boxes"][0].set(**look.box)
            # A fixed spread instead of a random one: the same data give the same picture.
            offsets = np.linspace(-0.25, 0.25, values.size) * width if values.size > 1 else 0.0
            axes.scatter(centre + offsets, values, s=9, color=look.colour, linewidths=0, zorder=3)
    axes.set_ylabel(column.heading)
    axes.grid(axis="y", alpha=0.25)
    shown = pd.concat([rows[key] for _, rows in sets]).to_numpy(float) * column.factor
    shown = shown[np.isfinite(shown)]
    if not column.factor > 1 and shown.size and np.abs(shown).max() > _OUTLIER:
        axes.set_yscale("symlog", linthresh=1.0)
        # Decades alone may leave a single number at the axis.
        axes.yaxis.set_major_locator(FixedLocator(_LOGARITHMIC_TICKS))
        axes.yaxis.set_minor_locator(NullLocator())
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
    counts = [
        [int((rows["size_group"] == group).sum()) for _, rows in sets] for group in SIZE_GROUPS
    ]
    ticks = [f"{group}\nn = {_counted(n)}" for group, n in zip(SIZE_GROUPS, counts, strict=True)]
    for axes, key in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys, strict=True):
        _boxes(axes, sets, key)
        axes.set_xticks(range(len(SIZE_GROUPS)), ticks)
        axes.set(xlim=(-0.5, len(SIZE_GROUPS) - 0.5), xlabel="true lesion volume")
    handles: list[Any] = [
        Patch(**look_of(index).box, ec="black", label=name) for index, (name, _) in enumerate(sets)
    ]
    handles += [
        Line2D([], [], color="black", label="median"),
        Line2D([], [], marker="D", mfc="white", mec="black", ms=4, ls="", label="mean"),
    ]
    _legend_below(figure, handles)
    return figure


def _counted(n_cases: list[int]) -> str:
    """``3``, ``2 / 0``, or ``0 to 7`` where many sets have other cases."""
    if len(set(n_cases)) == 1:
        return str(n_cases[0])
    if len(n_cases) > _MOST_COUNTS:
        return f"{min(n_cases)} to {max(n_cases)}"
    return " / ".join(map(str, n_cases))
