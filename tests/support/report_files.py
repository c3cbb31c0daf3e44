"""A trained model's folder and its data set, as small as they can be, written with SimpleITK."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.cli import main

SPACING_XYZ = (2.0, 3.0, 5.0)
VOXEL_ML = 0.03
SHAPE = (3, 20, 24)
CHANNELS = ("CT", "Tmax", "CTA_0")
HOSTILE_CASE = "zz<script>alert(1)<&'\"$x"
HOSTILE_TRAINER = "<b>Trainer$_&"
DICE = {"case_1": 1.0, "case_2": 6 / 7, "case_3": 0.0, "case_4": 0.0, HOSTILE_CASE: 2 / 3}
FOLD = {"case_1": "0", "case_2": "0", "case_3": "1", "case_4": "1", HOSTILE_CASE: "3"}


class Tiny(NamedTuple):
    """Folders of the tiny model."""

    root: Path

    @property
    def raw(self) -> Path:
        return self.root / "raw" / "Dataset018_Tiny"

    @property
    def model(self) -> Path:
        return self.root / "Dataset018_Tiny" / f"{HOSTILE_TRAINER}__nnUNetPlans__2d"

    def options(self, *more: object) -> list[str]:
        """Command line of a cross-validation report."""
        output = ["-o", self.root / "report.html", "--workers", 1]
        return [str(a) for a in ("report", "-m", self.model, "--raw", self.raw, *output, *more)]

    @property
    def html(self) -> str:
        return (self.root / "report.html").read_text(encoding="utf-8")


def write(array: np.ndarray, path: Path, direction: tuple[float, ...] | None = None) -> None:
    """Write a volume ``(Z, Y, X)``."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING_XYZ)
    if direction:
        image.SetDirection(direction)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def masks() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """True and predicted lesion of every case; ``DICE`` follows by hand.

    case_1 400 voxels found exactly; case_2 3 of 4 voxels; case_3 missed by an
    empty prediction; case_4 predicted elsewhere; the hostile one half found, nothing false.
    """
    result = {name: (np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)) for name in DICE}
    for mask in result["case_1"]:
        mask[1, :, :20] = 1
    gt, pred = result["case_2"]
    gt[0, 5, 4:8], pred[0, 5, 5:8] = 1, 1
    result["case_3"][0][2, 3, 3] = 1
    gt, pred = result["case_4"]
    gt[0, 0, 0], pred[2, 9, 9] = 1, 1
    gt, pred = result[HOSTILE_CASE]
    gt[1, 4:6, 4], pred[1, 4, 4] = 1, 1
    return result


def _write_model(folder: Path, cases: dict) -> None:
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text("{}")
    about = {
        "name": "Tiny",
        "channel_names": {str(i): name for i, name in enumerate(CHANNELS)},
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(about))
    for case_id, (_, pred) in cases.items():
        write(pred, folder / f"fold_{FOLD[case_id]}" / "validation" / f"{case_id}.nii.gz")
    for fold in "01":
        terms = "epoch,train/L_s,val/L_s,train/a$b$\n0,3,4,1\n1,2,3,nan\n"
        (folder / f"fold_{fold}" / "loss_terms.csv").write_text(terms)
        checkpoint = folder / f"fold_{fold}" / "checkpoint_final.pth"
        checkpoint.write_bytes(b"not a pickle")
        os.utime(checkpoint, (1_700_000_000 + int(fold) * 60,) * 2)


def make_tiny(root: Path) -> Tiny:
    """Folds 0, 1 and 3 with validation predictions; 2 and 4 are missing."""
    folders, cases = Tiny(root), masks()
    _write_model(folders.model, cases)
    generator = np.random.default_rng(0)
    for case_id, (gt, _) in cases.items():
        write(gt, folders.raw / "labelsTr" / f"{case_id}.nii.gz")
        for index in range(len(CHANNELS)):
            scan = generator.uniform(0, 100, SHAPE).astype(np.float32)
            write(scan, folders.raw / "imagesTr" / f"{case_id}_{index:04d}.nii.gz")
    write(generator.uniform(0, 9, SHAPE), folders.raw / "targetsTr" / "case_1.nii.gz")
    write(masks()["case_1"][0], folders.raw / "labelsTr" / "case_9.nii.gz")
    return folders


@pytest.fixture
def tiny(tmp_path) -> Tiny:
    """A tiny model of one's own, to spoil or to report."""
    return make_tiny(tmp_path)


@pytest.fixture(scope="session")
def reported(tmp_path_factory) -> Tiny:
    """A tiny model whose report is written, to read."""
    folders = make_tiny(tmp_path_factory.mktemp("report"))
    assert main(folders.options()) == 0
    return folders
