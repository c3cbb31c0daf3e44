"""Tables 1 and 2, Fig. 8 and 9 and the test result of Gómez 2023 as printed."""

from __future__ import annotations

from nnunetv2_strokesynth.papers.shared.published import printed_table

PAPER = "Gómez 2023"
ISLES2017 = "ISLES 2017, validation split"

TABLE_1 = printed_table(
    {
        "Pinto et al., standard model": ((20, 19), (16, 20), (61, 28)),
        "Pinto et al., 4D-PWI model": ((20, 18), (18, 21), (61, 27)),
        "Pinto et al., multi-data model": ((26, 21), (21, 20), (61, 28)),
        "Pinto et al., multi-data multi-model": ((29, 21), (23, 21), (66, 29)),
        "Hu et al., Brain SegNet": ((26, 22), (35, 28), (38, 29)),
        "Hu et al., Brain SegNet + FL": ((30, 22), (35, 27), (43, 27)),
        "ADC + TTP": ((33, 22), (39, 26), (49, 32)),
        "ADC + Tmax": ((34, 22), (34, 23), (57, 32)),
        "ADC + TTP + Tmax": ((36, 21), (42, 25), (48, 29)),
    },
    keys=("dice", "precision", "recall"),
    paper=PAPER,
    where="Table 1",
    data="ISLES 2017 test set, 32 scans, hidden truth",
    digits=0,
)

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

# Of the bars of both figures the text of section 6 gives these numbers; the others have none. Of
# ADC it says "basic architectural components", which we read as the plain U-Net.
FIGURE_8 = printed_table(
    {
        "ADC, U-Net": ((45, 16),),
        "rCBF, U-Net + CW": ((34, 24),),
        "rCBV, U-Net + CW + DS + Att": ((21, 22),),
        "MTT, U-Net + CW + DS + Att": ((36, 21),),
        "TTP, U-Net + CW + DS + Att": ((40, 23),),
        "Tmax, U-Net + CW + DS + Att": ((38, 24),),
    },
    keys=("dice",),
    paper=PAPER,
    where="Fig. 8",
    data=ISLES2017,
    digits=0,
)
FIGURE_9 = printed_table(
    {
        "ADC + TTP + Tmax, U-Net + CW + DS + Att": ((46, 14),),
        "all six maps, U-Net + CW + DS + Att": ((42, 22),),
    },
    keys=("dice",),
    paper=PAPER,
    where="Fig. 9",
    data=ISLES2017,
    digits=0,
)

WHOLE_SYSTEMS = (*TABLE_1[-3:], *TABLE_2, *SECTION_6, FIGURE_9[0])
