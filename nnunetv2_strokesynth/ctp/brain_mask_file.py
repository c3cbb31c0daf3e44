"""Brain masks that other programs made, such as HD-BET and SynthStrip."""

from __future__ import annotations

import numpy as np

from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import read_header, read_volume, require_finite
from nnunetv2_strokesynth.io.placement import Placement


def read_brain_mask(placed: Placement) -> np.ndarray:
    """A mask on the voxels of the scan, (Z, Y, X) bool.

    Args:
        placed: a NIfTI file with two values: 0, and 1 or another positive one. Noise of the kind
            0.9999999997 is rounded away.

    Raises:
        ValueError: the file cannot be read, is a series or has other values, or is empty on the
            scan's voxels.
        OSError: it cannot be opened.
    """
    path, header = placed.path, read_header(placed.path)
    if header.n_frames != 1:
        raise ValueError(
            f"{path}: shape {header.disk_shape} (x, y, z), expected "
            f"{placed.target.shape_zyx[::-1]} as of the scan; make the mask from the scan's own CT"
        )
    values = np.round(require_finite(str(path), read_volume(path)), 3)
    found = np.unique(values)
    if len(found) > 2 or found[0] < 0 or (len(found) == 2 and found[0] != 0):
        shown = name_some((f"{value:g}" for value in found), at_most=4)
        raise ValueError(
            f"{path}: a brain mask with the values {shown}, expected 0 and 1; is it the stripped "
            "image in place of its mask?"
        )
    if not found[-1]:
        raise ValueError(f"{path}: the brain mask is 0 everywhere")
    brain, _ = placed.mask(values > 0, may_leave=True)
    if not brain.any():
        raise ValueError(f"{path}: the brain mask is 0 where the scan lies, {placed.target}")
    return brain
