"""The known defects of the real ISLES 2024 release, written into a phantom of its layout.

Source: groups that audited the release and report, independently, a second mask of patient 142,
NaN, infinity and -54,112 s in MTT, a truncated CBF of patient 43, a Tmax of -30 outside the tissue,
masks of uint16 and of 0.9999999997, and three patients without a lesion. Copies differ in where the
DWI lies. Here the training patients 1 to 12 have one defect each.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np

RAW, OTHER_RAW, DERIVATIVES = "raw_data", "rawdata", "derivatives"
MTT, TMAX, CBF = (f"perfusion-maps/space-ncct_{name}" for name in ("mtt", "tmax", "cbf"))
LESION, DWI = "space-ncct_lesion-msk", "space-ncct_dwi"
IMPOSSIBLE_MTT_S = -54112.0
NAN_SHARE = 302261 / (512 * 512 * 80)
ALMOST_ONE = 0.9999999997
TMAX_OUTSIDE_S = -30.0


class Defect(NamedTuple):
    """What is wrong with one patient.

    Attributes:
        file: end of the file's path, without its suffix.
        defect: what is wrong with it.
        convert: what ``strokesynth convert isles2024 --skip-broken`` does.
    """

    file: str
    defect: str
    convert: str


_NO_LESION = Defect(LESION, "the mask is empty", "trains as a patient without a lesion")

DEFECTS: dict[int, Defect] = {
    1: Defect(MTT, "NaN, infinity and -54,112 s in the brain", "counted, background"),
    2: Defect(MTT, f"NaN in {NAN_SHARE:.1%} of the voxels", "counted, background"),
    3: Defect(CBF, "the gzip stream is truncated", "left out"),
    4: Defect(LESION, "a second mask on other voxels", "the one in the CT's space counts"),
    5: Defect(TMAX, "-30 outside the tissue", "recognised as background"),
    6: Defect(LESION, "a mask of 0.9999999997, float64", "read as a mask"),
    7: Defect(LESION, "a mask of uint16", "read as a mask"),
    8: _NO_LESION,
    9: _NO_LESION,
    10: _NO_LESION,
    11: Defect(DWI, f"lies in {RAW}", "found"),
    12: Defect(DWI, f"lies in {OTHER_RAW}, a second spelling", "found"),
}


def spoil_volumes(
    number: int, volumes: dict[str, np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """The images of a patient with its defect: end of the path -> (Z, Y, X) or (T, Z, Y, X)."""
    spoilt = dict(volumes)
    if number in (1, 2) and MTT in volumes:
        spoilt[MTT] = _without_measurement(number, volumes[MTT], rng)
    if number == 5 and TMAX in volumes:
        tmax = volumes[TMAX]
        outside = (tmax == 0) | (tmax == tmax[len(tmax) // 2, 0, 0])  # of the vendor's software
        spoilt[TMAX] = np.where(outside, np.float32(TMAX_OUTSIDE_S), tmax)
    if LESION in volumes and number in (6, 7, 8, 9, 10):
        lesion = volumes[LESION]
        masks = {6: lesion * np.float64(ALMOST_ONE), 7: lesion.astype(np.uint16)}
        spoilt[LESION] = masks.get(number, np.zeros_like(lesion))
    return spoilt


def _without_measurement(number: int, mtt: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    spoilt = mtt.copy()
    if number == 1:
        brain = np.flatnonzero(mtt > 0)
        chosen = rng.choice(brain, size=min(3, brain.size), replace=False)
        spoilt.flat[chosen] = [np.nan, np.inf, IMPOSSIBLE_MTT_S][: chosen.size]
    else:
        spoilt[rng.random(mtt.shape) < NAN_SHARE] = np.nan
    return spoilt


def tree_of(number: int, ending: str) -> str:
    """The tree that an image of a patient lies in."""
    trees = {11: RAW, 12: OTHER_RAW}
    return trees.get(number, DERIVATIVES) if ending == DWI else DERIVATIVES


def spoil_files(number: int, folder: Path) -> None:
    """Damage what was written of a patient.

    Args:
        number: of the patient.
        folder: its folder in ``derivatives``.
    """
    if number == 3:
        (path,) = folder.rglob("*_space-ncct_cbf.nii.gz")
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if number == 4:
        (path,) = folder.rglob("*_space-ncct_lesion-msk.nii.gz")
        image: nibabel.Nifti1Image = nibabel.load(path)
        native = image.slicer[::2, ::2]
        nibabel.save(native, path.with_name(path.name.replace("_space-ncct", "")[: -len(".gz")]))


def describe_defects(names: dict[int, str]) -> list[dict[str, str]]:
    """Entries for ``phantom.json``.

    Args:
        names: number of each training patient -> what the release calls it.
    """
    return [
        {"case": names[number], **defect._asdict()}
        for number, defect in DEFECTS.items()
        if number in names
    ]
