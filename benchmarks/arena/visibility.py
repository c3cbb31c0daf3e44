"""How well the lesion is seen in the pseudo-DWI, and what its inputs allow.

    python -m benchmarks.arena.visibility ARENA_FOLDER [--methods strokesynth stock] [--fold 0]

For each method's last checkpoint: contrast, AUC and best cut of its pseudo-DWI and of its
probability of lesion taken as an image, beside those of the real DWI. The probability is the
ceiling of what a network trained on the outlines can show. The image that the pixel loss asks for
is the mean DWI that fits the inputs: healthy brain, plus the DWI's own step from brain to lesion
times the probability. "healthy DWI + step x probability" is that image with the texture and noise
of the real DWI. A pseudo-DWI that falls behind both has not brought to the picture what its inputs
tell; one that lies between them has.

"Step" is lesion minus other brain, "sd" that of the other brain; both on the brain's scale, where
healthy brain is 0.5. The best cut is one threshold for all scans of the table, in hindsight.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.arena.data import NAME, brain_of, held_out_groups, truth_folder
from benchmarks.arena.fold_run import FoldRun
from benchmarks.arena.methods import METHODS
from benchmarks.arena.run import settings_of
from nnunetv2_strokesynth.dataloading.dwi_scaling import BRAIN, find_scale, scale_dwi
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import read_record
from nnunetv2_strokesynth.evaluation.cases import case_files
from nnunetv2_strokesynth.evaluation.lesion_visibility import (
    best_cut,
    dice_by_cut,
    lesion_auc,
    lesion_contrast,
)
from nnunetv2_strokesynth.evaluation.matching import find_maps
from nnunetv2_strokesynth.evaluation.tables import markdown_grid
from nnunetv2_strokesynth.evaluation.volumes import read_image, read_lesion_probability, read_mask

HEADER = ("image", "scans", "step", "sd", "contrast", "AUC", "best cut, Dice %")
REAL = "real DWI"


class Truth(NamedTuple):
    """A held-out scan: lesion and brain, bool ``(Z, Y, X)``; the DWI with healthy brain at 0.5."""

    lesion: np.ndarray
    brain: np.ndarray
    dwi: np.ndarray


def read_truth(root: Path) -> dict[str, Truth]:
    """Every held-out scan with a lesion, by case id."""
    labels, dwis = (case_files(truth_folder(root) / name) for name in ("labels", "dwi"))
    maps = find_maps([*labels], root / "nnUNet_raw" / NAME / "imagesTs")
    found = {}
    for case_id, label in labels.items():
        lesion = read_mask(label).array
        brain = brain_of(maps[case_id])
        if lesion.any():
            dwi = read_image(dwis[case_id]).array
            found[case_id] = Truth(lesion, brain, scale_dwi(dwi, BRAIN, brain))
    return found


def row(name: str, images: Mapping[str, np.ndarray], truth: Mapping[str, Truth]) -> list[str]:
    """One row of the table: means over the scans.

    Args:
        name: of the image.
        images: ``(Z, Y, X)`` by case id, on a scale whose lesions lie between 0 and 2.5.
        truth: of the same scans.
    """
    values, curves = [], []
    for case_id, image in images.items():
        lesion, brain, _ = truth[case_id]
        others = image[brain & ~lesion]
        values.append(
            (
                image[lesion].mean() - others.mean(),
                others.std(),
                lesion_contrast(image, lesion, brain),
                lesion_auc(image, lesion, brain),
            )
        )
        curves.append(dice_by_cut(image, lesion, brain))
    step, sd, contrast, auc = np.nanmean(values, axis=0)
    cut = 100 * np.mean(curves, axis=0)[best_cut(np.array(curves))]
    return [name, str(len(values)), f"{step:.3f}", f"{sd:.3f}", f"{contrast:.2f}", f"{auc:.3f}",
            f"{cut:.1f}"]  # fmt: skip


def _images_of(run: FoldRun, scale: str) -> dict[str, Callable[[str, Truth], np.ndarray]]:
    """Name -> what makes the image of a scan."""
    folder = run.folder / "final_pseudo_dwi"

    def probability(case_id: str, _: Truth) -> np.ndarray:
        return read_lesion_probability(run.folder / "final" / f"{case_id}.npz")

    def pseudo_dwi(case_id: str, truth: Truth) -> np.ndarray:
        image = read_image(folder / f"{case_id}.nii.gz").array
        own = find_scale(truth.dwi, scale, truth.brain)
        return image if scale == BRAIN else own.raw(image)

    def expected(case_id: str, truth: Truth) -> np.ndarray:
        lesion, brain, dwi = truth
        level = dwi[brain & ~lesion].mean()
        healthy = np.where(lesion, level, dwi)
        return healthy + (dwi[lesion].mean() - level) * probability(case_id, truth)

    found = {"probability": probability, "healthy DWI + step x probability": expected}
    return ({"pseudo-DWI": pseudo_dwi} if folder.is_dir() else {}) | found


def rows_of(run: FoldRun, truth: Mapping[str, Truth]) -> Iterator[list[str]]:
    """The rows of a method on one fold."""
    folder = run.folder / "final_pseudo_dwi"
    scale = read_record(folder).scale if folder.is_dir() else BRAIN
    for name, make in _images_of(run, scale).items():
        images = {case_id: make(case_id, scan) for case_id, scan in truth.items()}
        yield row(f"{run.method.name}: {name}", images, truth)


def main() -> None:
    """Print a table for each group of held-out scans."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of an arena")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["strokesynth", "stock"])
    parser.add_argument("--fold", type=int, default=0)
    args = parser.parse_args()
    root = args.folder.resolve()
    settings = settings_of(root, {})
    truth = read_truth(root)
    for title, group in held_out_groups([*truth], root, settings).items():
        shown = {case_id: scan for case_id, scan in truth.items() if case_id in group}
        rows = [row(REAL, {case_id: scan.dwi for case_id, scan in shown.items()}, shown)]
        for name in args.methods:
            rows += rows_of(FoldRun(root, settings, METHODS[name], args.fold, "cpu"), shown)
        sys.stdout.write(f"{title}: {len(shown)} with a lesion.\n\n{markdown_grid(HEADER, rows)}\n")


if __name__ == "__main__":
    main()
