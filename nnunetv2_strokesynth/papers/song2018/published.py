"""Table 1 of Song & Huang 2018 as printed: Dice alone, without deviations.

They print no figures of the test set, where they won; the leaderboard is printed by others.
"""

from __future__ import annotations

from nnunetv2_strokesynth.papers.shared.published import (
    ISLES2018_TEST,
    PENALISED,
    printed_table,
)

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

LEADERBOARD = printed_table(
    {"ensemble of the four folds (songt1)": ((51, 31), (55, 36), (55, 34), (19.4, 39.5))},
    keys=("dice", "precision", "recall", PENALISED),
    paper=PAPER,
    where="leaderboard of June 2019",
    data=ISLES2018_TEST,
    digits=0,
    digits_of={PENALISED: 1},
    note="printed by Clèrigues et al. 2019, Table 2",
)

WHOLE_SYSTEMS = TABLE_1
