"""What papers printed: as typed from the papers, from a known source, in known columns."""

from __future__ import annotations

import pytest

from nnunetv2_strokesynth.evaluation.columns import COLUMN_BY_KEY
from nnunetv2_strokesynth.papers.published import PUBLISHED, by_source
from nnunetv2_strokesynth.papers.shared.published import SYSTEM_KEYS, value_cell
from nnunetv2_strokesynth.papers.wang2020 import published as wang2020

# Typed from the papers: paper, place, beginning of the method, column, what is printed there.
PRINTED = (
    ("Wang et al. 2020", "Table 5", "pseudo-DWI from F_o, F_l, F_h", "dice", "62.11 ± 17.18"),
    ("Wang et al. 2020", "Table 5", "pseudo-DWI from F_o, F_l, F_h", "hausdorff_mm",
     "19.27 ± 13.17"),
    ("Wang et al. 2020", "Table 5", "segmented from CTA", "precision", "65.63 ± 23.08"),
    ("Wang et al. 2020", "Table 5", "segmented from perfusion", "recall", "73.51 ± 17.48"),
    ("Wang et al. 2020", "Table 5", "real DWI", "assd_mm", "1.35 ± 2.77"),
    ("Wang et al. 2020", "Table 5", "real DWI", "relative_volume_error", "0.24 ± 0.24"),
    ("Wang et al. 2020", "Table 6", "proposed", "dice", "51 ± 31"),
    ("Wang et al. 2020", "Table 6", "Chen", "precision", "59 ± 38"),
    ("Song & Huang 2018", "Table 1", "AU-Net + CE + GD + G + SDF + SN + E + BN", "dice", "62"),
    ("Clèrigues et al. 2019", "Table 1", "single + RT + SM + UF", "dice", "54.7 ± 24.2"),
    ("Clèrigues et al. 2019", "Table 1", "baseline", "hausdorff_mm", "29.5 ± 18.9"),
    ("Clèrigues et al. 2019", "Table 2", "proposed", "recall", "57 ± 35"),
    ("Gómez 2023", "Table 2", "U-Net + CW + DS + Att, auxiliary", "dice", "64.3 ± 18.5"),
    ("Gómez 2023", "section 6", "proposed", "dice", "42 ± 31"),
    ("Abulnaga & Rubin 2018", "Table 1", "pre-trained PSPNet, focal", "dice", "54 ± 9"),
    ("Abulnaga & Rubin 2018", "Table 2", "ensemble", "precision", "59"),
)  # fmt: skip


@pytest.mark.parametrize(("paper", "where", "method", "key", "text"), PRINTED)
def test_published_figures_as_printed(paper, where, method, key, text):
    rows = [r for r in PUBLISHED if r.paper == paper and r.where.startswith(where)]
    row = next(r for r in rows if r.method.startswith(method))
    assert value_cell(row, key) == text


def test_published_rows_name_source_and_data_and_known_columns():
    for row in PUBLISHED:
        assert row.paper and row.where and row.data and set(row.values) <= set(SYSTEM_KEYS)
    assert sum(r.where == "Table 5" for r in PUBLISHED) == 8
    assert sum(r.paper.startswith("Wang") and r.where == "Table 6" for r in PUBLISHED) == 5
    assert sum(len(group) for group in by_source()) == len(PUBLISHED)
    assert all(key in COLUMN_BY_KEY for key in SYSTEM_KEYS)


def test_ablations_stay_out_of_the_report():
    ablations = (*wang2020.TABLE_1, *wang2020.TABLE_2, *wang2020.TABLE_3, *wang2020.TABLE_4)
    printed = {(row.paper, row.where) for row in PUBLISHED}
    assert not {(row.paper, row.where) for row in ablations} & printed
