"""Tables 1 to 6 of Wang et al. 2020 as printed.

Tables 1 to 4 are ablations: a report leaves them out, because they are of parts, not of a whole
system; ``strokesynth reproduce`` puts them beside what our trainings reach. A row that the paper
prints again in its next table (w-L2 + l_h1, SLNet with cross entropy, L_WCE + L_HGD) is copied once
for each table. The Hausdorff distances of the challenge's leaderboard (Table 6) are left out: a
missed lesion counts there with a penalty of a million and more.
"""

from __future__ import annotations

from functools import partial

from nnunetv2_strokesynth.papers.shared.published import (
    ISLES2018_TEST,
    PARAMETERS,
    SEGMENTATION_KEYS,
    SYNTHESIS_KEYS,
    SYSTEM_KEYS,
    printed_table,
)

PAPER = "Wang et al. 2020"
LOCAL_TEST = "23 scans of the ISLES 2018 training set, held out"

_local = partial(printed_table, paper=PAPER, data=LOCAL_TEST, digits=2)

TABLE_1 = _local(
    {
        "L1": ((0.82, 0.11), (0.47, 0.16), (19.36, 4.11), (13.60, 4.25), (49.45, 21.20)),
        "L2": ((0.83, 0.11), (0.51, 0.17), (19.41, 3.63), (13.82, 4.18), (50.04, 19.38)),
        "GAN": ((0.81, 0.11), (0.37, 0.17), (17.57, 4.27), (13.45, 4.75), (41.53, 25.08)),
        "L2 + GAN": ((0.78, 0.12), (0.52, 0.14), (18.30, 3.91), (13.22, 4.52), (48.77, 20.73)),
        "w-L2": ((0.83, 0.09), (0.53, 0.15), (19.43, 3.42), (13.99, 4.01), (50.95, 21.03)),
        "w-L2 + l_h1": ((0.83, 0.10), (0.54, 0.13), (19.26, 3.32), (13.20, 3.38), (51.25, 17.43)),
        "w-L2 + l_h2": ((0.83, 0.11), (0.53, 0.15), (19.22, 3.40), (13.80, 3.41), (51.02, 21.41)),
    },
    where="Table 1",
    keys=SYNTHESIS_KEYS,
)  # fmt: skip

TABLE_2 = (
    *_local(
        {
            "F_o": ((0.83, 0.10), (0.54, 0.13), (19.26, 3.32), (13.20, 3.38), (51.25, 17.43)),
            "F_o, F_l": ((0.84, 0.12), (0.56, 0.15), (20.01, 3.69), (13.90, 4.04),
                         (53.94, 14.39)),
            "F_o, F_l, F_h*": ((0.84, 0.11), (0.58, 0.16), (20.16, 3.97), (14.05, 4.04),
                               (54.61, 20.19)),
            "F_o, F_l, F_h": ((0.85, 0.12), (0.59, 0.12), (20.02, 3.51), (14.11, 3.98),
                              (55.10, 16.20)),
        },
        where="Table 2",
        keys=SYNTHESIS_KEYS,
    ),
    *_local({"Real DWI": ((72.17, 19.54),)}, where="Table 2", keys=("dice",)),
)  # fmt: skip

TABLE_3 = _local(
    {
        "FCN": ((18.64, None), (52.69, 25.28), (53.10, 33.47), (45.75, 24.59), (48.75, 30.83),
                (3.78, 5.37)),
        "UNet": ((31.04, None), (63.50, 22.22), (48.50, 24.55), (49.94, 19.51), (21.52, 13.84),
                 (2.54, 3.34)),
        "R2UNet": ((39.09, None), (51.85, 17.99), (60.05, 21.14), (52.34, 16.62), (26.74, 15.04),
                   (2.56, 2.21)),
        "ResUNet": ((81.91, None), (66.46, 19.32), (52.36, 24.12), (52.49, 18.66), (23.50, 15.48),
                    (2.22, 2.04)),
        "SLNet": ((33.84, None), (51.20, 22.00), (64.20, 23.99), (54.45, 21.23), (23.97, 17.61),
                  (2.74, 3.44)),
        "SLNet (w/o SE)": ((31.04, None), (69.00, 22.90), (51.54, 19.81), (53.41, 14.31),
                           (21.26, 12.32), (2.16, 1.90)),
        "SLNet (w/o SN)": ((33.84, None), (68.14, 21.08), (48.32, 23.31), (52.01, 20.69),
                           (21.50, 15.63), (2.57, 2.78)),
    },
    where="Table 3",
    keys=(PARAMETERS, *SEGMENTATION_KEYS),
)  # fmt: skip

