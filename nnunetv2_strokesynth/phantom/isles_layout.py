"""Writes a simulated scan as the ISLES 2018 release has it, quirks included."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK

from nnunetv2_strokesynth.atomic import atomic_file, atomic_folder
from nnunetv2_strokesynth.phantom.case import Case
from nnunetv2_strokesynth.phantom.hemodynamics import FRAME_S
from nnunetv2_strokesynth.phantom.plan import ScanPlan

CBF_MAP_UNITS = 8.0
"""Per mL/100 g/min: the release's contralateral CBF is 130-805, so in other units."""
CBV_MAP_UNITS = 10.0
_DATA_OFFSET = 352
SPLIT_FOLDERS = ("TRAINING", "TESTING")
_SPLIT_WORDS = (("TRAIN", "Train"), ("TEST", "Test"))
TRUTH_FOLDER = "TESTING_truth"


def write_release_nifti(path: Path, volume: np.ndarray, voxel_mm: tuple[float, ...]) -> None:
    """Write an uncompressed NIfTI with the release's header.

    The voxel sizes are right, but the sform is an identity matrix of code 2, the qform code is 0
    and qfac is -1. Written by hand, because image libraries make such headers consistent.

    Args:
        volume: (X, Y, Z) or (X, Y, Z, T).
        voxel_mm: voxel sizes along x, y, z; the time step of a series is 1 s.
    """
    header = nibabel.Nifti1Header()
    header.set_data_dtype(volume.dtype)
    header.set_data_shape(volume.shape)
    header["pixdim"] = 0
    header["pixdim"][: 1 + len(voxel_mm)] = (-1, *voxel_mm)
    if volume.ndim == 4:
        header["pixdim"][4] = FRAME_S
    header["qform_code"] = 0
    header["sform_code"] = 2
    for row, name in enumerate(("srow_x", "srow_y", "srow_z")):
        header[name] = np.eye(4)[row]
    header["magic"] = b"n+1"
    header["vox_offset"] = _DATA_OFFSET
    header.set_xyzt_units("mm", "sec")
    with open(path, "wb") as file:
        file.write(header.binaryblock)
        file.write(b"\0" * (_DATA_OFFSET - file.tell()))
        file.write(volume.tobytes(order="F"))


def release_volumes(case: Case, *, with_dwi: bool, with_label: bool) -> dict[str, np.ndarray]:
    """Modality -> volume (Z, Y, X) or (T, Z, Y, X), in the release's dtypes and units."""
    highest = np.iinfo(np.uint16).max
    volumes = {
        "CT": case.ct.astype(np.int32),
        "CT_4DPWI": case.ctp.astype(np.float32),
        "CT_CBF": np.clip(np.rint(case.maps.cbf * CBF_MAP_UNITS), 0, highest).astype(np.uint16),
        "CT_CBV": np.clip(np.rint(case.maps.cbv * CBV_MAP_UNITS), 0, highest).astype(np.uint16),
        "CT_MTT": case.maps.mtt.astype(np.float64),
        "CT_Tmax": case.maps.tmax.astype(np.float64),
    }
    if with_dwi:
        volumes["MR_DWI"] = case.dwi.astype(np.float32)
    if with_label:
        volumes["OT"] = case.lesion.astype(np.uint8)
    return volumes


def case_folder(root: Path, split: int, number: int) -> Path:
    """``root/TRAINING/case_1`` and so on."""
    return root / SPLIT_FOLDERS[split] / f"case_{number}"


def write_scan(root: Path, split: int, plan: ScanPlan, case: Case, *, with_dwi: bool) -> None:
    """Write one case folder, complete or not at all; a test scan's truth is written before it."""
    voxel_mm = (plan.grid.pixel_mm, plan.grid.pixel_mm, plan.grid.slice_mm)
    training = split == 0
    if not training:
        _write_truth(root, plan.number, case, voxel_mm)
    volumes = release_volumes(case, with_dwi=with_dwi and training, with_label=training)
    # The ids carry no meaning in the release either.
    rng = np.random.default_rng(np.random.SeedSequence([*plan.scan_seed, 1]))
    first_id = int(rng.integers(300000, 340000))
    upper, word = _SPLIT_WORDS[split]
    with atomic_folder(case_folder(root, split, plan.number)) as folder:
        for step, (modality, volume) in enumerate(volumes.items()):
            name = f"SMIR.Brain.XX.O.{modality}.{first_id + 2 * step}"
            (folder / name).mkdir()
            write_release_nifti(folder / name / f"{name}.nii", volume.T, voxel_mm)
            slab = "AB"[plan.slab]
            description = f"ISLES 2018 - {upper} - {word}_{plan.patient:02d}_{slab} - {modality}"
            sidecar = json.dumps({"description": description}, indent=2) + "\n"
            (folder / name / f"{name}.json").write_text(sidecar, encoding="utf-8")


def _write_truth(root: Path, number: int, case: Case, voxel_mm: tuple[float, ...]) -> None:
    for kind, volume in (("labels", case.lesion.astype(np.uint8)), ("dwi", case.dwi)):
        image = SimpleITK.GetImageFromArray(volume)
        image.SetSpacing([float(size) for size in voxel_mm])
        with atomic_file(truth_file(root, kind, number)) as path:
            SimpleITK.WriteImage(image, str(path), True)


def truth_file(root: Path, kind: str, number: int) -> Path:
    """Hidden truth of a test scan: ``kind`` is labels or dwi, the name the converter's case id."""
    return root / TRUTH_FOLDER / kind / f"test_{number:03d}.nii.gz"


def lesion_volume_ml(root: Path, split: int, number: int) -> float:
    """Volume of a written scan's lesion, read back from its label."""
    if split == 1:
        image = SimpleITK.ReadImage(str(truth_file(root, "labels", number)))
        voxels = int(np.count_nonzero(SimpleITK.GetArrayViewFromImage(image)))
        return round(voxels * float(np.prod(image.GetSpacing())) / 1000, 3)
    (path,) = case_folder(root, split, number).glob("SMIR.*.OT.*/*.nii")
    image = nibabel.load(path)
    voxel_ml = float(np.prod(image.header["pixdim"][1:4].astype(float))) / 1000
    return round(int(np.count_nonzero(np.asarray(image.dataobj))) * voxel_ml, 3)
