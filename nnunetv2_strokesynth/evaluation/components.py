"""Connected components of a lesion mask, and the removal of the small ones.

Two voxels belong to the same component if they share a face, an edge or a corner: 26 neighbours in
3-D, as in the ISLES challenges' lesion counts. In scans whose slices lie 5 to 12 mm apart this
joins the cross-sections of one lesion that shifts by a voxel from slice to slice, which face
connectivity would tear apart.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

MM3_PER_ML = 1000.0
CONNECTIVITY = 26


def label_components(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Number the connected components of a mask.

    Args:
        mask: bool ``(Z, Y, X)``.

    Returns:
        int ``(Z, Y, X)``, 0 outside and 1..n inside, and n (0 for an empty mask).
    """
    return ndimage.label(mask, structure=ndimage.generate_binary_structure(mask.ndim, mask.ndim))


def component_sizes(labels: np.ndarray, n_components: int) -> np.ndarray:
    """Voxels of each component, int ``(n,)``; entry k belongs to label k + 1."""
    return np.bincount(labels.ravel(), minlength=n_components + 1)[1:]


def min_voxels(min_size: float, unit: str, spacing_mm: tuple[float, ...]) -> int:
    """The smallest number of voxels a component may have to be kept.

    Args:
        min_size: S_min; 0 keeps everything.
        unit: ``"voxels"``, as in Clerigues et al. 2019, or ``"mL"``, the same in every scan.
        spacing_mm: voxel size ``(z, y, x)``.

    Raises:
        ValueError: an unknown unit.
    """
    if unit == "voxels":
        return int(np.ceil(min_size))
    if unit == "mL":
        # The small slack keeps a component of exactly S_min, whatever the division rounds to.
        return int(np.ceil(min_size * MM3_PER_ML / float(np.prod(spacing_mm)) - 1e-9))
    raise ValueError(f"unit of the minimum size is '{unit}', expected 'voxels' or 'mL'")


def clean_lesion(probs: np.ndarray, threshold: float, smallest: int) -> np.ndarray:
    """Binarise a lesion probability and remove its small components.

    Args:
        probs: probability of lesion, ``(Z, Y, X)`` in [0, 1].
        threshold: T; a voxel is lesion where its probability is above T, so that 0.5 is nnU-Net's
            argmax.
        smallest: S_min in voxels; components with fewer voxels are removed.

    Returns:
        bool ``(Z, Y, X)``; empty if nothing is left.

    Source:
        Clerigues et al. 2019, section 3.3 (post-processing).
    """
    mask = probs > threshold
    if smallest <= 1:
        return mask
    labels, n_components = label_components(mask)
    keep = np.concatenate([[False], component_sizes(labels, n_components) >= smallest])
    return keep[labels]
