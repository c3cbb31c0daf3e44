"""A data set for ``strokesynth outline`` with trained readers; nnU-Net's commands have a stand-in.

The stand-in calls bright voxels of the DWI a lesion. A trial starts where all readers have
predicted, so that no command is run unless a damage makes one necessary.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import SimpleITK as sitk

SHAPE, SPACING_XYZ = (2, 24, 24), (0.9, 0.8, 5.0)
SOURCE, NEW, READERS = (
    "Dataset018_Pairs",
    "Dataset118_Pairs_outlined",
    "Dataset119_Pairs_outlined_readers",
)
OUTLINED = [f"case_{number:03d}" for number in range(1, 7)]
UNOUTLINED = ["case_007", "case_008"]


def _write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING_XYZ)
    sitk.WriteImage(image, str(path))


def write_pairs(root: Path) -> None:
    """Six outlined scans in three folds and two without an outline, in ``root/nnUNet_raw``."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (root / name).mkdir(parents=True)
    raw = root / "nnUNet_raw" / SOURCE
    for case_id in OUTLINED + UNOUTLINED:
        lesion = np.zeros(SHAPE, np.uint8)
        lesion[0, 10:18, 10:18] = 1
        random = np.random.default_rng(int(case_id[-3:]))
        dwi = (random.uniform(50, 60, SHAPE) + 80 * lesion).astype(np.float32)
        side = "Tr" if case_id in OUTLINED else "Un"
        _write(raw / f"images{side}" / f"{case_id}_0000.nii.gz", dwi + 1)
        _write(raw / f"targets{side}" / f"{case_id}.nii.gz", dwi)
        if case_id in OUTLINED:
            _write(raw / "labelsTr" / f"{case_id}.nii.gz", lesion)
    thirds = OUTLINED[:2], OUTLINED[2:4], OUTLINED[4:]
    splits = [{"train": [c for c in OUTLINED if c not in own], "val": own} for own in thirds]
    (raw / "splits_final.json").write_text(json.dumps(splits))
    content = {"name": "Pairs", "channel_names": {"0": "CT"}, "file_ending": ".nii.gz",
               "labels": {"background": 0, "lesion": 1}, "numTraining": len(OUTLINED),
               "unoutlined": UNOUTLINED, "orientation": "LPS"}  # fmt: skip
    (raw / "dataset.json").write_text(json.dumps(content))
    with (raw / "conversion_report.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["case_id", "patient", "split", "lesion_volume_ml"])
        for case_id in OUTLINED + UNOUTLINED:
            rows.writerow([case_id, case_id, "train" if case_id in OUTLINED else "unoutlined", ""])


class Readers:
    """Stands for ``run_command`` in ``commands.outline``; it fails as nnU-Net would."""

    def __init__(self, root: Path):
        self.root = root

    def __call__(self, command: list[str], variables: dict, *, log_file: Path, shown: dict) -> None:
        """What the command writes, as far as ``outline`` looks at it."""
        try:
            self._run(command)
        except Exception as error:
            kind = type(error).__name__
            raise ValueError(f"{command[0]} failed with exit code 1: {kind}") from error

    def _run(self, command: list[str]) -> None:
        readers = self.root / "nnUNet_raw" / READERS
        prepared = self.root / "nnUNet_preprocessed" / READERS
        if command[0] == "nnUNetv2_plan_and_preprocess":
            (prepared / "nnUNetPlans_2d").mkdir(parents=True, exist_ok=True)
            shutil.copy(readers / "splits_final.json", prepared)
            for path in (readers / "labelsTr").iterdir():
                (prepared / "nnUNetPlans_2d" / path.name.replace(".nii.gz", ".pkl")).touch()
        elif command[0] == "nnUNetv2_train":
            number = int(command[3])
            splits = json.loads((prepared / "splits_final.json").read_text())
            model = f"{command[command.index('-tr') + 1]}__nnUNetPlans__2d"
            folder = self.root / f"nnUNet_results/{READERS}/{model}/fold_{number}/validation"
            for case_id in splits[number]["val"]:
                _predict(readers / "imagesTr" / f"{case_id}_0000.nii.gz", folder)
            (folder / "summary.json").touch()
        else:
            folder = Path(command[command.index("-o") + 1])
            for image in (readers / "imagesTs").iterdir():
                _predict(image, folder)


def _predict(image: Path, folder: Path) -> None:
    dwi = sitk.GetArrayFromImage(sitk.ReadImage(str(image)))
    lesion = np.where(dwi > 100, 0.9, 0.05).astype(np.float32)
    case_id = image.name.removesuffix("_0000.nii.gz")
    folder.mkdir(parents=True, exist_ok=True)
    both = np.stack([1 - lesion, lesion])
    np.savez_compressed(folder / f"{case_id}.npz", probabilities=both)
    _write(folder / f"{case_id}.nii.gz", (lesion > 0.5).astype(np.uint8))
