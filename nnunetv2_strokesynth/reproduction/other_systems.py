"""The tables of Clerigues et al. 2019, Gomez 2023 and Abulnaga & Rubin 2018."""

from __future__ import annotations

from nnunetv2_strokesynth.reporting.published import (
    ISLES2017,
    Published,
)
from nnunetv2_strokesynth.reproduction.table import (
    PaperTable,
    TableRow,
    printed_rows,
)

CLERIGUES, GOMEZ, ABULNAGA = "Clèrigues et al. 2019", "Gómez 2023", "Abulnaga & Rubin 2018"


def _not_printed(paper: str, figure: str, data: str, *rows: TableRow) -> tuple[TableRow, ...]:
    """Rows that the paper shows as bars, without a number."""
    return tuple(
        row._replace(published=Published(paper, figure, row.label, data, 0, {})) for row in rows
    )


def _rows(paper: str, where: str, *rows: TableRow) -> tuple[TableRow, ...]:
    """Rows with what the paper printed, in the same order."""
    return tuple(
        row._replace(published=published)
        for row, published in zip(rows, printed_rows(paper, where), strict=True)
    )


def _clerigues(label: str, name: str, patch_side: int = 64) -> TableRow:
    trainer = f"Clerigues2019Trainer_{name}".rstrip("_")
    return TableRow(label, trainer, configuration=f"2d_patch{patch_side}", base_features=8)


def _gomez(label: str, name: str) -> TableRow:
    return TableRow(label, f"Gomez2023Trainer_{name}".rstrip("_"), base_features=32)


def _abulnaga(
    label: str, name: str, base_features: int | None, configuration: str = "2d"
) -> TableRow:
    trainer = f"Abulnaga2018Trainer_{name}".rstrip("_")
    return TableRow(label, trainer, configuration=configuration, base_features=base_features)


OTHER_SYSTEMS: dict[str, PaperTable] = {
    "clerigues2019": PaperTable(
        1,
        "regularised training, mirrored modalities, dropout in prediction (preset clerigues2019)",
        ("dice", "precision", "recall", "hausdorff_mm"),
        _rows(
            CLERIGUES,
            "Table 1",
            _clerigues("Baseline", "Baseline", patch_side=48),
            _clerigues("Single + RT", "RT"),
            _clerigues("Single + RT + SM", "RTSM"),
            _clerigues("Single + RT + SM + UF", ""),
        ),
        "Clerigues2019Trainer",
        "paper (ISLES 2018, 5-fold cross-validation, post-processed)",
        CLERIGUES,
        100,
        name="clerigues2019",
        epoch="4000 patches of each training scan",
    ),
    "gomez2023": PaperTable(
        2,
        "class weights, deep supervision, cross-attention, auxiliary boundary class",
        ("dice", "precision", "recall"),
        _rows(
            GOMEZ,
            "Table 2",
            _gomez("U-Net, binary", "UNetBinary"),
            _gomez("U-Net, auxiliary class", "UNetAux"),
            _gomez("U-Net + CW + DS, binary", "CWDSBinary"),
            _gomez("U-Net + CW + DS, auxiliary class", "CWDSAux"),
            _gomez("U-Net + CW + DS + Att, binary", "AttBinary"),
            _gomez("U-Net + CW + DS + Att, auxiliary class", ""),
        ),
        "Gomez2023Trainer",
        "paper (ISLES 2018, validation split)",
        GOMEZ,
        600,
        name="gomez2023",
        keeps_best=False,
    ),
    "gomez2023_mri": PaperTable(
        9,
        "class weights, deep supervision, cross-attention on MRI (ISLES 2017)",
        ("dice", "precision", "recall"),
        _not_printed(
            GOMEZ,
            "Fig. 9",
            ISLES2017,
            _gomez("U-Net", "MRIUNet"),
            _gomez("U-Net + CW", "MRICW"),
            _gomez("U-Net + CW + DS", "MRICWDS"),
        )
        + _rows(GOMEZ, "Fig. 9", _gomez("U-Net + CW + DS + Att", "MRI")),
        "Gomez2023Trainer_MRI",
        "paper (ISLES 2017, validation split)",
        GOMEZ,
        600,
        name="gomez2023_mri",
        keeps_best=False,
        figure="Fig. 9",
    ),
    "abulnaga2018": PaperTable(
        1,
        "networks and losses (the paper prints figures for the pre-trained PSPNet only)",
        ("dice", "precision", "recall"),
        _rows(
            ABULNAGA,
            "Table 1",
            _abulnaga("PSPNet, focal loss", "", None),
            _abulnaga("PSPNet, cross entropy", "CE", None),
        )
        + _not_printed(
            ABULNAGA,
            "Fig. 3",
            "ISLES 2018 training set, 5-fold cross-validation",
            _abulnaga("PSPNet, weighted cross entropy", "WCE", None),
            _abulnaga("2-D U-Net, focal loss", "UNet2D", 64),
            _abulnaga("2-D U-Net, cross entropy", "UNet2DCE", 64),
            _abulnaga("3-D U-Net, focal loss", "UNet3D", 64, "3d_fullres"),
            _abulnaga("3-D U-Net, cross entropy", "UNet3DCE", 64, "3d_fullres"),
            _abulnaga("V-Net, focal loss", "VNet", 16, "3d_fullres"),
            _abulnaga("V-Net, cross entropy", "VNetCE", 16, "3d_fullres"),
        ),
        "Abulnaga2018Trainer",
        "paper (ISLES 2018, 5-fold cross-validation, ± over folds)",
        ABULNAGA,
        200,
        name="abulnaga2018",
        epoch="one pass over the training slices (3-D: scans)",
    ),
}
