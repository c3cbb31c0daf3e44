"""``conversion_report.csv``: a line per scan with what the converter found and wrote."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from nnunetv2_strokesynth.dataset_conversion.faults import Fault
from nnunetv2_strokesynth.dataset_conversion.scans import Scan
from nnunetv2_strokesynth.io.atomic import write_text

COLUMNS = (
    "case_id",
    "source",
    "patient",
    "split",
    "orientation",
    "shape_zyx",
    "spacing_zyx_mm",
    "n_frames",
    "t_start",
    "t_end",
    "window_rule",
    "maps",
    "map_background",
    "map_method",
    "unusable_voxels",
    "brain_mask",
    "lesion_volume_ml",
    "lesion_outside_mask_ml",
    "dwi_present",
    "mirror_rule",
    "mirror_rotation_deg",
    "mirror_shift_mm",
    "mirror_correlation_before",
    "mirror_correlation_after",
    "brain_volume_ml",
    "fold",
    "paper_split",
    "warnings",
    "skipped",
)


def write_report(
    path: Path,
    scans: list[Scan],
    *,
    records: dict[str, dict],
    patients: dict[str, str],
    folds: dict[str, int],
    paper: dict[str, list[str]],
    faults: Sequence[Fault] = (),
) -> None:
    """Write one line per scan, in the order of ``scans``; a cell without a value is empty.

    Scans that were left out follow, with the reasons in the column ``skipped``.

    Args:
        path: the CSV file.
        scans: the scans.
        records: case id -> record of ``convert_case``.
        patients: case id -> patient.
        folds: case id -> the fold that validates on the case, for training scans.
        paper: the groups of ``splits.paper_split``; empty if there are none.
        faults: of the scans that were left out.
    """
    groups = {case_id: group for group, case_ids in paper.items() for case_id in case_ids}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for scan in scans:
        row = {
            "case_id": scan.case_id,
            "source": scan.source,
            "patient": patients[scan.case_id],
            "split": scan.split,
            "fold": folds.get(scan.case_id, ""),
            "paper_split": groups.get(scan.case_id, ""),
            "warnings": _warnings(records[scan.case_id]),
            **records[scan.case_id]["row"],
        }
        writer.writerow({name: _cell(value) for name, value in row.items()})
    for case_id in dict.fromkeys(fault.case_id for fault in faults):
        own = [fault for fault in faults if fault.case_id == case_id]
        why = "; ".join(fault.why for fault in own)
        writer.writerow({"case_id": case_id, "source": own[0].source, "skipped": why})
    write_text(path, text.getvalue())


def _warnings(record: dict) -> str:
    """A scan's warnings in one cell; the line has the scan's name already."""
    return "; ".join(line.removeprefix(f"{record['case_id']}: ") for line in record["warnings"])


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "x".join(f"{item:g}" for item in value)
    return f"{value:.3f}" if isinstance(value, float) else str(value)
