"""Writers of tiny scans in the layouts of ISLES 2018 and 2017, quirks included."""

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

SHAPE_XYZ = (18, 16, 2)
N_FRAMES = 14
SPACING_XYZ_MM = (9.0, 8.0, 10.0)  # so few voxels, and yet as large as a brain
MAPS = ("CBF", "CBV", "MTT", "Tmax")
DTYPES = {
    "CT": np.int32,
    "CBF": np.uint16,
    "CBV": np.uint16,
    "MTT": np.float64,
    "Tmax": np.float64,
}
BOLUS = np.array([0, 0, 0, 5, 15, 30, 50, 60, 52, 40, 30, 20, 12, 6], dtype=np.float32)


class Scans:
    """Writes scans below ``root`` and hands out paths to spoil them.

    Arrays are (X, Y, Z) and (X, Y, Z, T), as on disk. Outside the brain, an ellipse, maps are 0.
    """

    shape_zyx = SHAPE_XYZ[::-1]
    spacing_zyx_mm = SPACING_XYZ_MM[::-1]
    n_frames = N_FRAMES

    def __init__(self, root: Path):
        self.root = root
        self._next_id = 345000

    def add(self, number, split="TRAINING", *, prefix="CT_", dwi=False, sidecar=None, lesion=4):
        """Write one case; ``sidecar`` is a patient label like ``Train_01_A``."""
        arrays = self.arrays(number, lesion=lesion)
        if not dwi:
            arrays.pop("DWI")
        if split.upper() == "TESTING":
            arrays.pop("OT")
        for modality, array in arrays.items():
            name = modality if modality in ("CT", "OT") else prefix + modality
            name = "MR_DWI" if modality == "DWI" else name
            self.write(number, name, array, split=split, sidecar=sidecar)
        return self

    def write(self, number, name, array, *, split="TRAINING", sidecar=None, **header):
        """Write one file ``SMIR.Brain.XX.O.<name>.<id>.nii`` with the release's odd header."""
        self._next_id += 1
        stem = f"SMIR.Brain.XX.O.{name}.{self._next_id}"
        folder = self.root / split / f"case_{number}" / stem
        folder.mkdir(parents=True)
        path = folder / f"{stem}.nii"
        save_nifti(path, array, **header)
        if sidecar:
            description = f"ISLES 2018 - TRAIN - {sidecar} - {name}"
            path.with_suffix(".json").write_text(json.dumps({"description": description}))
        return path

    def path(self, number, modality, split="TRAINING"):
        """The file of one modality, with or without prefix."""
        case = self.root / split / f"case_{number}"
        (found,) = [
            p
            for p in case.rglob("*.nii")
            if p.name.split(".")[4].removeprefix("CT_").removeprefix("MR_") == modality
        ]
        return found

    def remove(self, number, modality):
        """Delete the folder of one modality."""
        shutil.rmtree(self.path(number, modality).parent)

    def replace(self, number, modality, array, **header):
        """Write another array into the file of one modality."""
        save_nifti(self.path(number, modality), array, **header)

    @staticmethod
    def arrays(number, lesion=4):
        """All modalities of a case, (X, Y, Z[, T]); a square lesion, ``lesion`` px, in slice 0."""
        rng = np.random.default_rng(int(number))
        x, y = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE_XYZ[:2]), indexing="ij")
        brain = np.repeat(((x / 0.8) ** 2 + (y / 0.8) ** 2 < 1)[..., None], SHAPE_XYZ[2], axis=2)
        arrays = {"CT": np.where(brain, rng.normal(35, 3, SHAPE_XYZ), -1000)}
        for modality in MAPS:
            arrays[modality] = np.where(brain, rng.uniform(1, 9, SHAPE_XYZ), 0)
        arrays = {name: array.astype(DTYPES[name]) for name, array in arrays.items()}
        noise = rng.normal(0, 0.5, (*SHAPE_XYZ, N_FRAMES))
        series = np.where(brain[..., None], 35 + BOLUS + noise, -1000)
        arrays["4DPWI"] = series.astype(np.float32)
        lesion_mask = np.zeros(SHAPE_XYZ, dtype=np.uint8)
        lesion_mask[7 : 7 + lesion, 6 : 6 + lesion, 0] = 1
        arrays["OT"] = lesion_mask
        arrays["DWI"] = (rng.uniform(50, 90, SHAPE_XYZ) + 80 * lesion_mask).astype(np.float32)
        return arrays


