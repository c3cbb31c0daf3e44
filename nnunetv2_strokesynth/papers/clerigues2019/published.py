"""Tables 1 and 2 of Clèrigues et al. 2019 as printed.

Table 2 is the challenge's leaderboard on 25 June 2019. Its Hausdorff distances are in millions,
since a missed lesion counts there with a penalty of 1e8 mm.
"""

from __future__ import annotations

from nnunetv2_strokesynth.papers.shared.published import (
    ISLES2018_TEST,
    MIN_SIZE,
    PENALISED,
    R2,
    THRESHOLD,
    in_system_columns,
    printed_table,
)

PAPER = "Clèrigues et al. 2019"

TABLE_1 = printed_table(
    {
        "baseline": ((0.4, None), (200, None), (49.0, 23.6), (46.9, 29.5), (57.2, 26.7),
                     (29.5, 18.9), (0.67, None)),
        "single + RT": ((0.1, None), (300, None), (53.5, 24.6), (51.8, 28.9), (66.0, 25.5),
                        (29.8, 23.9), (0.74, None)),
        "single + RT + SM": ((0.2, None), (200, None), (54.8, 24.8), (58.3, 29.8), (63.7, 25.3),
                             (26.6, 19.9), (0.78, None)),
        "single + RT + SM + UF (proposed)": (
            (0.2, None), (200, None), (54.7, 24.2), (57.8, 29.1), (60.9, 25.0), (23.5, 15.8),
            (0.82, None)),
    },
    keys=(THRESHOLD, MIN_SIZE, "dice", "precision", "recall", "hausdorff_mm", R2),
    digits_of={MIN_SIZE: 0, R2: 2},
    paper=PAPER,
    where="Table 1",
    data="ISLES 2018 training set (94 scans), 5-fold cross-validation",
    digits=1,
)  # fmt: skip

LEADERBOARD = printed_table(
    {
        "songt1": ((51, 31), (55, 36), (55, 34), (19.4, 39.5)),
        "proposed, five networks (clera2)": ((49, 31), (51, 36), (57, 35), (11.3, 31.6)),
        "pengl1": ((49, 31), (56, 37), (53, 33), (19.4, 39.5)),
        "zhans10": ((49, 32), (53, 35), (54, 35), (17.7, 38.2)),
        "cheny11": ((48, 32), (59, 38), (46, 33), (9.7, 29.6)),
        "lilic2": ((48, 32), (48, 34), (60, 36), (17.7, 38.2)),
        "lily8": ((48, 31), (50, 36), (55, 34), (19.4, 39.5)),
        "lily2": ((47, 32), (53, 36), (47, 32), (16.1, 36.8)),
        "xiaoh3": ((47, 31), (56, 37), (49, 33), (19.4, 39.5)),
        "zhuoj2": ((47, 32), (51, 36), (54, 36), (11.3, 31.6)),
    },
    keys=("dice", "precision", "recall", PENALISED),
    paper=PAPER,
    where="Table 2",
    data=ISLES2018_TEST,
    digits=0,
    digits_of={PENALISED: 1},
)

# The other entries of the leaderboard are other systems: a report shows the proposed one.
WHOLE_SYSTEMS = in_system_columns((*TABLE_1, LEADERBOARD[1]))
