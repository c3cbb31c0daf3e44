"""ISLES 2024: its winner beside stock nnU-Net and ours; which trainer is which row."""

from __future__ import annotations

from functools import partial

from nnunetv2_strokesynth.papers.isles2024 import published
from nnunetv2_strokesynth.papers.shared.paper_table import PaperTable, TableRow, with_published

RESENC_L = "nnUNetResEncUNetLPlans"
_row = partial(TableRow, base_features=None)
_stock = partial(_row, trainer="StrokeSynthTrainer_Stock")

COMPARISON = PaperTable(
    name="isles2024",
    paper=published.PAPER,
    where="ISLES 2024",
    title="the winner of ISLES 2024 (preset isles2024) beside stock nnU-Net and ours",
    keys=(
        "dice",
        published.AVD,
        "lesion_f1_isles2024",
        "lesion_count_difference",
        "hausdorff95_mm",
    ),
    rows=(
        _stock("nnU-Net 2d", alias="stock_2d"),
        _stock("nnU-Net 3d_fullres", alias="stock_3d", configuration="3d_fullres"),
        _stock(
            "nnU-Net ResEnc-L 3d_fullres",
            alias="resenc_l",
            configuration="3d_fullres",
            plans=RESENC_L,
        ),
        *with_published(
            published.TEST_SET,
            (
                _stock(
                    "winner: windows, equalisation, ResEnc-L",
                    alias="winner",
                    configuration="3d_fullres",
                    plans=RESENC_L,
                    windowed=True,
                ),
            ),
        ),
        _row("StrokeSynthTrainer", "StrokeSynthTrainer"),
    ),
    proposed="winner",
    published_on="paper (ISLES 2024 test set)",
    epochs=1000,
    epoch_length="250",
    keeps_best=False,
)

TABLES = (COMPARISON,)