TABLE_4 = _local(
    {
        "L_CE": ((51.20, 22.00), (64.20, 23.99), (54.45, 21.23), (23.97, 17.61), (2.74, 3.44)),
        "L_DICE": ((67.48, 25.25), (45.45, 21.81), (51.57, 20.98), (24.43, 18.48), (2.47, 2.56)),
        "L_GD": ((55.07, 22.10), (62.13, 17.09), (54.98, 17.16), (36.87, 29.61), (3.45, 3.37)),
        "L_HGD": ((52.40, 20.71), (66.83, 18.98), (55.30, 17.78), (30.86, 20.10), (2.81, 2.61)),
        "L_CE + L_HGD": ((57.31, 22.87), (66.37, 17.85), (57.82, 17.33), (21.58, 12.69),
                         (1.96, 1.84)),
        "L_WCE + L_HGD": ((55.20, 20.99), (73.51, 17.48), (59.37, 15.73), (22.29, 13.67),
                          (1.90, 2.05)),
    },
    where="Table 4",
    keys=SEGMENTATION_KEYS,
)  # fmt: skip

TABLE_5 = _local(
    {
        "segmented from CTA frames": (
            (65.63, 23.08), (58.10, 18.63), (56.10, 14.22), (25.25, 16.60), (2.45, 2.26),
            (0.73, 0.74)),
        "segmented from perfusion maps F_o": (
            (55.20, 20.99), (73.51, 17.48), (59.37, 15.73), (22.29, 13.67), (1.90, 2.05),
            (0.83, 1.27)),
        "pseudo-DWI from F_o": (
            (53.68, 21.27), (74.37, 16.11), (58.32, 15.74), (19.83, 13.10), (1.90, 2.09),
            (0.99, 1.63)),
        "pseudo-DWI from F_o, F_l": (
            (58.70, 22.32), (71.04, 14.75), (60.49, 16.26), (22.79, 16.90), (1.99, 2.07),
            (0.83, 1.34)),
        "pseudo-DWI from F_o, F_l, F_h (proposed)": (
            (61.97, 21.98), (69.52, 17.89), (62.11, 17.18), (19.27, 13.17), (1.76, 2.10),
            (0.68, 1.36)),
        "the same, modules trained one after another": (
            (57.05, 20.76), (77.80, 13.56), (62.23, 15.47), (20.86, 15.05), (1.84, 1.97),
            (0.91, 1.60)),
        "F_o and the proposed pseudo-DWI": (
            (59.06, 22.25), (71.30, 15.46), (60.54, 17.17), (22.42, 19.58), (2.07, 2.95),
            (0.83, 1.33)),
        "real DWI": (
            (85.07, 19.35), (77.34, 15.03), (79.72, 15.53), (15.90, 14.13), (1.35, 2.77),
            (0.24, 0.24)),
    },
    where="Table 5",
    keys=SYSTEM_KEYS,
)  # fmt: skip

TABLE_6 = printed_table(
    {
        "proposed": ((51, 31), (55, 36), (55, 34)),
        "Liu 2018": ((49, 31), (56, 37), (53, 33)),
        "Chen et al.": ((48, 32), (59, 38), (46, 33)),
        "Hu et al.": ((47, 31), (56, 37), (47, 33)),
        "Garcia et al.": ((47, 31), (56, 37), (47, 33)),
    },
    keys=("dice", "precision", "recall"),
    paper=PAPER,
    where="Table 6",
    data=ISLES2018_TEST,
    digits=0,
)

WHOLE_SYSTEMS = (*TABLE_5, *TABLE_6)
