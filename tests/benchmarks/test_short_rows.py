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


def test_the_page_keeps_the_tables_of_earlier_runs(tmp_path):
    line = short_rows.Line("table6", "all", "1 of 2", "2", 1.5, ["StrokeSynthTrainer_Wang2020"])
    short_rows.write_page(tmp_path, line)
    short_rows.write_page(tmp_path, line._replace(table="table5", minutes=0.3))
    text = short_rows.write_page(tmp_path, line._replace(measured="2 of 2", minutes=2.0))
    found = [[cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines()[2:]]
    assert [row[0] for row in found] == ["table5", "table6"]
    assert found[1] == ["table6", "all", "2 of 2", "2", "3.5"]
    assert (tmp_path / "short_rows.md").read_text() == text + "\n"
