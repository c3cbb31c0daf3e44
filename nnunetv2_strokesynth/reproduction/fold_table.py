"""The Dice of each fold beside the paper's, and what a training started from."""

from __future__ import annotations

import numpy as np

from nnunetv2_strokesynth.evaluation.tables import NOTHING, Table
from nnunetv2_strokesynth.papers.abulnaga2018.pretraining_record import read_record
from nnunetv2_strokesynth.papers.shared.published import value_cell
from nnunetv2_strokesynth.reproduction.plan import Plan, measured_cases
from nnunetv2_strokesynth.reproduction.results import DONE, NOT_OURS, RowResult


def fold_table(plan: Plan, results: list[RowResult]) -> Table:
    """A line per row and source: the mean Dice of each fold, and mean ± deviation over the folds.

    Source: Abulnaga & Rubin 2018, Table 1. The paper counts its folds from 1, nnU-Net from 0, and
    their scans differ.
    """
    folds = [str(fold) for fold in plan.folds]
    lines = []
    for result in (r for r in results if r.status != NOT_OURS):
        means = []
        if result.status == DONE and result.cases is not None:
            by_fold = result.cases.groupby("fold")["dice"].mean()
            means = [100 * by_fold[fold] if fold in by_fold else np.nan for fold in folds]
        lines.append((result.row.label, "ours", *_cells(means, len(folds), digits=2)))
        if (printed := result.row.published) is not None:
            *cells, _ = _cells(list(printed.folds), len(folds), digits=0)
            lines.append((result.row.label, "paper", *cells, value_cell(printed, "dice")))
    header = ("Method", "", *(f"Fold {k + 1}" for k in range(len(folds))), "Mean ± sd over folds")
    title = f"Dice (%) of each fold. Ours: folds {', '.join(folds)} of nnU-Net; other scans"
    return Table(title, header, tuple(lines))


def _cells(values: list[float], n_folds: int, *, digits: int) -> list[str]:
    cells = [f"{value:.{digits}f}" for value in values[:n_folds]]
    cells += [NOTHING] * (n_folds - len(cells))
    if len(values) != n_folds or n_folds < 2:
        return [*cells, NOTHING]
    return [*cells, f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"]


def weights_notes(plan: Plan) -> list[str]:
    """One sentence per row that could start from learned weights: what its folds started from."""
    notes = []
    for row in plan.table.rows:
        data = plan.data_of(row)
        if data is None or not row.name:
            continue
        found = {
            read_record(plan.model(member) / f"fold_{fold}")
            for member in row.member_rows
            for fold in measured_cases(data, plan.folds)
        } - {None}
        if found:
            names = sorted(f"`{name}`" if name else "random weights" for name in found)
            notes.append(f"{row.label} started from {' and '.join(names)}.")
    return notes
