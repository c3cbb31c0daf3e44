"""Tables 1 and 2, Fig. 8 and 9 of Gómez 2023: which trainer is which row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from nnunetv2_strokesynth.papers.gomez2023 import published
from nnunetv2_strokesynth.papers.gomez2023.subset_names import (
    COMBINATIONS,
    COMPONENTS,
    SINGLE_MAPS,
    subset_name,
)
from nnunetv2_strokesynth.papers.shared.paper_table import (
    PaperTable,
    TableRow,
    shown_as_bars,
    with_published,
)
from nnunetv2_strokesynth.papers.shared.published import Published

_row = partial(TableRow, base_features=32)
_bars = partial(shown_as_bars, paper=published.PAPER, data=published.ISLES2017)
_table = partial(
    PaperTable,
    paper=published.PAPER,
    keys=("dice", "precision", "recall"),
    epochs=600,
    keeps_best=False,
    # "We randomly left out" 19 of 94 and 9 of 43 scans: a fifth, as fold 0 is.
    default_folds=("0",),
)

TABLE_2 = _table(
    name="gomez2023",
    where="Table 2",
    title="class weights, deep supervision, cross-attention, auxiliary boundary class",
    rows=with_published(
        published.TABLE_2,
        (
            _row("U-Net, binary", "Gomez2023Trainer_UNetBinary"),
            _row("U-Net, auxiliary class", "Gomez2023Trainer_UNetAux"),
            _row("U-Net + CW + DS, binary", "Gomez2023Trainer_CWDSBinary"),
            _row("U-Net + CW + DS, auxiliary class", "Gomez2023Trainer_CWDSAux"),
            _row("U-Net + CW + DS + Att, binary", "Gomez2023Trainer_AttBinary"),
            _row("U-Net + CW + DS + Att, auxiliary class", "Gomez2023Trainer"),
        ),
    ),
    proposed="Gomez2023Trainer",
    published_on="paper (ISLES 2018, validation split)",
)


def _figure(
    printed: tuple[Published, ...], where: str, subsets: Sequence[tuple[str, ...] | None]
) -> tuple[TableRow, ...]:
    """A row for each subset of the maps and each component; None: all maps."""
    figures = {entry.method: entry for entry in printed}
    rows = []
    for maps in subsets:
        for component, base in COMPONENTS.items():
            label = f"{' + '.join(maps) if maps else 'all six maps'}, {component}"
            trainer = subset_name(base, maps) if maps else base
            (bar,) = _bars(rows=(_row(label, trainer),), where=where)
            rows.append(replace(bar, published=figures.get(label, bar.published)))
    return tuple(rows)


FIGURE_8 = _table(
    name="gomez2023_single",
    where="Fig. 8",
    title="class weights, deep supervision, cross-attention on single MRI maps (ISLES 2017)",
    rows=_figure(published.FIGURE_8, "Fig. 8", SINGLE_MAPS),
    proposed="Gomez2023Trainer_MRI_TTP",
    published_on="paper (ISLES 2017, validation split)",
)

FIGURE_9 = _table(
    name="gomez2023_mri",
    where="Fig. 9",
    title="class weights, deep supervision, cross-attention on several MRI maps (ISLES 2017)",
    rows=_figure(published.FIGURE_9, "Fig. 9", (*COMBINATIONS, None)),
    proposed="Gomez2023Trainer_MRI_ADC_TTP_Tmax",
    published_on="paper (ISLES 2017, validation split)",
)

TABLE_1 = _table(
    name="gomez2023_test",
    where="Table 1",
    title="test set of ISLES 2017",
    rows=with_published(
        published.TABLE_1,
        (
            *(TableRow(entry.method, "") for entry in published.TABLE_1[:6]),
            _row("ADC + TTP", "Gomez2023Trainer_MRI_ADC_TTP"),
            _row("ADC + Tmax", "Gomez2023Trainer_MRI_ADC_Tmax"),
            _row("ADC + TTP + Tmax", "Gomez2023Trainer_MRI_ADC_TTP_Tmax"),
        ),
    ),
    proposed="Gomez2023Trainer_MRI_ADC_TTP_Tmax",
    published_on="paper (ISLES 2017 test set, 32 scans)",
    on_test_set=True,
)

TABLES = (TABLE_2, FIGURE_8, FIGURE_9, TABLE_1)
