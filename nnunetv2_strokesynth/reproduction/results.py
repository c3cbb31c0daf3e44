"""From per-case tables to rows: ours, the paper's, and the difference to the proposed row."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from nnunetv2_strokesynth.evaluation.columns import COLUMN_BY_KEY
from nnunetv2_strokesynth.evaluation.postprocessing import read_rule
from nnunetv2_strokesynth.evaluation.statistics import (
    PairedDifference,
    Spread,
    bootstrap_interval,
    paired_difference,
    paired_t_test_p,
    spread,
    volume_agreement,
)
from nnunetv2_strokesynth.papers.shared.paper_table import TableRow
from nnunetv2_strokesynth.papers.shared.published import MIN_SIZE, R2, THRESHOLD
from nnunetv2_strokesynth.reproduction.commands import (
    row_steps,
    truth_is_known,
)
from nnunetv2_strokesynth.reproduction.measuring import rule_file
from nnunetv2_strokesynth.reproduction.plan import (
    Plan,
    measured_cases,
)

DONE, NOT_RUN, HIDDEN, NOT_OURS = "done", "not run", "truth hidden", "–"


class Measured(NamedTuple):
    """One quantity over the scans of a row: spread and 95 % bootstrap interval of the mean."""

    spread: Spread
    low: float
    high: float


class RowResult(NamedTuple):
    """One row.

    Attributes:
        row: what it is.
        status: ``DONE``; ``NOT_RUN`` also if it is not complete; ``HIDDEN``: predicted, but the
            truth is not public; ``NOT_OURS``: a method that only the paper's table has.
        cases: per-case table of ``evaluation.measure``; None unless done.
        values: by column key; empty unless done.
        row_values: of the row as a whole, by key of ``ROW_COLUMNS``.
        dice_difference: Dice minus the proposed row's, scan by scan; None for the proposed row, or
            where either is missing.
        t_tests: p of the paired t-test to the proposed row by column key, where the table has one.
    """

    row: TableRow
    status: str
    cases: pd.DataFrame | None
    values: dict[str, Measured]
    row_values: dict[str, float] = {}
    dice_difference: PairedDifference | None = None
    t_tests: dict[str, float] = {}


def measure(cases: pd.DataFrame, key: str) -> Measured:
    """Summarise the countable scans of one column."""
    values = cases[key].to_numpy(float)
    return Measured(spread(values), *bootstrap_interval(values[np.isfinite(values)]))


def collect(plan: Plan) -> list[RowResult]:
    """The result of every row; a row that is not finished has no values."""
    results = [_row_result(plan, row) for row in plan.table.rows]
    proposed = next(r for r in results if r.row.name == plan.table.proposed)
    return [_compared(plan, result, proposed) for result in results]


def _row_result(plan: Plan, row: TableRow) -> RowResult:
    if not row.name:
        return RowResult(row, NOT_OURS, None, {})
    if plan.data_of(row) is None or row_steps(plan, row):
        return RowResult(row, NOT_RUN, None, {})
    if plan.on_test_set and not truth_is_known(plan.data):
        return RowResult(row, HIDDEN, None, {})
    path = plan.folder(row) / "evaluation" / "cases.csv"
    cases = _read_cases(path, plan)
    _check_cases(plan, row, set(cases["case_id"]), path)
    keys = [key for key in plan.table.keys if cases[key].notna().any()]
    values = {key: measure(cases, key) for key in keys}
    return RowResult(row, DONE, cases, values, _row_values(plan, row, cases))


def _read_cases(path: Path, plan: Plan) -> pd.DataFrame:
    """What ``strokesynth evaluate`` has measured; raises ``ValueError`` for a damaged file."""
    volumes = ("volume_gt_ml", "volume_pred_ml") if R2 in plan.table.row_keys else ()
    keys = {*plan.table.keys, *volumes, "dice"}
    try:
        types = {"case_id": str, "fold": str, **dict.fromkeys(keys, float)}
        cases = pd.read_csv(path, dtype=types)
        lacking = sorted(set(types) - set(cases.columns))
        if lacking or cases["case_id"].isna().any():
            raise ValueError(f"no {', '.join(lacking) or 'case_id in some row'}")
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it to measure again") from error
    return cases


def _row_values(plan: Plan, row: TableRow, cases: pd.DataFrame) -> dict[str, float]:
    """T and S_min chosen for the row, and R^2 of its volumes, where the table has them."""
    found = {}
    if R2 in plan.table.row_keys:
        found[R2] = volume_agreement(cases["volume_gt_ml"], cases["volume_pred_ml"]).r2
    if plan.table.tuned:
        rule = read_rule(rule_file(plan, row))
        found |= {THRESHOLD: rule.threshold, MIN_SIZE: rule.min_size}
    return found


def _check_cases(plan: Plan, row: TableRow, found: set[str], path: Path) -> None:
    """Raise ``ValueError`` unless exactly the planned scans were measured."""
    if plan.on_test_set:
        expected = set(plan.data.case_ids("labelsTs"))
    else:
        by_fold = measured_cases(plan.data_of(row), plan.folds)
        expected = {case_id for case_ids in by_fold.values() for case_id in case_ids}
    wrong = sorted(found ^ expected)
    if wrong:
        raise ValueError(
            f"{path} has {len(found)} scans, the splits have {len(expected)} (see {wrong[0]}): the "
            "model was trained with other splits; train it again, with another nnUNet_results"
        )


def _compared(plan: Plan, result: RowResult, proposed: RowResult) -> RowResult:
    """The result with its differences to the proposed row, scan by scan."""
    if result.cases is None or proposed.cases is None or result.row is proposed.row:
        return result
    first, second = (r.cases.set_index("case_id") for r in (result, proposed))
    shared = first.index.intersection(second.index, sort=None)
    if shared.empty:
        return result
    first, second = first.loc[shared], second.loc[shared]
    tested = plan.table.keys if plan.table.t_test else ()
    return result._replace(
        dice_difference=paired_difference(first["dice"], second["dice"]),
        t_tests={key: paired_t_test_p(first[key], second[key]) for key in tested},
    )


def to_frame(plan: Plan, results: list[RowResult], data_note: str) -> pd.DataFrame:
    """All numbers, one line per row, in the units of the table; empty where there is none.

    Args:
        data_note: where the scans come from, repeated in every line.
    """
    rows = []
    for result in results:
        line = {
            "method": result.row.label,
            "trainer": result.row.name,
            "status": result.status if result.row.name else "paper only",
            "scans": None if result.cases is None else len(result.cases),
            "data": data_note,
        }
        published = {} if result.row.published is None else result.row.published.values
        for key in plan.table.keys:
            factor = COLUMN_BY_KEY[key].factor
            ours = result.values.get(key)
            if ours is not None:
                line[f"{key}_mean"], line[f"{key}_sd"] = (
                    value * factor for value in ours.spread[:2]
                )
                line[f"{key}_low"], line[f"{key}_high"] = ours.low * factor, ours.high * factor
                line[f"{key}_not_countable"] = ours.spread.not_countable
            line[f"{key}_published_mean"], line[f"{key}_published_sd"] = published.get(
                key, (None, None)
            )
            if plan.table.t_test:
                line[f"{key}_t_test_p"] = result.t_tests.get(key)
        for key in plan.table.row_keys:
            line[key] = result.row_values.get(key)
            line[f"{key}_published"] = published.get(key, (None, None))[0]
        if (difference := result.dice_difference) is not None:
            for name in ("mean", "low", "high"):
                line[f"dice_difference_{name}"] = 100 * getattr(difference, name)
            line["dice_difference_p"], line["dice_difference_n"] = difference.p, difference.n
        rows.append(line)
    return pd.DataFrame(rows)
