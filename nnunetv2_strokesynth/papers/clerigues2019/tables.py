"""Tables 1 and 2 of Clèrigues et al. 2019: which trainer is which row."""

from __future__ import annotations

from functools import partial

from nnunetv2_strokesynth.papers.clerigues2019 import published
from nnunetv2_strokesynth.papers.shared.paper_table import PaperTable, TableRow, with_published
from nnunetv2_strokesynth.papers.shared.published import MIN_SIZE, PENALISED, R2, THRESHOLD

_row = partial(TableRow, configuration="2d_patch64", base_features=8)
_small = partial(TableRow, configuration="2d_patch48", base_features=8)
_table = partial(
    PaperTable,
    paper=published.PAPER,
    proposed="Clerigues2019Trainer",
    epochs=100,
    epoch_length="4000 patches of each training scan",
    tuned=True,
    averages_probabilities=True,
)

TABLE_1 = _table(
    name="clerigues2019",
    where="Table 1",
    title="regularised training, mirrored modalities, dropout in prediction (preset clerigues2019)",
    keys=("dice", "precision", "recall", "hausdorff_mm"),
    row_keys=(THRESHOLD, MIN_SIZE, R2),
    t_test=True,
    rows=with_published(
        published.TABLE_1,
        (
            _small("Baseline", "Clerigues2019Trainer_Baseline"),
            _row("Single + RT", "Clerigues2019Trainer_RT"),
            _row("Single + RT + SM", "Clerigues2019Trainer_RTSM"),
            _row("Single + RT + SM + UF", "Clerigues2019Trainer"),
        ),
    )
    # Section 4.1: with patches of 64 pixels the baseline lost 4 points of Dice, "Single" none.
    # Section 3.1: sizes from 16 to 96 pixels were tried, and 64 chosen; no figures.
    + (
        _row("Baseline, 64x64 patches", "Clerigues2019Trainer_Baseline64"),
        *(
            _row(
                f"Single + RT, {side}x{side} patches",
                f"Clerigues2019Trainer_RT{side}",
                configuration=f"2d_patch{side}",
            )
            for side in (16, 32, 48, 96)
        ),
    ),
    published_on="paper (ISLES 2018, 5-fold cross-validation, post-processed)",
)

TABLE_2 = _table(
    name="clerigues2019_test",
    where="Table 2",
    title="test set of ISLES 2018, mean probability of the five folds, post-processed",
    keys=("dice", "precision", "recall", PENALISED),
    row_keys=(THRESHOLD, MIN_SIZE, R2),
    rows=with_published(
        published.LEADERBOARD,
        tuple(
            _row("Single + RT + SM + UF, five networks", "Clerigues2019Trainer")
            if "proposed" in entry.method
            else TableRow(entry.method, "")
            for entry in published.LEADERBOARD
        ),
    ),
    published_on="paper (ISLES 2018 test set, 62 scans)",
    on_test_set=True,
)

TABLES = (TABLE_1, TABLE_2)
