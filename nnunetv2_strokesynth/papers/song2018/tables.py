"""Table 1 of Song & Huang 2018: which trainer is which row."""

from __future__ import annotations

from nnunetv2_strokesynth.papers.shared.paper_table import PaperTable, TableRow, with_published
from nnunetv2_strokesynth.papers.song2018 import published

TABLE_1 = PaperTable(
    name="song2018",
    paper=published.PAPER,
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
    proposed="Song2018Trainer",
    published_on="paper (ISLES 2018, 4-fold cross-validation)",
    epochs=400,
    epochs_stated=False,
    default_folds=("0", "1", "2", "3"),
)

TABLES = (TABLE_1,)
