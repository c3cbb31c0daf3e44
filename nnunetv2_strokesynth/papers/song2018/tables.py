"""Table 1 and the challenge's test set of Song & Huang 2018: which trainer is which row."""

from __future__ import annotations

from functools import partial

from nnunetv2_strokesynth.papers.shared.paper_table import PaperTable, TableRow, with_published
from nnunetv2_strokesynth.papers.shared.published import PENALISED
from nnunetv2_strokesynth.papers.song2018 import published

_table = partial(
    PaperTable,
    paper=published.PAPER,
    proposed="Song2018Trainer",
    epochs=400,
    epochs_stated=False,
    default_folds=("0", "1", "2", "3"),
)

TABLE_1 = _table(
    name="song2018",
    where="Table 1",
    title="stages, losses and norms of the forerunner (preset song2018)",
    keys=("dice", "precision", "recall", "hausdorff_mm", "assd_mm"),
    rows=with_published(
        published.TABLE_1,
        (
            TableRow("U-Net + CE", "Song2018Trainer_UNetCE"),
            TableRow("U-Net + CE + GD", "Song2018Trainer_UNetCEGD"),
            TableRow("AU-Net + CE + GD", "Song2018Trainer_AUNetCEGD"),
            TableRow("AU-Net + CE + GD + G", "Song2018Trainer_G"),
            TableRow("AU-Net + CE + GD + G + SDF", "Song2018Trainer_GSDF"),
            TableRow("AU-Net + CE + GD + G + SDF + SN", "Song2018Trainer_GSDFSN"),
            TableRow("AU-Net + CE + GD + G + SDF + SN + E", "Song2018Trainer_GSDFSNE"),
            TableRow("AU-Net + CE + GD + G + SDF + SN + E + BN", "Song2018Trainer"),
        ),
    ),
    published_on="paper (ISLES 2018, 4-fold cross-validation)",
)

# Choice: without post-processing, for which the paper gives no rule.
TEST_SET = _table(
    name="song2018_test",
    where="leaderboard of June 2019",
    title="test set of ISLES 2018, mean probability of the four folds",
    keys=("dice", "precision", "recall", PENALISED),
    rows=with_published(
        published.LEADERBOARD,
        (TableRow("AU-Net + CE + GD + G + SDF + SN + E + BN, four networks", "Song2018Trainer"),),
    ),
    published_on="leaderboard (ISLES 2018 test set, 62 scans)",
    averages_probabilities=True,
    on_test_set=True,
)

TABLES = (TABLE_1, TEST_SET)
