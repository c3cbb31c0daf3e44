"""The MNI152 atlas: tissue maps, vessels and the intracranial space, and values at positions."""

from __future__ import annotations

import importlib
import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
from scipy import ndimage

from nnunetv2_strokesynth.phantom.vessels import draw_vessel_tree

ATLAS_ORIGIN_MM = np.array([-98.0, -134.0, -72.0])
"""Position of voxel (0, 0, 0) of nilearn's 1 mm MNI152 maps."""
COARSE_MM = 2
_PADDING = 16
_CLOSING_MM = 14.0


class Atlas(NamedTuple):
    """Volumes (X, Y, Z) float32.

    Attributes:
        gm, wm: tissue fractions at 1 mm.
        vessels: at 1 mm, + the fraction of arteries, - that of veins (they do not overlap).
        outside_mm: signed distance from the intracranial space, at 2 mm.
    """

    gm: np.ndarray
    wm: np.ndarray
    vessels: np.ndarray
    outside_mm: np.ndarray


def _load_template(tissue: str) -> np.ndarray:
    """One of nilearn's 1 mm MNI152 maps, scaled to a maximum of 1.

    The file is read straight from the installed package where it lies at its usual place, because
    importing nilearn takes seconds in every worker.
    """
    spec = importlib.util.find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise ValueError(
            "the phantom's anatomy (MNI152) comes with nilearn, which is not installed: "
            "pip install 'nnunetv2_strokesynth[demo]'"
        )
    name = f"mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz"
    path = Path(spec.origin).parent / "datasets" / "data" / name
    image: nibabel.Nifti1Image
    if path.exists():
        image = nibabel.load(path)
    else:
        datasets = importlib.import_module("nilearn.datasets")
        suffix = "template" if tissue == "t1" else f"{tissue}_template"
        image = getattr(datasets, f"load_mni152_{suffix}")(resolution=1)
    volume = np.asarray(image.dataobj, dtype=np.float32)
    return volume / volume.max()


@lru_cache(maxsize=1)
def load_atlas() -> Atlas:
    """The MNI152 maps and what is derived from them, once per process.

    Raises:
        ValueError: nilearn is not installed.
    """
    t1, gm, wm = (_load_template(tissue) for tissue in ("t1", "gm", "wm"))
    arteries, veins = draw_vessel_tree(gm.shape, ATLAS_ORIGIN_MM)
    # The maps count deep CSF partly as grey matter: T1 darkness tells it apart.
    tissue = 1 - np.clip((0.55 - t1) / 0.25, 0, 1)
    vessels = np.where(arteries > veins, arteries, -veins)
    return Atlas(gm * tissue, wm * tissue, vessels, _distance_outside(t1 > 0.05))


def _distance_outside(brain: np.ndarray) -> np.ndarray:
    """Signed distance (mm) from the brain with its fissures closed, on the coarse grid."""
    coarse = np.pad(brain[::COARSE_MM, ::COARSE_MM, ::COARSE_MM], _PADDING)
    closed = ndimage.distance_transform_edt(~coarse) < _CLOSING_MM / COARSE_MM
    closed = ndimage.distance_transform_edt(closed) > _CLOSING_MM / COARSE_MM
    outside = ndimage.distance_transform_edt(~closed) - ndimage.distance_transform_edt(closed)
    inner = slice(_PADDING, -_PADDING)
    return COARSE_MM * outside[inner, inner, inner].astype(np.float32)


def sample_atlas(
    volume: np.ndarray, position: np.ndarray, *, spacing: float = 1.0, outside: float = 0.0
) -> np.ndarray:
    """Trilinear values of an atlas volume at positions (3, ...) in mm."""
    origin = ATLAS_ORIGIN_MM.astype(np.float32).reshape(3, *[1] * (position.ndim - 1))
    where = (position - origin) / np.float32(spacing)
    return ndimage.map_coordinates(volume, where, order=1, mode="constant", cval=outside)
