"""Table 1 of Clèrigues et al. 2019: which trainer is which row."""

from __future__ import annotations

from functools import partial

from nnunetv2_strokesynth.papers.clerigues2019 import published
from nnunetv2_strokesynth.papers.shared.paper_table import PaperTable, TableRow, with_published

_row = partial(TableRow, configuration="2d_patch64", base_features=8)

TABLE_1 = PaperTable(
    name="clerigues2019",
    paper=published.PAPER,
    where="Table 1",
    title="regularised training, mirrored modalities, dropout in prediction (preset clerigues2019)",
    keys=("dice", "precision", "recall", "hausdorff_mm"),
    rows=with_published(
        published.TABLE_1,
        (
            _row("Baseline", "Clerigues2019Trainer_Baseline", configuration="2d_patch48"),
            _row("Single + RT", "Clerigues2019Trainer_RT"),
            _row("Single + RT + SM", "Clerigues2019Trainer_RTSM"),
            _row("Single + RT + SM + UF", "Clerigues2019Trainer"),
        ),
    ),
    proposed="Clerigues2019Trainer",
    published_on="paper (ISLES 2018, 5-fold cross-validation, post-processed)",
    epochs=100,
    epoch_length="4000 patches of each training scan",
)

TABLES = (TABLE_1,)
