"""Table 2, Fig. 9 and the test result of Gómez 2023 as printed."""

from __future__ import annotations

from nnunetv2_strokesynth.papers.shared.published import printed_table

PAPER = "Gómez 2023"
ISLES2017 = "ISLES 2017, validation split"

TABLE_2 = printed_table(
    {
        "U-Net, binary": ((62.4, 22.3), (60.6, 23.4), (73.6, 20.3)),
        "U-Net, auxiliary class": ((63.5, 21.6), (61.0, 24.1), (73.2, 20.4)),
        "U-Net + CW + DS, binary": ((62.5, 21.5), (57.7, 24.6), (79.0, 17.5)),
        "U-Net + CW + DS, auxiliary class": ((64.2, 19.9), (59.8, 22.0), (75.6, 19.9)),
        "U-Net + CW + DS + Att, binary": ((63.2, 21.9), (65.0, 26.4), (69.5, 22.7)),
        "U-Net + CW + DS + Att, auxiliary class (proposed)": (
            (64.3, 18.5), (63.0, 21.1), (73.1, 18.8)),
    },
    keys=("dice", "precision", "recall"),
    paper=PAPER,
    where="Table 2",
    data="ISLES 2018, validation split",
    digits=1,
)  # fmt: skip

SECTION_6 = printed_table(
    {"proposed": ((42, 31),)},
    keys=("dice",),
    paper=PAPER,
    where="section 6 (text)",
    data="ISLES 2018 test set, hidden truth",
    digits=0,
)

# The other bars of the figure have no number.
FIGURE_9 = printed_table(
    {"U-Net + CW + DS + Att on ADC, TTP, Tmax": ((46, 14),)},
    keys=("dice",),
    paper=PAPER,
    where="Fig. 9",
    data=ISLES2017,
    digits=0,
)

WHOLE_SYSTEMS = (*TABLE_2, *SECTION_6, *FIGURE_9)
