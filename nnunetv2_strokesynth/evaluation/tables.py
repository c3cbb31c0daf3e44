"""From per-case measurements to tables: the papers' "mean ± sd", by lesion size, and comparisons.

A ``Table`` is text in cells, without markup; ``to_markdown`` renders it, and so can a report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import pandas as pd

from nnunetv2_strokesynth.evaluation.columns import (
    COLUMNS,
    SIZE_GROUPS,
    TABLES,
    Column,
    number_text,
)
from nnunetv2_strokesynth.evaluation.statistics import (
    PairedDifference,
    Spread,
    VolumeAgreement,
    paired_difference,
    spread,
    volume_agreement,
)

ALL_SIZES = "all"
NOTHING = "–"
RULES = (
    "Mean ± sample standard deviation over cases. n.c.: cases that are not countable and left out "
    "(HD, HD95, ASSD: a mask is empty; RVE: no true lesion; local SSIM and PSNR: no lesion or no "
    "DWI; PSNR: identical images). Dice, precision, recall and lesion F1 are 1 if both masks are "
    "empty and 0 if one is. Lesion F1, any overlap: a true lesion counts as found if one voxel of "
    "it is predicted. Lesion F1, ISLES 2024: if a prediction of its own has an IoU of 0.2 or more "
    "with it (the challenge's official code since December 2025). Size groups by true volume."
)


class Table(NamedTuple):
    """Text in cells.

    Attributes:
        title: caption.
        header: headings.
        rows: cells, as long as the header each.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def prediction_sets(cases: pd.DataFrame) -> list[str]:
    """Names of the sets of predictions, in order of appearance."""
    return list(cases["predictions"].unique())


def _size_groups(cases: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    yield ALL_SIZES, cases
    for group in SIZE_GROUPS:
        yield group, cases[cases["size_group"] == group]


def summarise(cases: pd.DataFrame) -> dict[str, dict[str, dict[str, Spread]]]:
    """Mean and deviation of every column: ``[predictions][size group][column key]``.

    Args:
        cases: result of ``measure.measure_cases``, or several of them below each other.
    """
    return {
        name: {
            group: {column.key: spread(rows[column.key]) for column in COLUMNS}
            for group, rows in _size_groups(cases[cases["predictions"] == name])
        }
        for name in prediction_sets(cases)
    }


def volume_agreements(cases: pd.DataFrame) -> dict[str, VolumeAgreement]:
    """Predicted against true volume of every set of predictions."""
    return {
        name: volume_agreement(rows["volume_gt_ml"], rows["volume_pred_ml"])
        for name, rows in cases.groupby("predictions", sort=False)
    }


def compare(cases: pd.DataFrame, *, seed: int = 0) -> dict[str, PairedDifference]:
    """First minus second set of predictions, paired by case, for every measured column.

    Raises:
        ValueError: there are not exactly two sets, or they share no case.
    """
    names = prediction_sets(cases)
    if len(names) != 2:
        raise ValueError(f"a comparison needs two sets of predictions, found {len(names)}")
    first, second = (cases[cases["predictions"] == name].set_index("case_id") for name in names)
    shared = first.index.intersection(second.index, sort=None)
    if shared.empty:
        raise ValueError(f"'{names[0]}' and '{names[1]}' share no case")
    return {
        column.key: paired_difference(
            first.loc[shared, column.key], second.loc[shared, column.key], seed=seed
        )
        for column in COLUMNS
        if first[column.key].notna().any() and second[column.key].notna().any()
    }


def spread_cell(value: Spread, column: Column) -> str:
    """``62.11 ± 17.18``, with ``(2 n.c.)`` if cases are not countable; a dash if none is."""
    if not value.n:
        return NOTHING
    text = number_text(value.mean * column.factor, column.digits)
    if value.n > 1:
        text += f" ± {number_text(value.sd * column.factor, column.digits)}"
    return text + (f" ({value.not_countable} n.c.)" if value.not_countable else "")


def summary_tables(cases: pd.DataFrame) -> list[Table]:
    """One table per entry of ``columns.TABLES`` that has values: a row per set and size group."""
    summary = summarise(cases)
    tables = []
    for table, title in TABLES.items():
        columns = [c for c in COLUMNS if c.table == table and cases[c.key].notna().any()]
        rows = []
        for name, groups in summary.items():
            own = cases[cases["predictions"] == name]
            if not own[[column.key for column in columns]].notna().to_numpy().any():
                continue
            for group, members in _size_groups(own):
                cells = (spread_cell(groups[group][column.key], column) for column in columns)
                rows.append((name, group, str(len(members)), *cells))
        if rows:
            header = ("Predictions", "True volume", "n", *(column.heading for column in columns))
            tables.append(Table(title, header, tuple(rows)))
    return tables


def volume_table(cases: pd.DataFrame) -> Table:
    """R^2 and Bland-Altman figures of every set of predictions."""
    rows = [
        (
            name,
            str(value.n),
            number_text(value.r2, 3),
            number_text(value.pearson_r2, 3),
            number_text(value.bias_ml, 2),
            f"{number_text(value.lower_ml, 2)} to {number_text(value.upper_ml, 2)}",
        )
        for name, value in volume_agreements(cases).items()
    ]
    header = (
        "Predictions", "n", "R² (1 - SSres/SStot)", "Pearson r²", "Bias (mL)", "95 % limits (mL)",
    )  # fmt: skip
    title = "Predicted against true volume; bias and limits of agreement of predicted - true"
    return Table(title, header, tuple(tuple(c.replace("nan", NOTHING) for c in r) for r in rows))


def p_cell(p: float) -> str:
    """``0.031``, or ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def comparison_table(comparison: dict[str, PairedDifference], names: Sequence[str]) -> Table:
    """Differences with bootstrap interval and p; the last column names the set that is ahead.

    A set is named only where the interval excludes 0.
    """
    rows = []
    for column in (c for c in COLUMNS if c.key in comparison and comparison[c.key].n):
        value = comparison[column.key]
        numbers = [value.mean, value.low, value.high]
        mean, low, high = (
            number_text(v * column.factor, column.digits, signed=True) for v in numbers
        )
        ahead = NOTHING
        if column.better and (value.low > 0 or value.high < 0):
            ahead = names[0] if (value.mean > 0) == (column.better == "high") else names[1]
        interval = f"{low} to {high}"
        counts = (str(value.n), str(value.n_zero), str(value.not_countable))
        rows.append((column.heading, mean, interval, p_cell(value.p), *counts, ahead))
    header = (
        "Metric", "Mean difference", "95 % interval", "p (Wilcoxon)", "n", "equal", "n.c.",
        "Better",
    )  # fmt: skip
    title = (
        f"{names[0]} - {names[1]}, paired by case: percentile bootstrap of the mean, two-sided "
        "signed-rank test, not corrected for the number of metrics"
    )
    return Table(title, header, tuple(rows))


def to_markdown(table: Table) -> str:
    """A GitHub table with its title above."""
    return f"**{table.title}**\n\n{markdown_grid(table.header, table.rows)}"


def markdown_grid(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A GitHub table: a line per row under the header, each with its line end."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    lines = [f"| {' | '.join(row)} |" for row in escaped]
    lines.insert(1, "|" + " --- |" * len(header))
    return "\n".join([*lines, ""])
