"""The tables as data: which trainer is which row, and what the paper printed there."""

from __future__ import annotations

from nnunetv2_strokesynth.reporting.published import KEYS
from nnunetv2_strokesynth.reporting.published_ablations import (
    SEGMENTATION_KEYS,
    SYNTHESIS_KEYS,
)
from nnunetv2_strokesynth.reproduction.other_systems import OTHER_SYSTEMS
from nnunetv2_strokesynth.reproduction.table import (
    WANG,
    PaperTable,
    TableRow,
    printed_rows,
)

PREFIX = "StrokeSynthTrainer_"
SONG = "Song & Huang 2018"
PROPOSED = f"{PREFIX}Wang2020"


def _rows(
    number: int,
    *names: tuple[str, str],
    paper: str = WANG,
    prefix: str = PREFIX,
    real_dwi: str = "",
    synthesis: bool = False,
) -> tuple[TableRow, ...]:
    """Pairs of label and trainer (without the common prefix) with the published rows, in order."""
    return tuple(
        TableRow(
            label,
            f"{prefix}{name}".rstrip("_") if name or paper != WANG else "",
            published,
            real_dwi=name == real_dwi and bool(name),
            synthesis=synthesis and name != real_dwi,
        )
        for (label, name), published in zip(
            names, printed_rows(paper, f"Table {number}"), strict=True
        )
    )


TABLES: dict[str, PaperTable] = {
    "table1": PaperTable(
        1,
        "loss functions of the pseudo-DWI synthesis (from F_o), segmented by a U-Net with CE",
        SYNTHESIS_KEYS,
        _rows(
            1,
            ("L1", "SynthL1"),
            ("L2", "SynthL2"),
            ("GAN", "SynthGAN"),
            ("L2 + GAN", "SynthL2GAN"),
            ("w-L2", "SynthWL2"),
            ("w-L2 + l_h1", "SynthWL2H1"),
            ("w-L2 + l_h2", "SynthWL2H2"),
            synthesis=True,
        ),
        f"{PREFIX}SynthWL2H1",
    ),
    "table2": PaperTable(
        2,
        "inputs of the pseudo-DWI synthesis, segmented by a U-Net with CE",
        SYNTHESIS_KEYS,
        _rows(
            2,
            ("F_o", "SynthWL2H1"),
            ("F_o, F_l", "SynthFoFl"),
            ("F_o, F_l, F_h*", "SynthFoFlFhStar"),
            ("F_o, F_l, F_h", "SynthFoFlFh"),
            ("Real DWI", "RealDWIUNet"),
            real_dwi="RealDWIUNet",
            synthesis=True,
        ),
        f"{PREFIX}SynthFoFlFh",
    ),
    "table3": PaperTable(
        3,
        "segmentation networks (F_o, CE)",
        SEGMENTATION_KEYS,
        _rows(
            3,
            ("FCN", "SegFCN"),
            ("UNet", "SegUNet"),
            ("R2UNet", "SegR2UNet"),
            ("ResUNet", "SegResUNet"),
            ("SLNet", "SegSLNet"),
            ("SLNet (w/o SE)", "SegNoSE"),
            ("SLNet (w/o SN)", "SegNoSN"),
        ),
        f"{PREFIX}SegSLNet",
    ),
    "table4": PaperTable(
        4,
        "segmentation losses (SLNet, F_o)",
        SEGMENTATION_KEYS,
        _rows(
            4,
            ("L_CE", "SegSLNet"),
            ("L_DICE", "LossDice"),
            ("L_GD", "LossGD"),
            ("L_HGD", "LossHGD"),
            ("L_CE + L_HGD", "LossCEHGD"),
            ("L_WCE + L_HGD", "LossWCEHGD"),
        ),
        f"{PREFIX}LossWCEHGD",
    ),
    "table5": PaperTable(
        5,
        "inputs of the segmentation (SLNet, L_s)",
        KEYS,
        _rows(
            5,
            ("CTA", "FromCTA"),
            ("F_o", "LossWCEHGD"),
            ("DWI^o", "FromDWIo"),
            ("DWI^{o,l}", "FromDWIol"),
            ("DWI^{o,l,h}", "Wang2020"),
            ("DWI^{o,l,h}(s)", "Sequential"),
            ("F_o + DWI^{o,l,h}", "FromFoAndDWI"),
            ("Real DWI", "RealDWI"),
            real_dwi="RealDWI",
        ),
        PROPOSED,
    ),
    "table6": PaperTable(
        6,
        "test set of ISLES 2018, trained on all training scans",
        ("dice", "precision", "recall"),
        _rows(
            6,
            ("Wang et al. (in the paper: Ours)", "Wang2020"),
            ("Liu (2018)", ""),
            ("Chen et al.", ""),
            ("Hu et al.", ""),
            ("Garcia et al.", ""),
        ),
        PROPOSED,
        "paper (ISLES 2018 test set, 62 scans)",
    ),
    "song2018": PaperTable(
        1,
        "stages, losses and norms of the forerunner (preset song2018)",
        ("dice", "precision", "recall", "hausdorff_mm", "assd_mm"),
        _rows(
            1,
            ("U-Net + CE", "UNetCE"),
            ("U-Net + CE + GD", "UNetCEGD"),
            ("AU-Net + CE + GD", "AUNetCEGD"),
            ("AU-Net + CE + GD + G", "G"),
            ("AU-Net + CE + GD + G + SDF", "GSDF"),
            ("AU-Net + CE + GD + G + SDF + SN", "GSDFSN"),
            ("AU-Net + CE + GD + G + SDF + SN + E", "GSDFSNE"),
            ("AU-Net + CE + GD + G + SDF + SN + E + BN", ""),
            paper=SONG,
            prefix="Song2018Trainer_",
        ),
        "Song2018Trainer",
        "paper (ISLES 2018, 4-fold cross-validation)",
        SONG,
        400,
        False,
        "song2018",
    ),
    **OTHER_SYSTEMS,
}

REAL_DWI_TRAINERS = frozenset(
    row.trainer for table in TABLES.values() for row in table.rows if row.real_dwi
)


def with_further_rows(table: PaperTable, trainers: list[str]) -> PaperTable:
    """The table with rows that the paper does not have at its end, one per trainer.

    Their pseudo-DWI is not measured: not every trainer has one.

    Raises:
        ValueError: a trainer is a row already.
    """
    for trainer in trainers:
        if trainer in table.trainers:
            raise ValueError(f"--also {trainer}: it is a row of {table.file_name} already")
    further = (
        TableRow(trainer, trainer, real_dwi=trainer in REAL_DWI_TRAINERS)
        for trainer in dict.fromkeys(trainers)
    )
    return table._replace(rows=(*table.rows, *further))
