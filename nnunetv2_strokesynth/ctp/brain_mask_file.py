"""Brain masks that other programs made, such as HD-BET and SynthStrip."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import read_header, read_volume, require_finite


def read_brain_mask(path: Path, shape_zyx: tuple[int, int, int]) -> np.ndarray:
    """A mask on the scan's grid, (Z, Y, X) bool.

    Args:
        path: a NIfTI file with two values: 0, and 1 or another positive one. Noise of the kind
            0.9999999997 is rounded away.
        shape_zyx: of the scan.

    Raises:
        ValueError: the file cannot be read, has another shape or other values, or is empty.
        OSError: it cannot be opened.
    """
    header = read_header(path)
    if header.n_frames != 1 or header.shape_zyx != tuple(shape_zyx):
        raise ValueError(
            f"{path}: shape {header.disk_shape} (x, y, z), expected {tuple(shape_zyx)[::-1]} as "
            "of the scan; make the mask from the scan's own CT, or resample it to the scan's grid"
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
    return values > 0
