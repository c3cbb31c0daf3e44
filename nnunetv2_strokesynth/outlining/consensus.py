"""What several readers say of one scan together, and how far they agree."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.evaluation.metrics import dice

THRESHOLD = 0.5


class Consensus(NamedTuple):
    """One outline made of several.

    Attributes:
        probability: float32 (Z, Y, X), the mean of the readers' probabilities of lesion.
        outline: bool (Z, Y, X), where it is above 0.5.
        agreement: in [0, 1], see ``agreement_of``.
    """

    probability: np.ndarray
    outline: np.ndarray
    agreement: float


def consensus_of(probabilities: Sequence[np.ndarray]) -> Consensus:
    """The consensus of readers.

    Args:
        probabilities: of lesion, (Z, Y, X) each, in [0, 1]; at least two.

    Raises:
        ValueError: fewer than two, or their shapes differ.
    """
    shapes = {probability.shape for probability in probabilities}
    if len(probabilities) < 2 or len(shapes) > 1:
        raise ValueError(
            f"expected the probabilities of at least two readers in one shape, found "
            f"{len(probabilities)} in {sorted(shapes)}"
        )
    mean = np.mean(probabilities, axis=0, dtype=np.float64).astype(np.float32)
    agreement = agreement_of([probability > THRESHOLD for probability in probabilities])
    return Consensus(mean, mean > THRESHOLD, agreement)


def agreement_of(outlines: Sequence[np.ndarray]) -> float:
    """The mean Dice of all pairs of outlines, bool (Z, Y, X) each; two empty ones agree fully."""
    return float(np.mean([dice(one, other) for one, other in combinations(outlines, 2)]))
