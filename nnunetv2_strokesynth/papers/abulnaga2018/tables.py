"""Tables 1 and 2 and Fig. 3 of Abulnaga & Rubin 2018: which trainer is which row."""

from __future__ import annotations

from functools import partial

from nnunetv2_strokesynth.papers.abulnaga2018 import published
from nnunetv2_strokesynth.papers.shared.paper_table import (
    PaperTable,
    TableRow,
    shown_as_bars,
    with_published,
)
from nnunetv2_strokesynth.papers.shared.published import PENALISED, PENALISED_ASSD

_scratch = partial(TableRow, base_features=None)
_pretrained = partial(TableRow, base_features=None, pretrained=True)
_unet3d = partial(TableRow, configuration="3d_fullres")
_vnet = partial(TableRow, configuration="3d_fullres", base_features=16)
_table = partial(
    PaperTable,
    paper=published.PAPER,
    epochs=200,
    epoch_length="one pass over the training slices (3-D: scans)",
)
_OF_TABLE_1 = with_published(
    published.TABLE_1,
    (
        _pretrained("PSPNet, pre-trained, focal loss", "Abulnaga2018Trainer_Pretrained"),
        _pretrained("PSPNet, pre-trained, cross entropy", "Abulnaga2018Trainer_PretrainedCE"),
    ),
)

FIGURE_3 = _table(
    name="abulnaga2018",
    where="Fig. 3",
    title="networks and losses (the paper prints figures for the pre-trained PSPNet only)",
    keys=("dice", "precision", "recall"),
    rows=_OF_TABLE_1
    + shown_as_bars(
        (
            _scratch("PSPNet, from scratch, focal loss", "Abulnaga2018Trainer"),
            _scratch("PSPNet, from scratch, cross entropy", "Abulnaga2018Trainer_CE"),
            TableRow("2-D U-Net, focal loss", "Abulnaga2018Trainer_UNet2D"),
            TableRow("2-D U-Net, cross entropy", "Abulnaga2018Trainer_UNet2DCE"),
            _unet3d("3-D U-Net, focal loss", "Abulnaga2018Trainer_UNet3D"),
            _unet3d("3-D U-Net, cross entropy", "Abulnaga2018Trainer_UNet3DCE"),
            _vnet("V-Net, focal loss", "Abulnaga2018Trainer_VNet"),
            _vnet("V-Net, cross entropy", "Abulnaga2018Trainer_VNetCE"),
        ),
        paper=published.PAPER,
        where="Fig. 3",
        data=published.CROSS_VALIDATION,
    )
    # Section 5 names the weighted loss, and no figure shows it.
    + (
        _pretrained("PSPNet, pre-trained, weighted CE", "Abulnaga2018Trainer_PretrainedWCE"),
        _pretrained(
            "PSPNet, pre-trained, weighted CE, w as printed",
            "Abulnaga2018Trainer_PretrainedWCEPrinted",
        ),
        _scratch("PSPNet, from scratch, weighted CE", "Abulnaga2018Trainer_WCE"),
    ),
    proposed="Abulnaga2018Trainer_Pretrained",
    published_on="paper (ISLES 2018, 5-fold cross-validation, ± over folds)",
)

TABLE_1 = _table(
    name="abulnaga2018_folds",
    where="Table 1",
    title="the pre-trained PSPNet fold by fold",
    keys=("dice", "precision", "recall", "hausdorff_mm", "assd_of_means_mm"),
    rows=_OF_TABLE_1,
    proposed="Abulnaga2018Trainer_Pretrained",
    published_on="paper (ISLES 2018, 5-fold cross-validation, ± over folds)",
    per_fold=True,
)

TABLE_2 = _table(
    name="abulnaga2018_test",
    where="Table 2",
    title="test set of ISLES 2018, mean probability of ten networks",
    keys=("dice", PENALISED, PENALISED_ASSD, "precision", "recall", published.AVD),
    rows=with_published(
        published.LEADERBOARD,
        (
            _pretrained(
                "ten pre-trained PSPNets",
                "",
                alias="Abulnaga2018_ensemble",
                members=("Abulnaga2018Trainer_Pretrained", "Abulnaga2018Trainer_PretrainedCE"),
            ),
            TableRow("best of the leaderboard in each column", ""),
        ),
    ),
    proposed="Abulnaga2018_ensemble",
    published_on="paper (ISLES 2018 test set, 62 scans, 1e7 mm for a missed lesion)",
    averages_probabilities=True,
    on_test_set=True,
)

TABLES = (FIGURE_3, TABLE_1, TABLE_2)
