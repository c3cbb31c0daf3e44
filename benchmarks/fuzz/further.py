"""Inputs that other commands have made: a phantom's truth, the rows of a paper's table."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path

import nibabel
import numpy as np

from benchmarks.fuzz.targets import RAW
from nnunetv2_strokesynth.evaluation.columns import COLUMNS
from nnunetv2_strokesynth.phantom.truth import TRUTH_RECORD, TRUTH_UNITS

TRAINERS = ("StrokeSynthTrainer_SegUNet", "StrokeSynthTrainer_SegMUNet")
CASES = [f"case_{number:03d}" for number in range(1, 7)]


def truth(folder: Path, scan: Path) -> None:
    """Maps of one scan, and the truth that they are compared with."""
    image = nibabel.load(next(scan.glob("*CT_CBF*/*.nii")))
    random = np.random.default_rng(0)
    for name in (*TRUTH_UNITS, "tissue", "brain"):
        for part in ("maps", "truth"):
            if part == "maps" and name in ("tissue", "brain"):
                continue
            own = random.uniform(0.6, 1, image.shape).astype(np.float32)
            path = folder / part / "case_1" / f"{name}.nii.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(own, image.affine, image.header), path)
    record = {"vendor": "A", "units": TRUTH_UNITS, "meaning": {}}
    (folder / "truth" / "case_1" / TRUTH_RECORD).write_text(json.dumps(record))


def reproduction(folder: Path) -> None:
    """A data set and two rows of a table, trained (empty files) and measured (made-up values)."""
    raw, model = folder / "nnUNet_raw" / RAW, folder / "nnUNet_results" / RAW
    folds = [{"train": [c for c in CASES if c not in CASES[k::3]], "val": CASES[k::3]}
             for k in range(3)]  # fmt: skip
    paper = {"train": CASES[:3], "val": [CASES[3]], "test": CASES[4:]}
    for part in ("labelsTr", "imagesTr"):
        (raw / part).mkdir(parents=True)
    for case_id in CASES:
        (raw / "labelsTr" / f"{case_id}.nii.gz").touch()
        (raw / "imagesTr" / f"{case_id}_0000.nii.gz").touch()
    content = {"file_ending": ".nii.gz", "channel_names": {"0": "CT"}, "origin": "somewhere"}
    (raw / "dataset.json").write_text(json.dumps(content))
    (raw / "splits_final.json").write_text(json.dumps([*folds, paper]))
    _write_rows(raw / "conversion_report.csv", [{"case_id": c, "patient": c} for c in CASES])
    plans = {"configurations": {"2d": {"strokesynth_base_features": 64}}}
    for trainer in TRAINERS:
        trained = model / f"{trainer}__nnUNetPlans__2d"
        for fold in range(3):
            (trained / f"fold_{fold}" / "validation").mkdir(parents=True)
            with zipfile.ZipFile(trained / f"fold_{fold}" / "checkpoint_final.pth", "w") as archive:
                archive.writestr("checkpoint/data.pkl", "")
            (trained / f"fold_{fold}" / "training_log_1.txt").write_text(
                "num_epochs = 300 from x\n"
            )
            (trained / f"fold_{fold}" / "validation" / "summary.json").write_text("{}")
        (trained / "plans.json").write_text(json.dumps(plans))
        _write_rows(folder / "table" / trainer / "evaluation" / "cases.csv", list(_measured()))


def _measured() -> list[dict[str, object]]:
    random = np.random.default_rng(0)
    return [
        {"predictions": "x", "case_id": case_id, "fold": index % 3,
         **{column.key: round(float(random.uniform(0.2, 0.9)), 3) for column in COLUMNS}}
        for index, case_id in enumerate(CASES)
    ]  # fmt: skip


def _write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
