"""What a paper printed, as data: one entry per row of a table.

These values were measured on other scans, with other splits and other code; they only give a scale
to read one's own results by. Nothing is rounded or converted, except fractions into per cent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

Value = tuple[float, float | None]

# Keys of ``evaluation.columns``. A report shows the last group, in this order.
SYNTHESIS_KEYS = ("ssim_global", "ssim_local", "psnr_global_db", "psnr_local_db", "dice")
SEGMENTATION_KEYS = ("precision", "recall", "dice", "hausdorff_mm", "assd_mm")
SYSTEM_KEYS = (*SEGMENTATION_KEYS, "relative_volume_error")
# Of a network, in millions; it is not measured per case.
PARAMETERS = "parameters_million"
# Of a row as a whole: heading and decimals by key.
THRESHOLD, MIN_SIZE, R2 = "threshold", "min_size_voxels", "r2"
ROW_COLUMNS: Mapping[str, tuple[str, int]] = {
    THRESHOLD: ("T", 1),
    MIN_SIZE: ("S_min (voxels)", 0),
    R2: ("R²", 2),
}
# Of the challenge's leaderboard: in millions, since a missed lesion counts with 1e8 mm.
PENALISED = "hausdorff_penalised_mm"
PENALISED_ASSD = "assd_penalised_mm"

ISLES2018_TEST = "ISLES 2018 test set, 62 scans, hidden truth"


@dataclass(frozen=True, kw_only=True)
class Published:
    """One row of a paper.

    Attributes:
        paper: authors and year.
        where: table, figure or section.
        method: as the paper calls it.
        data: what it was measured on.
        digits: decimals that the paper prints.
        values: mean and deviation (None where the paper gives none) by column key; Dice, precision
            and recall in per cent, distances in mm. Empty if the paper shows bars without numbers.
        note: what the reader has to know.
        digits_of: decimals of single columns.
        folds: Dice of each fold in per cent, where the paper prints them.
    """

    paper: str
    where: str
    method: str
    data: str
    digits: int
    values: Mapping[str, Value]
    note: str = ""
    digits_of: Mapping[str, int] = field(default_factory=dict)
    folds: Sequence[float] = ()


def printed_table(
    rows: Mapping[str, Sequence[Value]],
    *,
    keys: Sequence[str],
    paper: str,
    where: str,
    data: str,
    digits: int,
    note: str = "",
    digits_of: Mapping[str, int] | None = None,
) -> tuple[Published, ...]:
    """All rows of one table.

    Args:
        rows: the values of each method, in the order of ``keys``.
        keys: column keys.
        paper, where, data, digits, note, digits_of: as in ``Published``, the same for all rows.
    """
    return tuple(
        Published(
            paper=paper,
            where=where,
            method=method,
            data=data,
            digits=digits,
            values=dict(zip(keys, values, strict=True)),
            note=note,
            digits_of=digits_of or {},
        )
        for method, values in rows.items()
    )


def in_system_columns(entries: Sequence[Published]) -> tuple[Published, ...]:
    """The entries with the values that a report shows, those of ``SYSTEM_KEYS``."""
    return tuple(
        replace(entry, values={k: v for k, v in entry.values.items() if k in SYSTEM_KEYS})
        for entry in entries
    )


def value_cell(published: Published, key: str) -> str:
    """``62.11 ± 17.18`` with as many decimals as the paper prints; empty if it gives no value."""
    if key not in published.values:
        return ""
    mean, sd = published.values[key]
    digits = published.digits_of.get(key, published.digits)
    text = f"{mean:.{digits}f}"
    return text if sd is None else f"{text} ± {sd:.{digits}f}"
