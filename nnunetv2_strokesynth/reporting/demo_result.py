"""What ``strokesynth demo`` shows at its end: a table and a picture of the held-out scans."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.channels import (
    PERFUSION_MAPS,
    PRESETS,
)
from nnunetv2_strokesynth.dataloading.dwi_scaling import WINDOW_TOP, dwi_window
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import read_record
from nnunetv2_strokesynth.evaluation.metrics import dice
from nnunetv2_strokesynth.evaluation.threshold_baseline import (
    best_threshold,
    mean_dice_of_rule,
)
from nnunetv2_strokesynth.evaluation.volumes import read_image
from nnunetv2_strokesynth.reporting.panels import Panel, Row, save_rows
from nnunetv2_strokesynth.reporting.slice_image import widest_lesion_slice

PRESET = "wang2020"
N_ROWS_IN_PICTURE = 6
# Channels in the picture with their grey windows (HU); None: by percentiles.
SHOWN = {
    "CT": (0.0, 80.0),
    "CBF": None,
    "CBV": None,
    "Tmax": None,
    "MIP": (0.0, 160.0),
    "CTA_2": (0.0, 120.0),
}


class DemoScans(NamedTuple):
    """Where the demo's scans lie.

    Attributes:
        raw: the data set's folder in ``nnUNet_raw``.
        truth: ``labels`` and ``dwi`` of the held-out scans.
        predictions: their predicted lesions.
        pseudo_dwi: their pseudo-DWI.
    """

    raw: Path
    truth: Path
    predictions: Path
    pseudo_dwi: Path

    @property
    def held_out(self) -> list[str]:
        """Case ids of the held-out scans."""
        return _case_ids(self.truth / "labels")

    def lesion(self, case_id: str) -> np.ndarray:
        """The true lesion of a held-out scan, bool ``(Z, Y, X)``."""
        return _read(self.truth / "labels" / f"{case_id}.nii.gz") > 0

    def prediction(self, case_id: str) -> np.ndarray:
        """The predicted lesion of a held-out scan, bool ``(Z, Y, X)``."""
        return _read(self.predictions / f"{case_id}.nii.gz") > 0

    def channel(self, case_id: str, name: str, images: str = "imagesTs") -> np.ndarray:
        """An input channel ``(Z, Y, X)`` of a scan."""
        index = PRESETS[PRESET].names.index(name)
        return _read(self.raw / images / f"{case_id}_{index:04d}.nii.gz")


def demo_table(scans: DemoScans, trainer: str, minutes: float) -> str:
    """Dice per held-out scan, and what single thresholds reach on them, as markdown.

    Args:
        scans: of the demo.
        trainer: name, for the table.
        minutes: how long the demo took.
    """
    case_ids = scans.held_out
    lesions = [scans.lesion(case_id) for case_id in case_ids]
    predictions = [scans.prediction(case_id) for case_id in case_ids]
    scores = [dice(lesion, mask) for lesion, mask in zip(lesions, predictions, strict=True)]
    lines = ["| held-out scan | lesion (voxels) | predicted (voxels) | Dice |", "|---|---|---|---|"]
    lines += [
        f"| {case} | {lesion.sum()} | {mask.sum()} | {score:.3f} |"
        for case, lesion, mask, score in zip(case_ids, lesions, predictions, scores, strict=True)
    ]
    lines += [
        "",
        f"Mean Dice of {trainer}, {len(case_ids)} held-out scans: **{np.mean(scores):.3f}**",
        "",
        *_threshold_lines(scans, lesions),
        "",
        f"This run took {minutes:.1f} minutes on {os.cpu_count()} CPU cores. It is a short "
        "training on a phantom: its figures say nothing about patients.",
    ]
    return "\n".join(lines) + "\n"


def _threshold_lines(scans: DemoScans, lesions: list[np.ndarray]) -> list[str]:
    """How far one threshold on one map gets: chosen on training scans, and in hindsight."""
    labels = scans.raw / "labelsTr"
    training = _case_ids(labels)
    rule = best_threshold(
        _maps(scans, training, "imagesTr"),
        [_read(labels / f"{case_id}.nii.gz") > 0 for case_id in training],
    )
    held_out = _maps(scans, scans.held_out, "imagesTs")
    hindsight = best_threshold(held_out, lesions)
    return [
        f"Mean Dice of the best single threshold of the training scans ({rule}): "
        f"**{mean_dice_of_rule(rule, held_out, lesions):.3f}**",
        "",
        "Mean Dice of the best single threshold in hindsight, chosen on the held-out scans "
        f"themselves ({hindsight}): **{hindsight.mean_dice:.3f}**",
    ]


def demo_picture(scans: DemoScans, path: Path) -> None:
    """Draw the first held-out scans: channels, pseudo-DWI, DWI, and the lesions' outlines."""
    rows, scale = [], read_record(scans.pseudo_dwi).scale
    for case_id in scans.held_out[:N_ROWS_IN_PICTURE]:
        lesion, prediction = scans.lesion(case_id), scans.prediction(case_id)
        z = widest_lesion_slice(lesion)
        panels = [
            Panel(name, scans.channel(case_id, name)[z], window) for name, window in SHOWN.items()
        ]
        pseudo_dwi = _read(scans.pseudo_dwi / f"{case_id}.nii.gz")[z]
        panels.append(Panel("pseudo-DWI", pseudo_dwi, (0.0, WINDOW_TOP[scale])))
        dwi = _read(scans.truth / "dwi" / f"{case_id}.nii.gz")
        brain = np.any([scans.channel(case_id, name) != 0 for name in PERFUSION_MAPS], axis=0)
        window = dwi_window(dwi, scale, brain)
        panels += [Panel("DWI", dwi[z], window), Panel("outlines", dwi[z], window)]
        label = f"{case_id}\nDice {dice(lesion, prediction):.2f}"
        # The demo's phantom has the headers of ISLES 2018, which do not tell right from left.
        row = Row(label, panels, lesion[z], prediction[z], outlined=("outlines",))
        rows.append(row)
    save_rows(rows, path, title="Held-out phantoms: the slice with the widest lesion")


def _read(path: Path) -> np.ndarray:
    return read_image(path).array


def _case_ids(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(".nii.gz") for path in folder.glob("*.nii.gz"))


def _maps(scans: DemoScans, case_ids: list[str], images: str) -> dict[str, list[np.ndarray]]:
    return {
        name: [scans.channel(case_id, name, images) for case_id in case_ids]
        for name in PERFUSION_MAPS
    }
