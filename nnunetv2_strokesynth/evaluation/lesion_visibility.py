"""How well a lesion is seen in an image: contrast, AUC, and the best single threshold.

All are about the voxels of the brain. The threshold is chosen in hindsight, on the very scans that
it is judged on, which flatters it: it says what the image holds, not what a user would reach.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

# On the pseudo-DWI's own scale, on which healthy brain lies at about 0.5 to 0.8.
CUTS = np.round(np.arange(0.0, 2.505, 0.01), 2)


def lesion_contrast(image: np.ndarray, lesion: np.ndarray, brain: np.ndarray) -> float:
    """(mean in the lesion - mean of the other brain) / standard deviation of the other brain.

    Args:
        image: ``(Z, Y, X)``, any unit.
        lesion: bool, the same shape.
        brain: bool, the same shape; the lesion need not lie in it.

    Returns:
        Above 0 for a bright lesion. NaN without a lesion, and where the other brain is constant.
    """
    others = image[brain & ~lesion].astype(np.float64)
    if not lesion.any() or others.size < 2 or not others.std():
        return float("nan")
    return float((image[lesion].mean(dtype=np.float64) - others.mean()) / others.std())


def lesion_auc(image: np.ndarray, lesion: np.ndarray, brain: np.ndarray) -> float:
    """How likely a voxel of the lesion is brighter than one of the other brain; ties count half.

    Arguments as of ``lesion_contrast``.

    Returns:
        The area under the ROC curve, 0 to 1; 0.5 for an image that does not tell. NaN without a
        lesion or without other brain.
    """
    inside, others = image[lesion], image[brain & ~lesion]
    if not inside.size or not others.size:
        return float("nan")
    ranks = rankdata(np.concatenate((inside, others)))[: inside.size]
    return float((ranks.sum() - inside.size * (inside.size + 1) / 2) / inside.size / others.size)


def dice_by_cut(
    image: np.ndarray, lesion: np.ndarray, brain: np.ndarray, cuts: np.ndarray = CUTS
) -> np.ndarray:
    """Dice of "brain above the threshold" for every threshold.

    Args:
        image, lesion, brain: as of ``lesion_contrast``. Lesion outside the brain is never found.
        cuts: thresholds, ``(K,)``.

    Returns:
        ``(K,)``; 1 where neither the scan nor the threshold has a lesion.
    """
    hits = _above(image[brain & lesion], cuts)
    total = _above(image[brain], cuts) + lesion.sum()
    return np.where(total > 0, 2 * hits / np.maximum(total, 1), 1.0)


def best_dice(image: np.ndarray, lesion: np.ndarray, brain: np.ndarray) -> float:
    """The Dice of the best threshold for this scan alone, any value of the image tried.

    Arguments as of ``lesion_contrast``. NaN without a lesion.
    """
    if not lesion.any():
        return float("nan")
    values = np.unique(image[brain])
    below_all = values[:1] - 1
    return float(dice_by_cut(image, lesion, brain, np.concatenate((below_all, values))).max())


def best_cut(curves: np.ndarray) -> int:
    """The index of the threshold with the highest mean Dice over scans.

    Args:
        curves: ``(scans, K)``, of ``dice_by_cut``.
    """
    return int(np.argmax(np.mean(curves, axis=0)))


def _above(values: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """How many values exceed each threshold."""
    return values.size - np.searchsorted(np.sort(values, axis=None), cuts, side="right")
