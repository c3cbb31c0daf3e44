"""Tables 1 and 2 of Abulnaga & Rubin 2018 as printed.

Table 2 is the challenge's leaderboard in October 2018. Its Hausdorff distances and ASSD are in
millions, since a missed lesion counted with a penalty, of 1e7 mm at that time.
"""

from __future__ import annotations

from dataclasses import replace

from nnunetv2_strokesynth.papers.shared.published import (
    ISLES2018_TEST,
    PENALISED,
    PENALISED_ASSD,
    in_system_columns,
    printed_table,
)

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
_FOLDS = ((64, 42, 48, 55, 58), (64, 37, 50, 54, 41))
TABLE_1 = tuple(replace(entry, folds=folds) for entry, folds in zip(TABLE_1, _FOLDS, strict=True))

AVD = "absolute_volume_difference_ml"
LEADERBOARD = printed_table(
    {
        "ensemble of ten PSPNets": (
            (44, None), (1.62, None), (1.62, None), (59, None), (43, None), (10.18, None)),
        "best of each column": (
            (51, None), (0.97, None), (0.97, None), (62, None), (58, None), (10.08, None)),
    },
    keys=("dice", PENALISED, PENALISED_ASSD, "precision", "recall", AVD),
    paper=PAPER,
    where="Table 2",
    data=ISLES2018_TEST,
    digits=0,
    digits_of={PENALISED: 2, PENALISED_ASSD: 2, AVD: 2},
)  # fmt: skip

WHOLE_SYSTEMS = in_system_columns((*TABLE_1, LEADERBOARD[0]))
