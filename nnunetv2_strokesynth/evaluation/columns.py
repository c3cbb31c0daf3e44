"""The columns of the per-case table, as data: it feeds the CSV, the summaries and the figures."""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """One measured quantity.

    Attributes:
        key: name in the CSV and in ``summary.json``.
        title: heading in tables and figures, without the unit.
        unit: shown in parentheses; empty for pure numbers.
        factor: the stored value times this is what tables show (Dice 0.62 -> 62 %).
        digits: decimals in tables.
        better: ``"high"``, ``"low"``, or ``""`` where neither is.
        table: key of ``TABLES``.
    """

    key: str
    title: str
    unit: str
    factor: float
    digits: int
    better: str
    table: str

    @property
    def heading(self) -> str:
        """Title and unit, ``Dice (%)``."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


def number_text(value: float, digits: int, *, signed: bool = False) -> str:
    """A number with some decimals, never ``-0.00``.

    Args:
        value: finite or not; ``nan`` and ``inf`` stay as they are.
        digits: decimals.
        signed: whether a number above 0 has its plus.
    """
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text


TABLES: dict[str, str] = {
    "segmentation": "Segmentation (columns of Wang et al. 2020, Table 5)",
    "challenge": "Volume and lesion counts (with Dice, HD, ASSD, precision and recall: the metrics "
    "of ISLES 2018 and ISLES 2024)",
    "synthesis": "Pseudo-DWI against DWI (columns of Wang et al. 2020, Table 1)",
    "visibility": "The lesion in the pseudo-DWI, among the voxels of the brain. The thresholds are "
    "chosen in hindsight on the very scans that are measured: one for all scans, or one for each",
}

COLUMNS: tuple[Column, ...] = (
    Column("precision", "Precision", "%", 100, 2, "high", "segmentation"),
    Column("recall", "Recall", "%", 100, 2, "high", "segmentation"),
    Column("dice", "Dice", "%", 100, 2, "high", "segmentation"),
    Column("hausdorff_mm", "HD", "mm", 1, 2, "low", "segmentation"),
    Column("assd_mm", "ASSD", "mm", 1, 2, "low", "segmentation"),
    Column("relative_volume_error", "RVE", "", 1, 2, "low", "segmentation"),
    Column("hausdorff_penalised_mm", "HD, 1e8 mm if missed", "1e6 mm", 1e-6, 2, "low", "challenge"),
    Column("assd_of_means_mm", "ASSD, mean of directions", "mm", 1, 2, "low", "challenge"),
    Column("assd_penalised_mm", "ASSD, 1e8 mm if missed", "1e6 mm", 1e-6, 2, "low", "challenge"),
    Column("hausdorff95_mm", "HD95", "mm", 1, 2, "low", "challenge"),
    Column("absolute_volume_difference_ml", "AVD", "mL", 1, 2, "low", "challenge"),
    Column("volume_difference_ml", "Volume pred. - true", "mL", 1, 2, "", "challenge"),
    Column("lesion_count_difference", "Lesion count difference", "", 1, 2, "low", "challenge"),
    Column("lesion_f1", "Lesion F1, any overlap", "%", 100, 2, "high", "challenge"),
    Column("lesion_f1_isles2024", "Lesion F1, ISLES 2024", "%", 100, 2, "high", "challenge"),
    Column("ssim_global", "SSIM global", "", 1, 2, "high", "synthesis"),
    Column("ssim_local", "SSIM local", "", 1, 2, "high", "synthesis"),
    Column("psnr_global_db", "PSNR global", "dB", 1, 2, "high", "synthesis"),
    Column("psnr_local_db", "PSNR local", "dB", 1, 2, "high", "synthesis"),
    Column("lesion_contrast", "Contrast", "", 1, 2, "high", "visibility"),
    Column("dwi_lesion_contrast", "Contrast of the DWI", "", 1, 2, "", "visibility"),
    Column("lesion_auc", "AUC in the brain", "", 1, 2, "high", "visibility"),
    Column("cut_dice", "Dice of one threshold", "%", 100, 2, "high", "visibility"),
    Column("cut_dice_scan", "Dice of each scan's threshold", "%", 100, 2, "high", "visibility"),
)

COLUMN_BY_KEY: dict[str, Column] = {column.key: column for column in COLUMNS}

SIZE_GROUPS: tuple[str, ...] = ("< 10 mL", "10-50 mL", "> 50 mL")


def size_group(volume_gt_ml: float) -> str:
    """The lesion-size group of Wang et al. 2020, section 4.2: 10 and 50 mL are in the middle one.

    A case without lesion (0 mL) is in the smallest group.
    """
    if volume_gt_ml < 10:
        return SIZE_GROUPS[0]
    return SIZE_GROUPS[1] if volume_gt_ml <= 50 else SIZE_GROUPS[2]
