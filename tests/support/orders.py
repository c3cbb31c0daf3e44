"""One volume stored in any of the 48 orders of its axes."""

from itertools import permutations, product

import nibabel
import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform

ORDERS = [
    "".join(letters) for axes in permutations(("LR", "PA", "SI")) for letters in product(*axes)
]
_TURN = np.deg2rad(7)
# LPS, with pixels that are not square and a gantry tilt.
TILTED = np.array(
    [
        [-2.0, 0, 0, 40.0],
        [0, -2.5 * np.cos(_TURN), 5 * np.sin(_TURN), 55.0],
        [0, 2.5 * np.sin(_TURN), 5 * np.cos(_TURN), -12.0],
        [0, 0, 0, 1],
    ]
)


def save_in_order(path, array, order="LPS", *, affine=TILTED, frame_s=1.0):
    """Write an LPS array (Z, Y, X) or (T, Z, Y, X) with its axes in another order."""
    turn = ornt_transform(io_orientation(affine), axcodes2ornt(tuple(order)))
    image = nibabel.Nifti1Image(np.asarray(array).T, affine).as_reoriented(turn)
    image = nibabel.Nifti1Image(np.asarray(image.dataobj), image.affine)
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    if image.ndim == 4:
        image.header["pixdim"][4] = frame_s
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return path
