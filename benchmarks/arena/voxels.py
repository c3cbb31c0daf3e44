"""What a way to present the channels is worth, without a network: boosted trees on single voxels.

    OMP_NUM_THREADS=2 python benchmarks/arena/voxels.py ARENA_FOLDER

Networks differ from one training to the next by more than most ideas are worth. Trees do not: they
learn from smoothed values of the arena's training scans (0, 2.2, 4.8 and 9 mm) and are measured on
its held-out scans, with the channels z-scored per scan as nnU-Net does, in HU and s, or both, and
with or without the difference to the other hemisphere. Takes two minutes a row.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from data import NAME, truth_folder
from scipy.ndimage import gaussian_filter
from sklearn.ensemble import HistGradientBoostingClassifier

from nnunetv2_strokesynth.channels import (
    PRESETS,
    has_fixed_unit,
)
from nnunetv2_strokesynth.evaluation.tables import markdown_grid
from nnunetv2_strokesynth.evaluation.volumes import (
    read_image,
    read_mask,
)

NAMES = PRESETS["wang2020"].names
SIGMAS_PX = (0.0, 0.6, 1.3, 2.5)  # of 3.6 mm
MIRROR_SIGMA_PX = 1.3
TRAINING_SHARE = 0.8  # the rest chooses the probability from which on a voxel is lesion
BACKGROUND_SHARE = 0.25
CUTS = np.arange(0.04, 0.6, 0.03)
WAYS = {"z-scored": ("z",), "HU and s": ("physical",), "both": ("z", "physical")}


class Scan(NamedTuple):
    """Channels (C, Z, Y, X), brain and lesion (Z, Y, X)."""

    channels: np.ndarray
    brain: np.ndarray
    lesion: np.ndarray


def read_scans(images: Path, labels: Path) -> Iterator[Scan]:
    """All scans of a folder, in the order of their names."""
    for label in sorted(labels.glob("*.nii.gz")):
        case_id = label.name.removesuffix(".nii.gz")
        files = [images / f"{case_id}_{index:04d}.nii.gz" for index in range(len(NAMES))]
        channels = np.stack([read_image(file).array for file in files]).astype(np.float32)
        yield Scan(channels, (channels != 0).any(axis=0), read_mask(label).array)


def smooth(values: np.ndarray, brain: np.ndarray, sigma_px: float) -> np.ndarray:
    """Within slices and the brain, (Z, Y, X)."""
    if sigma_px == 0:
        return values
    sigma = (0, sigma_px, sigma_px)
    weight = gaussian_filter(brain.astype(np.float32), sigma)
    return gaussian_filter(values * brain, sigma) / np.maximum(weight, 1e-3)


def presented(scan: Scan, way: tuple[str, ...]) -> Iterator[np.ndarray]:
    """The channels as volumes; those without a physical unit are always z-scored."""
    for name, values in zip(NAMES, scan.channels, strict=True):
        inside = values[scan.brain]
        z_scored = (values - inside.mean()) / max(inside.std(), 1e-6)
        kinds = way if has_fixed_unit(name) else ("z",)
        yield from (z_scored if kind == "z" else values for kind in kinds)


def features(scan: Scan, way: tuple[str, ...], *, mirrored: bool) -> np.ndarray:
    """(voxels of the brain, features)."""
    columns = np.nonzero(scan.brain)[2]
    width = scan.brain.shape[2]
    opposite = np.rint(2 * columns.mean() - np.arange(width)).astype(int).clip(0, width - 1)
    found = []
    for volume in presented(scan, way):
        found += [smooth(volume, scan.brain, sigma)[scan.brain] for sigma in SIGMAS_PX]
        if mirrored:
            smoothed = smooth(volume, scan.brain, MIRROR_SIGMA_PX)
            found.append((smoothed - smoothed[..., opposite])[scan.brain])
    return np.stack(found, axis=1)


def fitted(
    scans: list[Scan], way: tuple[str, ...], *, mirrored: bool
) -> HistGradientBoostingClassifier:
    """Trees; large scans count less per voxel, as Dice is taken per scan."""
    rng = np.random.default_rng(0)
    x, y, weight = [], [], []
    for scan in scans:
        lesion = scan.lesion[scan.brain]
        kept = lesion | (rng.random(lesion.size) < BACKGROUND_SHARE)
        x.append(features(scan, way, mirrored=mirrored)[kept])
        y.append(lesion[kept])
        weight.append(np.where(y[-1], 1, 1 / BACKGROUND_SHARE) / np.sqrt(lesion.size))
    trees = HistGradientBoostingClassifier(
        max_iter=120,
        learning_rate=0.06,
        max_leaf_nodes=15,
        l2_regularization=5,
        min_samples_leaf=200,
        random_state=0,
    )
    return trees.fit(np.concatenate(x), np.concatenate(y), np.concatenate(weight))


def dice_by_cut(
    trees: HistGradientBoostingClassifier,
    scans: list[Scan],
    way: tuple[str, ...],
    *,
    mirrored: bool,
) -> np.ndarray:
    """Dice in per cent, (scans, cuts)."""
    rows = []
    for scan in scans:
        probability = np.zeros(scan.brain.shape, np.float32)
        seen = features(scan, way, mirrored=mirrored)
        probability[scan.brain] = trees.predict_proba(seen)[:, 1]
        probability = smooth(probability, scan.brain, SIGMAS_PX[1]) * scan.brain
        predicted = probability > CUTS[:, None, None, None]
        overlap = (predicted & scan.lesion).sum(axis=(1, 2, 3))
        total = predicted.sum(axis=(1, 2, 3)) + scan.lesion.sum()
        rows.append(200 * overlap / np.maximum(total, 1))
    return np.stack(rows)


def main() -> None:
    """Print a row per way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of an arena whose data are made")
    root = parser.parse_args().folder
    raw = root / "nnUNet_raw" / NAME
    scans = list(read_scans(raw / "imagesTr", raw / "labelsTr"))
    held_out = list(read_scans(raw / "imagesTs", truth_folder(root) / "labels"))
    n_train = round(TRAINING_SHARE * len(scans))
    rows = []
    for (name, way), mirrored in product(WAYS.items(), (False, True)):
        trees = fitted(scans[:n_train], way, mirrored=mirrored)
        chosen = dice_by_cut(trees, scans[n_train:], way, mirrored=mirrored).mean(axis=0).argmax()
        dice = dice_by_cut(trees, held_out, way, mirrored=mirrored).mean(axis=0)
        cells = (f"{dice[chosen]:.1f}", f"{dice.max():.1f}")
        rows.append([name, "yes" if mirrored else "no", *cells])
    header = ("channels", "other hemisphere", "Dice %", "at the best cut in hindsight")
    sys.stdout.write(markdown_grid(header, rows))


if __name__ == "__main__":
    main()
