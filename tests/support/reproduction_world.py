"""A converted data set and trainings that are nothing but empty files."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nnunetv2_strokesynth.evaluation.columns import COLUMNS
from nnunetv2_strokesynth.nnunet_commands import FOLDER_VARIABLES

DATASET, REAL_DWI = "Dataset018_Ünit", "Dataset019_Ünit_DWI"
CASES = tuple(f"case_{k:03d}" for k in range(10))


def write_checkpoint(path: Path) -> None:
    """A checkpoint that is whole as far as its size and its ends say."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("checkpoint/data.pkl", "")


def _splits() -> list[dict]:
    folds = [
        {"train": [c for c in CASES if c not in CASES[k::5]], "val": list(CASES[k::5])}
        for k in range(5)
    ]
    paper = {"train": list(CASES[:6]), "val": [CASES[6]], "test": list(CASES[7:])}
    return [*folds, paper]


class World:
    """nnU-Net's three folders below a path with a space in it."""

    def __init__(self, root: Path):
        self.root, self.out = root, root / "our table"
        self.raw, self.preprocessed, self.results = (root / name for name in FOLDER_VARIABLES)

    def add_data_set(self, name: str, origin: str = "digital phantom") -> None:
        raw = self.raw / name
        for folder in ("imagesTr", "labelsTr", "targetsTr", "imagesTs"):
            (raw / folder).mkdir(parents=True)
        for case_id in CASES:
            for channel in range(2):
                (raw / "imagesTr" / f"{case_id}_{channel:04d}.nii.gz").touch()
            (raw / "labelsTr" / f"{case_id}.nii.gz").touch()
        (raw / "imagesTs" / "test_001_0000.nii.gz").touch()
        content = {"file_ending": ".nii.gz"} | ({"origin": origin} if origin else {})
        (raw / "dataset.json").write_text(json.dumps(content))
        patients = pd.DataFrame({"case_id": CASES, "patient": [f"p{c}" for c in CASES]})
        patients.to_csv(raw / "conversion_report.csv", index=False)
        self.write_splits(name, _splits())
        preprocessed = self.preprocessed / name / "nnUNetPlans_2d"
        preprocessed.mkdir(parents=True)
        (preprocessed.parent / "nnUNetPlans.json").touch()
        (preprocessed / "case_000.pkl").touch()

    def write_splits(self, name: str, splits: list[dict]) -> None:
        (self.raw / name / "splits_final.json").write_text(json.dumps(splits))

    def model(self, trainer: str, name: str = DATASET, configuration: str = "2d") -> Path:
        return self.results / name / f"{trainer}__nnUNetPlans__{configuration}"

    def fold(self, trainer: str, fold: int, *names: str, name: str = DATASET) -> Path:
        """Touch files of a fold: ``checkpoint_final.pth``, ``validation/summary.json``, ..."""
        folder = self.model(trainer, name) / f"fold_{fold}"
        for file in names:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).touch()
            if file.endswith(".pth"):
                write_checkpoint(folder / file)
        return folder

    def finish(self, trainer: str, folds=range(5), name: str = DATASET) -> None:
        for fold in folds:
            self.fold(trainer, fold, "checkpoint_final.pth", "validation/summary.json", name=name)

    def evaluate(self, trainer: str, **columns: list[float]) -> None:
        """A per-case table, as ``strokesynth evaluate`` writes it, of made-up values."""
        case_ids = columns.pop("case_id", list(CASES))
        frame = pd.DataFrame({"predictions": "x", "case_id": case_ids, "fold": "0"})
        for column in COLUMNS:
            frame[column.key] = columns.get(column.key, np.nan)
        for key in ("fold", "volume_gt_ml", "volume_pred_ml"):
            frame[key] = columns.get(key, frame.get(key, np.nan))
        folder = self.out / trainer / "evaluation"
        folder.mkdir(parents=True)
        frame.to_csv(folder / "cases.csv", index=False)


@pytest.fixture
def world(tmp_path, monkeypatch) -> World:
    made = World(tmp_path / "with space")
    made.add_data_set(DATASET)
    made.results.mkdir()
    for variable in FOLDER_VARIABLES:
        monkeypatch.setenv(variable, str(made.root / variable))
    for variable in list(os.environ):
        if variable.startswith("strokesynth_"):
            monkeypatch.delenv(variable)
    return made
