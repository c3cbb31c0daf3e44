"""Table 1 and Fig. 3 of Abulnaga & Rubin 2018: which trainer is which row."""

from __future__ import annotations

from functools import partial

from nnunetv2_strokesynth.papers.abulnaga2018 import published
from nnunetv2_strokesynth.papers.shared.paper_table import (
    PaperTable,
    TableRow,
    shown_as_bars,
    with_published,
)

_pspnet = partial(TableRow, base_features=None)
_vnet = partial(TableRow, configuration="3d_fullres", base_features=16)

TABLE_1 = PaperTable(
    name="abulnaga2018",
    paper=published.PAPER,
    where="Table 1",
    title="networks and losses (the paper prints figures for the pre-trained PSPNet only)",
    keys=("dice", "precision", "recall"),
    rows=with_published(
        published.TABLE_1,
        (
            _pspnet("PSPNet, focal loss", "Abulnaga2018Trainer"),
            _pspnet("PSPNet, cross entropy", "Abulnaga2018Trainer_CE"),
        ),
    )
    + shown_as_bars(
        (
            _pspnet("PSPNet, weighted cross entropy", "Abulnaga2018Trainer_WCE"),
            TableRow("2-D U-Net, focal loss", "Abulnaga2018Trainer_UNet2D"),
            TableRow("2-D U-Net, cross entropy", "Abulnaga2018Trainer_UNet2DCE"),
            TableRow(
                "3-D U-Net, focal loss", "Abulnaga2018Trainer_UNet3D", configuration="3d_fullres"
            ),
            TableRow(
                "3-D U-Net, cross entropy",
                "Abulnaga2018Trainer_UNet3DCE",
                configuration="3d_fullres",
            ),
            _vnet("V-Net, focal loss", "Abulnaga2018Trainer_VNet"),
            _vnet("V-Net, cross entropy", "Abulnaga2018Trainer_VNetCE"),
        ),
        paper=published.PAPER,
        where="Fig. 3",
        data=published.CROSS_VALIDATION,
    ),
    proposed="Abulnaga2018Trainer",
    published_on="paper (ISLES 2018, 5-fold cross-validation, ± over folds)",
    epochs=200,
    epoch_length="one pass over the training slices (3-D: scans)",
)

TABLES = (TABLE_1,)
