"""The driver of the papers' newer rows: what it runs, and when a row counts as measured."""

import numpy as np
import pandas as pd

from benchmarks import short_rows
from nnunetv2_strokesynth.papers.tables import TABLES


def test_it_runs_rows_that_exist_on_data_that_it_makes():
    data = {data.number: data for data in short_rows.DATA}
    layouts = {phantom.layout for phantom in short_rows.PHANTOMS}
    assert {entry.phantom for entry in data.values()} == layouts
    for run in short_rows.RUNS:
        assert set(run.rows) <= set(TABLES[run.table].names)
        assert run.dataset in data


def test_rows_that_only_this_project_has_are_among_them():
    """Rows beside a paper's own are the newest, and no other run trains them."""
    run_at_all = {run.table: run.rows or TABLES[run.table].names for run in short_rows.RUNS}
    for name, table in TABLES.items():
        ours = {row.name for row in table.rows if row.name and row.published is None}
        assert ours <= set(run_at_all.get(name, ())), name


def test_a_row_counts_where_its_dice_was_measured():
    names = [row.name for row in TABLES["gomez2023_test"].rows]
    table = pd.DataFrame({"dice_mean": np.nan, "scans": np.nan}, index=range(len(names)))
    assert short_rows.measured_scans(table, "gomez2023_test") == {}
    table.loc[len(names) - 1] = [0.0, 2]
    assert short_rows.measured_scans(table, "gomez2023_test") == {names[-1]: 2}
