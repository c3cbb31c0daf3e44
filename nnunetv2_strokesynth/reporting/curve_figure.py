"""Pictures of time-intensity curves and perfusion windows: one a scan, and all together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnunetv2_strokesynth.io.figure_file import figure_style, save_png
from nnunetv2_strokesynth.reporting.fitted_text import letters, shortened, two_digits, wrapped

SCANS_PER_SHEET = 160
_START_COLOUR, _END_COLOUR, _WINDOW_COLOUR = "#009E73", "#D55E00", "#0072B2"
_SMALL_INCHES, _SMALL_FONT, _TITLE_FONT = 1.45, 6.5, 9.0


class ScanCurve(NamedTuple):
    """A scan's time-intensity curve.

    Attributes:
        case_id: for the title.
        curve: (T,), q(t), the sum of the frame's HU (Wang et al. 2020, Eq. 2).
        window: first and last frame of the perfusion window, and the rule that found them.
        n_voxels: of a frame; None where it is not recorded.
        times_s: (T,) of the frames; None where the file does not say.
    """

    case_id: str
    curve: np.ndarray
    window: tuple[int, int, str]
    n_voxels: int | None = None
    times_s: np.ndarray | None = None

    @property
    def change(self) -> np.ndarray:
        """(T,), how far the mean of the image lies above that before the window, in HU.

        Without the number of voxels it is the change of the sum.
        """
        before = self.curve[: self.window[0] + 1].mean()
        return (self.curve - before) / (self.n_voxels or 1)

    @property
    def x(self) -> np.ndarray:
        """Times in s, or the frames' numbers."""
        return np.arange(len(self.curve)) if self.times_s is None else np.asarray(self.times_s)

    @property
    def axis_names(self) -> tuple[str, str]:
        """Of both axes, with units."""
        of = "mean" if self.n_voxels else "sum"
        x = "frame" if self.times_s is None else "time after the first frame (s)"
        return x, f"change of the image's {of} (HU)"


def plot_curve(path: Path, scan: ScanCurve) -> None:
    """Write a PNG of one curve with T_s and T_e marked, as in Wang et al. 2020, Fig. 3."""
    save_png(draw_curve(scan), path, dpi=120)


def plot_sheets(folder: Path, scans: Sequence[ScanCurve]) -> list[Path]:
    """Write ``all_scans_1.png`` and so on, 160 curves each; returns the paths."""
    paths = []
    for first in range(0, len(scans), SCANS_PER_SHEET):
        paths.append(folder / f"all_scans_{len(paths) + 1}.png")
        save_png(draw_sheet(scans[first : first + SCANS_PER_SHEET]), paths[-1], dpi=110)
    return paths


@figure_style()
def draw_curve(scan: ScanCurve) -> Figure:
    """The figure of ``plot_curve``."""
    t_start, t_end, rule = scan.window
    figure = Figure(figsize=(6, 3.5))
    axes = figure.add_axes((0.16, 0.14, 0.81, 0.77))
    x, change = scan.x, scan.change
    axes.axvspan(x[t_start], x[t_end], color="tab:blue", alpha=0.12, label="perfusion window")
    axes.plot(x, change, color="black", linewidth=1.2, marker=".", markersize=4)
    ends = (("T_s", t_start, _START_COLOUR, "o"), ("T_e", t_end, _END_COLOUR, "s"))
    unit = "" if scan.times_s is None else " s"
    for name, frame, colour, marker in ends:
        label = f"${name}$ = {x[frame]:.4g}{unit}"
        axes.plot(x[frame], change[frame], marker, color=colour, markersize=7, label=label)
    said = f", window rule: {rule}"
    room = letters(figure.get_figwidth() - 0.8, 10) - len(said)
    axes.set_title(f"{shortened(scan.case_id, room)}{said}", fontsize=10)
    axes.set(xlabel=scan.axis_names[0], ylabel=scan.axis_names[1])
    for text in axes.legend(fontsize=8).get_texts():
        text.set_parse_math(True)
    return figure


@figure_style()
def draw_sheet(scans: Sequence[ScanCurve]) -> Figure:
    """Small curves of many scans, each between its lowest and highest value, its window shaded."""
    n_columns = int(np.ceil(np.sqrt(1.3 * len(scans))))
    n_rows = -(-len(scans) // n_columns)
    width = _SMALL_INCHES * n_columns + 0.4
    title = wrapped(
        f"{len(scans)} scans: change of the image's HU over the series, each scaled to its own "
        "range (the number is the rise in HU); blue: perfusion window",
        width - 0.2,
        _TITLE_FONT,
    )
    title_inches = 0.4 + 0.15 * len(title.splitlines())
    figure = Figure(figsize=(width, 1.1 * n_rows + 0.35 + title_inches))
    top = 1 - title_inches / figure.get_figheight()
    places = {"left": 0.02, "right": 0.98, "bottom": 0.1 / n_rows, "top": top}
    grid = figure.subplots(
        n_rows, n_columns, squeeze=False, gridspec_kw={**places, "hspace": 0.45, "wspace": 0.1}
    )
    for axes in grid.ravel()[len(scans) :]:
        axes.axis("off")
    for axes, scan in zip(grid.ravel(), scans, strict=False):
        _draw_small(axes, scan)
    figure.suptitle(title, fontsize=_TITLE_FONT, y=1 - 0.08 / figure.get_figheight(), va="top")
    return figure


def _draw_small(axes: Axes, scan: ScanCurve) -> None:
    t_start, t_end, _ = scan.window
    x, change = scan.x, scan.change
    axes.axvspan(x[t_start], x[t_end], color=_WINDOW_COLOUR, alpha=0.2, lw=0)
    axes.plot(x, change, color="black", linewidth=0.8)
    axes.set(xticks=[], yticks=[])
    numbers = f", {two_digits(np.ptp(change))} HU" if scan.n_voxels else ""
    numbers += "" if scan.times_s is None else f", {x[-1]:.0f} s"
    room = letters(_SMALL_INCHES, _SMALL_FONT) - len(numbers)
    axes.set_title(f"{shortened(scan.case_id, room)}{numbers}", fontsize=_SMALL_FONT, pad=2)
