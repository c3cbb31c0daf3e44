"""Figures that papers printed, as data: a report shows them beside its own, marked as published.

They were measured on other scans, with other splits and other code, and are no more than a scale to
read one's own figures by. Every entry names the table or section it was copied from; nothing is
rounded or converted except fractions into per cent. The Hausdorff distances of the challenge's
leaderboard are left out: a missed lesion counts there with a penalty of a million and more.
"""

from __future__ import annotations

from typing import NamedTuple

Value = tuple[float, float | None]

ISLES2018_TEST = "ISLES 2018 test set, 62 scans, hidden truth"
WANG_LOCAL_TEST = "23 scans of the ISLES 2018 training set, held out"
SONG_CROSS_VALIDATION = "ISLES 2018 training set, 4-fold cross-validation"
ISLES2017 = "ISLES 2017, validation split"
CLERIGUES_CROSS_VALIDATION = "ISLES 2018 training set (94 scans), 5-fold cross-validation"


class Published(NamedTuple):
    """One row of a paper.

    Attributes:
        paper: authors and year.
        where: table or section.
        method: as the paper calls it.
        data: what it was measured on.
        digits: decimals that the paper prints.
        values: mean and deviation (None where the paper gives none) by column key of
            ``evaluation.columns``; Dice, precision and recall in per cent, distances in mm.
        note: what the reader has to know.
    """

    paper: str
    where: str
    method: str
    data: str
    digits: int
    values: dict[str, Value]
    note: str = ""


KEYS = ("precision", "recall", "dice", "hausdorff_mm", "assd_mm", "relative_volume_error")


def _wang_table_5(method: str, *values: Value) -> Published:
    return Published(
        "Wang et al. 2020",
        "Table 5",
        method,
        WANG_LOCAL_TEST,
        2,
        dict(zip(KEYS, values, strict=True)),
    )


def _wang_table_6(method: str, dice: Value, precision: Value, recall: Value) -> Published:
    values = {"dice": dice, "precision": precision, "recall": recall}
    return Published("Wang et al. 2020", "Table 6", method, ISLES2018_TEST, 0, values)


def _song(method: str, dice: float) -> Published:
    values = {"dice": (dice, None)}
    return Published("Song & Huang 2018", "Table 1", method, SONG_CROSS_VALIDATION, 0, values)


def _clerigues(method: str, dice: Value, precision: Value, recall: Value, hd: Value) -> Published:
    values = {"dice": dice, "precision": precision, "recall": recall, "hausdorff_mm": hd}
    return Published(
        "Clèrigues et al. 2019", "Table 1", method, CLERIGUES_CROSS_VALIDATION, 1, values
    )


def _gomez(method: str, dice: Value, precision: Value, recall: Value) -> Published:
    values = {"dice": dice, "precision": precision, "recall": recall}
    return Published("Gómez 2023", "Table 2", method, "ISLES 2018, validation split", 1, values)


def _abulnaga(method: str, dice: Value) -> Published:
    data = "ISLES 2018 training set, 5-fold cross-validation"
    note = "± over folds, not over scans"
    return Published("Abulnaga & Rubin 2018", "Table 1", method, data, 0, {"dice": dice}, note)


