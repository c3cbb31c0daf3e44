"""Training curves: one panel per term of the loss, one colour per fold."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nnunetv2_strokesynth.reporting.model_folder import (
    PHASES,
    Fold,
)

# Okabe and Ito's colours: five folds and one trained on all cases.
FOLD_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
STYLES = dict(zip(PHASES, ("-", "--"), strict=True))
N_COLUMNS = 2


def term_names(folds: Sequence[Fold]) -> list[str]:
    """Terms of all folds, without the phase, in order of appearance."""
    return list(dict.fromkeys(key.split("/", 1)[-1] for fold in folds for key in fold.terms))


def _draw_term(axes: Axes, name: str, folds: Sequence[Fold]) -> None:
    for index, fold in enumerate(folds):
        for phase, style in STYLES.items():
            values = fold.terms.get(f"{phase}/{name}", [])
            # A line of one point is invisible: short trainings get markers.
            marker = {"train": "o", "val": "s"}[phase] if len(values) < 4 else None
            colour = FOLD_COLOURS[index % len(FOLD_COLOURS)]
            axes.plot(range(len(values)), values, style, marker=marker, ms=4, color=colour, lw=1.3)
    # A name from a file is text, whatever dollar signs it holds.
    axes.set_title(name, fontsize=10, parse_math=False)
    axes.set_xlabel("epoch")
    n_epochs = max((len(v) for fold in folds for v in fold.terms.values()), default=1)
    axes.set_xlim(-0.5 if n_epochs < 4 else 0, n_epochs - (0.5 if n_epochs < 4 else 1))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)


def training_curves(folds: Sequence[Fold]) -> Figure | None:
    """Every term per epoch: training solid, validation dashed; None if no fold has a log.

    Args:
        folds: as ``read_model`` finds them; those without log are left out.
    """
    logged = [fold for fold in folds if fold.terms]
    names = term_names(logged)
    if not names:
        return None
    n_rows = -(-len(names) // N_COLUMNS)
    figure = Figure(figsize=(5.8, 2.1 * n_rows + 0.7), layout="constrained")
    panels = figure.subplots(n_rows, N_COLUMNS, squeeze=False).ravel()
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    for axes, name in zip(panels, names, strict=False):
        _draw_term(axes, name, logged)
    handles = [
        Line2D([], [], color=FOLD_COLOURS[i % len(FOLD_COLOURS)], label=f"fold {fold.name}")
        for i, fold in enumerate(logged)
    ]
    handles += [
        Line2D([], [], color="0.3", ls=STYLES["train"], marker="o", ms=4, label="training"),
        Line2D([], [], color="0.3", ls=STYLES["val"], marker="s", ms=4, label="validation"),
    ]
    legend = figure.legend(
        handles=handles, loc="outside upper center", ncols=4, fontsize=8.5, frameon=False
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure
