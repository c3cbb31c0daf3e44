"""What ``strokesynth demo`` shows at its end: a table and a picture of the held-out scans."""

from __future__ import annotations

import os
from collections.abc import Mapping
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
MOST_ROWS = 12
_SHOWN_PERCENTILE = 98.0


class _Shown(NamedTuple):
    """A channel in the picture; without window, it reaches to a percentile of all its slices."""

    name: str
    unit: str
    window: tuple[float, float] | None
    colour_map: str = "gray"


SHOWN = (
    _Shown("CT", "HU", (0.0, 80.0)),
    _Shown("CBF", "unit of the maps", None, "turbo"),
    _Shown("CBV", "unit of the maps", None, "turbo"),
    _Shown("Tmax", "s", (0.0, 12.0), "turbo"),
    _Shown("MIP", "HU", (0.0, 160.0)),
    _Shown("CTA_2", "HU", (0.0, 120.0)),
)


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
    """Draw held-out scans: channels, pseudo-DWI, DWI, and the lesions' outlines.

    The scans are picked by rank of Dice, at even steps from the best to the worst.
    """
    lesions = {case_id: scans.lesion(case_id) for case_id in scans.held_out}
    predictions = {case_id: scans.prediction(case_id) for case_id in lesions}
    scores = {i: dice(lesion, predictions[i]) for i, lesion in lesions.items()}
    picked = pick_by_rank(scores)
    slices = {case_id: widest_lesion_slice(lesions[case_id]) for case_id in picked}
    columns = [_column(scans, shown, slices) for shown in SHOWN]
    rows, scale = [], read_record(scans.pseudo_dwi).scale
    for index, (case_id, z) in enumerate(slices.items()):
        panels = [column[index] for column in columns]
        panels += _dwi_panels(scans, case_id, z, scale)
        lesion, prediction = lesions[case_id][z], predictions[case_id][z]
        label = f"{case_id}\nDice {scores[case_id]:.2f}"
        # The demo's phantom has the headers of ISLES 2018, which do not tell right from left.
        rows.append(Row(label, panels, lesion, prediction, outlined=("outlines",)))
    title = "Held-out phantoms: the slice with the widest lesion"
    if len(picked) < len(scores):
        title += f"; {len(picked)} of {len(scores)} scans, at even ranks of Dice, best to worst"
    save_rows(rows, path, title=title)


def pick_by_rank(scores: Mapping[str, float]) -> list[str]:
    """At most a dozen scans from the highest score to the lowest, at even steps of their rank."""
    ranked = sorted(scores, key=lambda case_id: (-scores[case_id], case_id))
    steps = np.linspace(0, len(ranked) - 1, min(MOST_ROWS, len(ranked)))
    return [ranked[i] for i in steps.round().astype(int)]


def _column(scans: DemoScans, shown: _Shown, slices: Mapping[str, int]) -> list[Panel]:
    """One channel of all scans in one window."""
    images = [_shown_slice(scans, case_id, shown, z) for case_id, z in slices.items()]
    window = shown.window
    if window is None:
        values = np.concatenate([image[image > 0] for image in images])
        window = (0.0, float(np.percentile(values, _SHOWN_PERCENTILE)) if values.size else 1.0)
    return [Panel(shown.name, image, window, shown.colour_map, shown.unit) for image in images]


def _shown_slice(scans: DemoScans, case_id: str, shown: _Shown, z: int) -> np.ndarray:
    """A slice of a channel; of a map it is NaN where nothing was computed."""
    if shown.name not in PERFUSION_MAPS:
        return scans.channel(case_id, shown.name)[z]
    image, flow = (scans.channel(case_id, name)[z] for name in (shown.name, "CBF"))
    return np.where(flow > 0, image, np.nan)


def _dwi_panels(scans: DemoScans, case_id: str, z: int, scale: str) -> list[Panel]:
    """Pseudo-DWI, DWI, and the DWI again for the outlines."""
    pseudo_dwi = _read(scans.pseudo_dwi / f"{case_id}.nii.gz")[z]
    dwi = _read(scans.truth / "dwi" / f"{case_id}.nii.gz")
    brain = np.any([scans.channel(case_id, name) != 0 for name in PERFUSION_MAPS], axis=0)
    window = dwi_window(dwi, scale, brain)
    return [
        Panel("pseudo-DWI", pseudo_dwi, (0.0, WINDOW_TOP[scale]), unit=f"scale '{scale}'"),
        Panel("DWI", dwi[z], window),
        Panel("outlines", dwi[z], window),
    ]


def _read(path: Path) -> np.ndarray:
    return read_image(path).array


def _case_ids(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(".nii.gz") for path in folder.glob("*.nii.gz"))


def _maps(scans: DemoScans, case_ids: list[str], images: str) -> dict[str, list[np.ndarray]]:
    return {
        name: [scans.channel(case_id, name, images) for case_id in case_ids]
        for name in PERFUSION_MAPS
    }
