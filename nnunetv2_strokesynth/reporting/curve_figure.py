"""A picture per scan of its time-intensity curve and perfusion window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from nnunetv2_strokesynth.io.figure_file import figure_style, save_png


def plot_curve(
    path: Path, case_id: str, curve: np.ndarray, *, window: tuple[int, int, str]
) -> None:
    """Write a PNG of q(t) with T_s and T_e marked, as in Wang et al. 2020, Fig. 3.

    Args:
        path: the PNG.
        case_id: for the title.
        curve: (T,), q(t).
        window: T_s, T_e and the rule that found them.
    """
    save_png(draw_curve(case_id, curve, window=window), path, dpi=120)


@figure_style()
def draw_curve(case_id: str, curve: np.ndarray, *, window: tuple[int, int, str]) -> Figure:
    """The figure of ``plot_curve``."""
    t_start, t_end, rule = window
    figure = Figure(figsize=(6, 3.5))
    axes = figure.add_axes((0.16, 0.14, 0.81, 0.77))
    axes.axvspan(t_start, t_end, color="tab:blue", alpha=0.12, label="perfusion window")
    axes.plot(np.arange(len(curve)), curve, color="black", linewidth=1.2, marker=".", markersize=4)
    for name, frame, color in (("T_s", t_start, "tab:green"), ("T_e", t_end, "tab:red")):
        axes.plot(frame, curve[frame], "o", color=color, markersize=7, label=f"${name}$ = {frame}")
    axes.set_title(f"{case_id}, window rule: {rule}", fontsize=10)
    axes.set_xlabel("frame")
    axes.set_ylabel("q(t), sum of HU")
    for text in axes.legend(fontsize=8).get_texts():
        text.set_parse_math(True)
    return figure
