"""A figure on black, for pages on which slices are looked at."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

_PAPER, _INK, _FAINT = "black", "#e8e8e8", "#777777"
_DARK_TEXTS = ("black", "k", "0.1", "0.2", "0.3", "0.4")


def darken(figure: Figure) -> Figure:
    """The same figure on black: every black word, line and frame becomes light.

    The ticks are told, too: matplotlib makes most of them when the figure is written.
    """
    figure.patch.set_facecolor(_PAPER)
    for axes in figure.axes:
        _darken(axes)
    for text in figure.findobj(Text):
        if text.get_color() in _DARK_TEXTS:
            text.set_color(_INK)
    return figure


def _darken(axes: Axes) -> None:
    axes.set_facecolor(_PAPER)
    axes.tick_params(colors=_INK)
    for spine in axes.spines.values():
        spine.set_color(_FAINT)
    for line in axes.get_lines():
        if line.get_color() in _DARK_TEXTS:
            line.set_color(_INK)
    legend = axes.get_legend()
    if legend is not None:
        legend.get_frame().set(facecolor=_PAPER, edgecolor=_FAINT)
        for handle in legend.get_lines():
            if handle.get_color() in _DARK_TEXTS:
                handle.set_color(_INK)
