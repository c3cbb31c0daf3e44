"""Table 2 and Fig. 9 of Gómez 2023: which trainer is which row."""

from __future__ import annotations

from functools import partial

from nnunetv2_strokesynth.papers.gomez2023 import published
from nnunetv2_strokesynth.papers.shared.paper_table import (
    PaperTable,
    TableRow,
    shown_as_bars,
    with_published,
)

_row = partial(TableRow, base_features=32)
_table = partial(
    PaperTable,
    paper=published.PAPER,
    keys=("dice", "precision", "recall"),
    epochs=600,
    keeps_best=False,
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

FIGURE_9 = _table(
    name="gomez2023_mri",
    where="Fig. 9",
    title="class weights, deep supervision, cross-attention on MRI (ISLES 2017)",
    rows=shown_as_bars(
        (
            _row("U-Net", "Gomez2023Trainer_MRIUNet"),
            _row("U-Net + CW", "Gomez2023Trainer_MRICW"),
            _row("U-Net + CW + DS", "Gomez2023Trainer_MRICWDS"),
        ),
        paper=published.PAPER,
        where="Fig. 9",
        data=published.ISLES2017,
    )
    + with_published(published.FIGURE_9, (_row("U-Net + CW + DS + Att", "Gomez2023Trainer_MRI"),)),
    proposed="Gomez2023Trainer_MRI",
    published_on="paper (ISLES 2017, validation split)",
)

TABLES = (TABLE_2, FIGURE_9)
