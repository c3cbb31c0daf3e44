"""Tables 1 and 2 of Clèrigues et al. 2019 as printed.

The Hausdorff distance of the challenge's leaderboard (Table 2) is left out: a missed lesion counts
there with a penalty of a million and more.
"""

from __future__ import annotations

from nnunetv2_strokesynth.papers.shared.published import ISLES2018_TEST, printed_table

PAPER = "Clèrigues et al. 2019"

TABLE_1 = printed_table(
    {
        "baseline": ((49.0, 23.6), (46.9, 29.5), (57.2, 26.7), (29.5, 18.9)),
        "single + RT": ((53.5, 24.6), (51.8, 28.9), (66.0, 25.5), (29.8, 23.9)),
        "single + RT + SM": ((54.8, 24.8), (58.3, 29.8), (63.7, 25.3), (26.6, 19.9)),
        "single + RT + SM + UF (proposed)": (
            (54.7, 24.2), (57.8, 29.1), (60.9, 25.0), (23.5, 15.8)),
    },
    keys=("dice", "precision", "recall", "hausdorff_mm"),
    paper=PAPER,
    where="Table 1",
    data="ISLES 2018 training set (94 scans), 5-fold cross-validation",
    digits=1,
)  # fmt: skip

TABLE_2 = printed_table(
    {"proposed, five networks": ((49, 31), (51, 36), (57, 35))},
    keys=("dice", "precision", "recall"),
    paper=PAPER,
    where="Table 2",
    data=ISLES2018_TEST,
    digits=0,
)

WHOLE_SYSTEMS = (*TABLE_1, *TABLE_2)
