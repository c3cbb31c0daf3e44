"""The terms of the loss per epoch: one panel per term, training solid, validation dashed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from nnunetv2_strokesynth.io.figure_file import COLOURS, figure_style

PHASES = {"train": "training", "val": "validation"}
STYLES = {"train": "-", "val": "--"}
MARKERS = {"train": "o", "val": "s"}
# Shorter curves get markers: a line of one point is invisible.
SHORT_EPOCHS = 4

History = Mapping[str, Sequence[float]]


def term_names(runs: Mapping[str, History]) -> list[str]:
    """Terms of all runs, without the phase, in order of appearance."""
    return list(dict.fromkeys(key.split("/", 1)[-1] for run in runs.values() for key in run))


@figure_style()
def loss_figure(
    runs: Mapping[str, History],
    *,
    n_columns: int = 2,
    panel_inches: tuple[float, float] = (2.9, 2.1),
) -> Figure | None:
    """Draw every term; None if there is none.

    Several runs have a colour each. Of a single run, each phase has a colour.

    Args:
        runs: values per epoch by ``train/NAME`` or ``val/NAME``, by the run's name (``fold 0``).
        n_columns: of panels, at most.
        panel_inches: width and height of a panel.
    """
    names = term_names(runs)
    if not names:
        return None
    n_columns = min(n_columns, len(names))
    n_rows = -(-len(names) // n_columns)
    width, height = panel_inches
    figure = Figure(figsize=(width * n_columns, height * n_rows + 0.7), layout="constrained")
    panels = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(panels, names, strict=False):
        _draw_term(axes, name, runs)
    handles = _legend_handles(runs)
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=min(4, len(handles)),
        fontsize=8.5,
        frameon=False,
    )
    return figure


def _colour(run: int, phase: str, n_runs: int) -> str:
    index = list(PHASES).index(phase) if n_runs == 1 else run
    return COLOURS[index % len(COLOURS)]


def _draw_term(axes: Axes, name: str, runs: Mapping[str, History]) -> None:
    for index, run in enumerate(runs.values()):
        for phase, style in STYLES.items():
            values = run.get(f"{phase}/{name}", [])
            axes.plot(
                range(len(values)),
                values,
                style,
                marker=MARKERS[phase] if len(values) < SHORT_EPOCHS else None,
                ms=4,
                color=_colour(index, phase, len(runs)),
                lw=1.3,
            )
    axes.set_title(name, fontsize=10)
    axes.set_xlabel("epoch", fontsize=8)
    n_epochs = max((len(values) for run in runs.values() for values in run.values()), default=1)
    is_short = n_epochs < SHORT_EPOCHS
    axes.set_xlim(-0.5 if is_short else 0, n_epochs - (0.5 if is_short else 1))
    if is_short:
        axes.set_xticks(range(n_epochs))
    else:
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, steps=[1, 2, 5, 10]))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)


def _legend_handles(runs: Mapping[str, History]) -> list[Line2D]:
    if len(runs) == 1:
        (name,) = runs
        colours = {phase: _colour(0, phase, 1) for phase in PHASES}
        runs_handles, prefix = [], f"{name}, " if name else ""
    else:
        colours = dict.fromkeys(PHASES, "0.3")
        runs_handles = [
            Line2D([], [], color=_colour(index, "train", len(runs)), label=name)
            for index, name in enumerate(runs)
        ]
        prefix = ""
    return runs_handles + [
        Line2D(
            [],
            [],
            color=colours[phase],
            ls=STYLES[phase],
            marker=MARKERS[phase],
            ms=4,
            label=f"{prefix}{title}",
        )
        for phase, title in PHASES.items()
    ]