class MriScans(Scans):
    """Writes scans in the layout of ISLES 2017, with the same shapes and voxels."""

    modalities = ("ADC", "rCBF", "rCBV", "MTT", "TTP", "Tmax")

    def add(self, number, split="training", *, lesion=4):
        """Write one scan; its series is not a NIfTI file, so that reading it would fail."""
        arrays = self.arrays(number, lesion=lesion)
        if split.lower().startswith("test"):
            arrays.pop("OT")
        for modality, array in arrays.items():
            name = modality if modality == "OT" else f"MR_{modality}"
            self.write(number, name, array, split=split)
        self.write(number, "MR_4DPWI", np.zeros(1), split=split).write_bytes(b"not to be read")
        return self

    def case(self, number, split="training"):
        """The folder of one scan."""
        name = "test" if split.lower().startswith("test") else "training"
        return self.root / split / f"{name}_{number}"

    def write(self, number, name, array, *, split="training", prefix="VSD", **header):
        """Write one file ``VSD.Brain.XX.O.<name>.<id>.nii``."""
        self._next_id += 1
        stem = f"{prefix}.Brain.XX.O.{name}.{self._next_id}"
        path = self.case(number, split) / stem / f"{stem}.nii"
        path.parent.mkdir(parents=True)
        save_nifti(path, array, **header)
        return path

    def path(self, number, modality, split="training"):
        """The file of one modality."""
        (found,) = self.case(number, split).glob(f"*.O.*{modality}.*/*.nii")
        return found

    @classmethod
    def arrays(cls, number, lesion=4):
        """All maps of a scan and the lesion, (X, Y, Z). ADC alone covers a ring around the rest."""
        rng = np.random.default_rng(int(number))
        x, y = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE_XYZ[:2]), indexing="ij")
        radius = np.repeat(np.hypot(x, y)[..., None], SHAPE_XYZ[2], axis=2)
        arrays = {
            name: np.where(radius < 0.6, rng.uniform(1, 9, SHAPE_XYZ), 0).astype(np.float32)
            for name in cls.modalities
        }
        adc = np.where(radius < 0.8, rng.uniform(700, 900, SHAPE_XYZ), 0)
        arrays["ADC"] = adc.astype(np.float32)
        arrays["OT"] = np.zeros(SHAPE_XYZ, dtype=np.uint8)
        arrays["OT"][7 : 7 + lesion, 6 : 6 + lesion, 0] = 1
        return arrays


def save_nifti(path, array, *, spacing=SPACING_XYZ_MM):
    """Write NIfTI-1 as the release does: pixdim right, sform an identity, qform_code 0."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(array.dtype)
    header.set_data_shape(array.shape)
    header["pixdim"][:4] = (-1, *spacing)
    header["sform_code"], header["qform_code"], header["vox_offset"] = 2, 0, 352
    header["srow_x"], header["srow_y"], header["srow_z"] = np.eye(4)[:3]
    with open(path, "wb") as file:
        header.write_to(file)
        file.write(array.tobytes(order="F"))


@pytest.fixture
def scans(tmp_path):
    """An empty folder to write scans into."""
    return Scans(tmp_path / "ISLES2018")


@pytest.fixture
def mri_scans(tmp_path):
    """An empty folder to write MRI scans into."""
    return MriScans(tmp_path / "ISLES2017")


@pytest.fixture
def nnunet_raw(tmp_path, monkeypatch):
    """nnU-Net's three folders, in ``tmp_path``; returns the raw one."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    return tmp_path / "nnUNet_raw"


class BidsScans:
    """Writes patients in the layout of ISLES 2024: a tilted grid, two trees, files by ending.

    Arrays are (X, Y, Z) and (X, Y, Z, T), as on disk.
    """

    affine = np.array(
        [
            [-9, 0, 0, 80.5],
            [0, 8 * np.cos(0.1), -5 * np.sin(0.1), -90.25],
            [0, 8 * np.sin(0.1), 5 * np.cos(0.1), 30.75],
            [0, 0, 0, 1],
        ]
    )
    endings = {"CT": "ncct", "4DPWI": "ctp", "CTA": "cta", "DWI": "dwi", "OT": "lesion-msk"}
    endings |= {name: name.lower() for name in MAPS}

    arrays = staticmethod(Scans.arrays)

    def __init__(self, root: Path):
        self.root = root

    def path(self, number, modality, session=None):
        """The file of one modality."""
        ending, subject = self.endings[modality], f"sub-stroke{number:04d}"
        session = session or ("ses-02" if modality in ("DWI", "OT") else "ses-01")
        tree = "raw_data" if modality == "CT" else "derivatives"
        folder = self.root / tree / subject / session
        if modality in MAPS:
            folder = folder / "perfusion-maps"
        space = "" if modality in ("CT", "OT") else "space-ncct_"
        return folder / f"{subject}_{session}_{space}{ending}.nii.gz"

    def write(self, number, modality, array, *, affine=None, session=None):
        """Write one file."""
        path = self.path(number, modality, session)
        path.parent.mkdir(parents=True, exist_ok=True)
        affine = self.affine if affine is None else affine
        image = nibabel.Nifti1Image(array, affine)
        image.header.set_xyzt_units("mm", "sec")
        nibabel.save(image, path)
        return path

    def add(self, number, *, lesion=True, dwi=True, maps=True, scale=1):
        """Write one patient; ``scale`` repeats every pixel along x and y."""
        for modality, array in self.arrays(number).items():
            if modality in ("OT", "DWI") and not (lesion if modality == "OT" else dwi):
                continue
            if modality in MAPS and not maps:
                continue
            if array.dtype == np.int64:
                array = array.astype(np.int16)
            self.write(number, modality, array.repeat(scale, axis=0).repeat(scale, axis=1))
        return self


@pytest.fixture
def bids_scans(tmp_path):
    """An empty folder to write ISLES 2024 patients into."""
    return BidsScans(tmp_path / "ISLES2024")
