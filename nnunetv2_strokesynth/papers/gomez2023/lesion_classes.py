"""The classes that Gomez 2023 trains on, made from the augmented lesion by ``PackTargets``."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_erosion, generate_binary_structure

_FOUR_NEIGHBOURS = generate_binary_structure(2, 1)


def lesion_classes(lesion: np.ndarray) -> np.ndarray:
    """Background 0, lesion 1: bool (Y, X) -> float32 (Y, X)."""
    return lesion.astype(np.float32)


def boundary_classes(lesion: np.ndarray) -> np.ndarray:
    """Background 0, lesion 1, its boundary 2.

    Args:
        lesion: bool (Y, X).

    Returns:
        float32 (Y, X). All zeros without a lesion; a lesion that is nowhere three pixels thick
        consists of boundary only.

    Source: Gomez 2023, section 4.4, which names the boundary as a class of its own and gives it no
    width. Choice: the lesion pixels that have a pixel outside the lesion among their four
    neighbours. The image's border is no edge of the lesion: the area beyond counts as lesion.
    """
    interior = binary_erosion(lesion, _FOUR_NEIGHBOURS, border_value=1)
    return lesion.astype(np.float32) + (lesion & ~interior)
