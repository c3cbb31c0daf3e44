"""Tables 1 and 2 of Abulnaga & Rubin 2018 as printed."""

from __future__ import annotations

from nnunetv2_strokesynth.papers.shared.published import ISLES2018_TEST, printed_table

PAPER = "Abulnaga & Rubin 2018"
CROSS_VALIDATION = "ISLES 2018 training set, 5-fold cross-validation"

TABLE_1 = printed_table(
    {
        "pre-trained PSPNet, focal loss": ((54, 9),),
        "pre-trained PSPNet, cross entropy": ((49, 11),),
    },
    keys=("dice",),
    paper=PAPER,
    where="Table 1",
    data=CROSS_VALIDATION,
    digits=0,
    note="± over folds, not over scans",
)

TABLE_2 = printed_table(
    {"ensemble of ten PSPNets": ((44, None), (59, None), (43, None))},
    keys=("dice", "precision", "recall"),
    paper=PAPER,
    where="Table 2",
    data=ISLES2018_TEST,
    digits=0,
)

WHOLE_SYSTEMS = (*TABLE_1, *TABLE_2)
