"""Rules that turn a lesion probability into a lesion, the same for every method.

``half`` is nnU-Net's: 0.5. ``calibrated`` takes the threshold with the best mean Dice over the
validation scans of the same folds. ``expected`` needs no validation scans: for each scan it takes
the threshold that maximises the Dice to be expected if the scan's own probabilities were right.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.evaluation.cases import case_files
from nnunetv2_strokesynth.evaluation.volumes import read_lesion_probability, read_mask

HALF, CALIBRATED, EXPECTED = "half", "calibrated", "expected"
RULES = (HALF, CALIBRATED, EXPECTED)
# Fine below 0.1, where methods that learned from few lesions have their best threshold.
GRID = np.concatenate([np.arange(0.01, 0.1, 0.01), np.arange(0.1, 0.91, 0.05)])


def dice_by_threshold(probability: np.ndarray, lesion: np.ndarray) -> np.ndarray:
    """Dice of ``probability > threshold`` for every threshold of ``GRID``.

    Args:
        probability: any shape.
        lesion: bool, the same shape.

    Returns:
        ``(len(GRID),)``; 1 where neither the scan nor the prediction has a lesion.
    """
    inside, everywhere = np.sort(probability[lesion]), np.sort(probability, axis=None)
    overlap = inside.size - np.searchsorted(inside, GRID, side="right")
    predicted = everywhere.size - np.searchsorted(everywhere, GRID, side="right")
    total = predicted + inside.size
    return np.where(total > 0, 2 * overlap / np.maximum(total, 1), 1.0)


def calibrated_threshold(validation: Sequence[Path], labels: Path) -> float:
    """The threshold of ``GRID`` with the best mean Dice over validation scans.

    Args:
        validation: folders of nnU-Net's validation predictions with probabilities, one per fold.
        labels: the folder of the labels.

    Raises:
        FileNotFoundError: no folder holds probabilities.
    """
    truth = case_files(labels)
    files = [file for folder in validation for file in sorted(folder.glob("*.npz"))]
    if not files:
        raise FileNotFoundError(
            f"no probabilities in {', '.join(map(str, validation))}; expected nnU-Net's .npz of "
            "the validation scans, which nnUNetv2_train writes with --npz"
        )
    found = [
        dice_by_threshold(read_lesion_probability(file), read_mask(truth[file.stem]).array)
        for file in files
    ]
    return float(GRID[np.mean(found, axis=0).argmax()])


def expected_dice_threshold(probability: np.ndarray) -> float:
    """The threshold that maximises the Dice to be expected from the probabilities themselves.

    If k voxels of sum s are called lesion, and the lesion has P voxels in the mean, the expected
    Dice is about 2 s / (k + P). The best k is searched with the most probable voxels first.

    Args:
        probability: any shape, in [0, 1].

    Returns:
        In [0, 1]; voxels above it are lesion.

    Source: the plug-in approximation of the optimal F-score decision (Nan et al. 2012).
    """
    falling = np.sort(probability, axis=None)[::-1].astype(np.float64)
    total = falling.sum()
    if total <= 0:
        return 1.0
    k = np.arange(1, falling.size + 1)
    best = int((2 * np.cumsum(falling) / (k + total)).argmax())
    below = falling[best + 1] if best + 1 < falling.size else 0.0
    return float((falling[best] + below) / 2)