PUBLISHED: tuple[Published, ...] = (
    _wang_table_5("segmented from CTA frames", (65.63, 23.08), (58.10, 18.63), (56.10, 14.22),
                  (25.25, 16.60), (2.45, 2.26), (0.73, 0.74)),
    _wang_table_5("segmented from perfusion maps F_o", (55.20, 20.99), (73.51, 17.48),
                  (59.37, 15.73), (22.29, 13.67), (1.90, 2.05), (0.83, 1.27)),
    _wang_table_5("pseudo-DWI from F_o", (53.68, 21.27), (74.37, 16.11), (58.32, 15.74),
                  (19.83, 13.10), (1.90, 2.09), (0.99, 1.63)),
    _wang_table_5("pseudo-DWI from F_o, F_l", (58.70, 22.32), (71.04, 14.75), (60.49, 16.26),
                  (22.79, 16.90), (1.99, 2.07), (0.83, 1.34)),
    _wang_table_5("pseudo-DWI from F_o, F_l, F_h (proposed)", (61.97, 21.98), (69.52, 17.89),
                  (62.11, 17.18), (19.27, 13.17), (1.76, 2.10), (0.68, 1.36)),
    _wang_table_5("the same, modules trained one after another", (57.05, 20.76), (77.80, 13.56),
                  (62.23, 15.47), (20.86, 15.05), (1.84, 1.97), (0.91, 1.60)),
    _wang_table_5("F_o and the proposed pseudo-DWI", (59.06, 22.25), (71.30, 15.46),
                  (60.54, 17.17), (22.42, 19.58), (2.07, 2.95), (0.83, 1.33)),
    _wang_table_5("real DWI", (85.07, 19.35), (77.34, 15.03), (79.72, 15.53), (15.90, 14.13),
                  (1.35, 2.77), (0.24, 0.24)),
    _wang_table_6("proposed", (51, 31), (55, 36), (55, 34)),
    _wang_table_6("Liu 2018", (49, 31), (56, 37), (53, 33)),
    _wang_table_6("Chen et al.", (48, 32), (59, 38), (46, 33)),
    _wang_table_6("Hu et al.", (47, 31), (56, 37), (47, 33)),
    _wang_table_6("Garcia et al.", (47, 31), (56, 37), (47, 33)),
    _song("U-Net + CE", 53),
    _song("U-Net + CE + GD", 55),
    _song("AU-Net + CE + GD", 56),
    _song("AU-Net + CE + GD + G", 58),
    _song("AU-Net + CE + GD + G + SDF", 59),
    _song("AU-Net + CE + GD + G + SDF + SN", 60),
    _song("AU-Net + CE + GD + G + SDF + SN + E", 61),
    _song("AU-Net + CE + GD + G + SDF + SN + E + BN", 62),
    _clerigues("baseline", (49.0, 23.6), (46.9, 29.5), (57.2, 26.7), (29.5, 18.9)),
    _clerigues("single + RT", (53.5, 24.6), (51.8, 28.9), (66.0, 25.5), (29.8, 23.9)),
    _clerigues("single + RT + SM", (54.8, 24.8), (58.3, 29.8), (63.7, 25.3), (26.6, 19.9)),
    _clerigues("single + RT + SM + UF (proposed)", (54.7, 24.2), (57.8, 29.1), (60.9, 25.0),
               (23.5, 15.8)),
    Published("Clèrigues et al. 2019", "Table 2", "proposed, five networks", ISLES2018_TEST, 0,
              {"dice": (49, 31), "precision": (51, 36), "recall": (57, 35)}),
    _gomez("U-Net, binary", (62.4, 22.3), (60.6, 23.4), (73.6, 20.3)),
    _gomez("U-Net, auxiliary class", (63.5, 21.6), (61.0, 24.1), (73.2, 20.4)),
    _gomez("U-Net + CW + DS, binary", (62.5, 21.5), (57.7, 24.6), (79.0, 17.5)),
    _gomez("U-Net + CW + DS, auxiliary class", (64.2, 19.9), (59.8, 22.0), (75.6, 19.9)),
    _gomez("U-Net + CW + DS + Att, binary", (63.2, 21.9), (65.0, 26.4), (69.5, 22.7)),
    _gomez("U-Net + CW + DS + Att, auxiliary class (proposed)", (64.3, 18.5), (63.0, 21.1),
           (73.1, 18.8)),
    Published("Gómez 2023", "section 6 (text)", "proposed", "ISLES 2018 test set, hidden truth", 0,
              {"dice": (42, 31)}),
    Published("Gómez 2023", "Fig. 9", "U-Net + CW + DS + Att on ADC, TTP, Tmax", ISLES2017, 0,
              {"dice": (46, 14)}),
    _abulnaga("pre-trained PSPNet, focal loss", (54, 9)),
    _abulnaga("pre-trained PSPNet, cross entropy", (49, 11)),
    Published("Abulnaga & Rubin 2018", "Table 2", "ensemble of ten PSPNets", ISLES2018_TEST, 0,
              {"dice": (44, None), "precision": (59, None), "recall": (43, None)}),
)  # fmt: skip


def by_source(results: tuple[Published, ...] = PUBLISHED) -> list[tuple[Published, ...]]:
    """The rows of one paper, table and data set together, in order of appearance."""
    groups: dict[tuple[str, ...], list[Published]] = {}
    for result in results:
        key = (result.paper, result.where, result.data, result.note)
        groups.setdefault(key, []).append(result)
    return [tuple(group) for group in groups.values()]


def value_cell(result: Published, key: str) -> str:
    """``62.11 ± 17.18`` with as many decimals as the paper prints; empty if it gives none."""
    if key not in result.values:
        return ""
    mean, sd = result.values[key]
    text = f"{mean:.{result.digits}f}"
    return text if sd is None else f"{text} ± {sd:.{result.digits}f}"
