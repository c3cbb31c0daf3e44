"""Table 1 of Song & Huang 2018 as printed: Dice alone, without deviations."""

from __future__ import annotations

from nnunetv2_strokesynth.papers.shared.published import printed_table

PAPER = "Song & Huang 2018"

TABLE_1 = printed_table(
    {
        "U-Net + CE": ((53, None),),
        "U-Net + CE + GD": ((55, None),),
        "AU-Net + CE + GD": ((56, None),),
        "AU-Net + CE + GD + G": ((58, None),),
        "AU-Net + CE + GD + G + SDF": ((59, None),),
        "AU-Net + CE + GD + G + SDF + SN": ((60, None),),
        "AU-Net + CE + GD + G + SDF + SN + E": ((61, None),),
        "AU-Net + CE + GD + G + SDF + SN + E + BN": ((62, None),),
    },
    keys=("dice",),
    paper=PAPER,
    where="Table 1",
    data="ISLES 2018 training set, 4-fold cross-validation",
    digits=0,
)

WHOLE_SYSTEMS = TABLE_1
