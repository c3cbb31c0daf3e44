from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from nnunetv2_strokesynth.evaluation.columns import (
    COLUMNS,
    size_group,
)
from nnunetv2_strokesynth.evaluation.tables import (
    Table,
    compare,
    comparison_table,
    summarise,
    summary_tables,
    to_markdown,
    volume_table,
)


@pytest.fixture
def cases() -> pd.DataFrame:
    """Sets A and B of three cases with 5, 10 and 80 mL; no pseudo-DWI."""
    rows = []
    for name, shift in (("A", 0.0), ("B", -0.1)):
        for case_id, true_ml, dice, hd in (("a", 5.0, 0.5, np.nan), ("b", 10.0, 0.7, 8.0),
                                           ("c", 80.0, 0.9, 4.0)):  # fmt: skip
            of_pseudo_dwi = ("synthesis", "visibility")
            row = {column.key: 1.0 for column in COLUMNS if column.table not in of_pseudo_dwi}
            row |= {column.key: np.nan for column in COLUMNS if column.table in of_pseudo_dwi}
            row |= {"predictions": name, "case_id": case_id, "size_group": size_group(true_ml)}
            row |= {"volume_gt_ml": true_ml, "volume_pred_ml": true_ml + 1}
            rows.append(row | {"dice": dice + shift, "hausdorff_mm": hd})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("volume_ml", "group"),
    [(0, "< 10 mL"), (9.99, "< 10 mL"), (10, "10-50 mL"), (50, "10-50 mL"), (50.1, "> 50 mL")],
)
def test_size_groups(volume_ml, group):
    assert size_group(volume_ml) == group


def test_summary_by_hand(cases):
    summary = summarise(cases)["A"]
    assert summary["all"]["dice"].mean == pytest.approx(0.7)
    assert summary["all"]["dice"].sd == pytest.approx(0.2)
    assert summary["> 50 mL"]["dice"].mean == pytest.approx(0.9)
    assert summary["all"]["hausdorff_mm"].not_countable == 1


def test_table_in_the_papers_form(cases):
    tables = summary_tables(cases)
    assert len(tables) == 2  # nothing about a pseudo-DWI that was not there
    table = tables[0]
    row = dict(zip(table.header, table.rows[0], strict=True))
    assert row["Dice (%)"] == "70.00 ± 20.00"
    assert row["HD (mm)"] == "6.00 ± 2.83 (1 n.c.)"
    assert (row["Predictions"], row["True volume"], row["n"]) == ("A", "all", "3")
    small = dict(zip(table.header, table.rows[1], strict=True))
    assert small["Dice (%)"] == "50.00" and small["HD (mm)"] == "–"
    assert [row[0] for row in table.rows] == ["A"] * 4 + ["B"] * 4


def test_set_without_pseudo_dwi_has_no_rows_about_it(cases):
    cases.loc[cases["predictions"] == "A", "ssim_global"] = 0.8
    synthesis = summary_tables(cases)[-1]
    assert {row[0] for row in synthesis.rows} == {"A"} and synthesis.rows[0][3] == "0.80 ± 0.00"


def test_comparison_is_first_minus_second_by_case(cases):
    cases = cases.sample(frac=1, random_state=0).sort_values("predictions", kind="stable")
    comparison = compare(cases)
    assert comparison["dice"].mean == pytest.approx(0.1)
    assert comparison["hausdorff_mm"].n == 2 and comparison["hausdorff_mm"].not_countable == 1
    assert "ssim_global" not in comparison
    rows = {row[0]: row for row in comparison_table(comparison, ["A", "B"]).rows}
    assert rows["Dice (%)"][1:3] == ("+10.00", "+10.00 to +10.00")
    assert rows["Dice (%)"][-1] == "A" and rows["HD (mm)"][-1] == "–"


def test_lower_is_better_for_distances(cases):
    cases.loc[cases["predictions"] == "B", "hausdorff_mm"] -= 1
    rows = {row[0]: row for row in comparison_table(compare(cases), ["A", "B"]).rows}
    assert rows["HD (mm)"][1] == "+1.00" and rows["HD (mm)"][-1] == "B"


def test_comparison_needs_two_sets_with_common_cases(cases):
    with pytest.raises(ValueError, match="two sets"):
        compare(cases[cases["predictions"] == "A"])
    cases.loc[cases["predictions"] == "B", "case_id"] = ["x", "y", "z"]
    with pytest.raises(ValueError, match="share no case"):
        compare(cases)


def test_volume_table(cases):
    row = dict(zip(volume_table(cases).header, volume_table(cases).rows[0], strict=True))
    assert row["Bias (mL)"] == "1.00" and row["Pearson r²"] == "1.000"
    total = np.sum((np.array([5, 10, 80]) - 95 / 3) ** 2)
    assert row["R² (1 - SSres/SStot)"] == f"{1 - 3 / total:.3f}"


def test_markdown():
    table = Table("A & B_1, R²", ("Predictions", "Dice (%)"), (("a|b", "1.00 ± 2.00"), ("<", "–")))
    assert to_markdown(table).splitlines() == [
        "**A & B_1, R²**", "", "| Predictions | Dice (%) |", "| --- | --- |",
        "| a\\|b | 1.00 ± 2.00 |", "| < | – |",
    ]  # fmt: skip
