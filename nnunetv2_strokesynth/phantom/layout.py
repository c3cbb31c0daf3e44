"""How a phantom's files are laid out on disk, and the writing of one scan."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK

from nnunetv2_strokesynth.io.atomic import atomic_folder
from nnunetv2_strokesynth.io.image_file import write_image
from nnunetv2_strokesynth.phantom.anatomy import SlabGrid
from nnunetv2_strokesynth.phantom.physics import Physics
from nnunetv2_strokesynth.phantom.plan import (
    PhantomSettings,
    ScanPlan,
)
from nnunetv2_strokesynth.phantom.timetable import FRAME_S
from nnunetv2_strokesynth.phantom.truth import TRUTH_FOLDER, write_true_maps

TRAINING, TESTING = 0, 1
_DATA_OFFSET = 352


@dataclass(frozen=True)
class Layout(ABC):
    """The release that a phantom looks like. A split is 0 (training) or 1 (testing).

    Attributes:
        name: as the user types it.
        version: raised when the same settings give other images.
        settings: the fields of ``PhantomSettings`` that decide its images and are written down.
        splits: what each split is called in ``phantom.json``.
        simulate: (patient, slab, rng, timetable=, physics=) -> a simulated scan; with vendor=
            where a plan has one.
    """

    name: str
    version: int
    settings: tuple[str, ...]
    splits: tuple[str, str]
    simulate: Callable[..., object]

    @property
    @abstractmethod
    def folders(self) -> tuple[str, ...]:
        """The folders beside ``phantom.json`` that a phantom consists of."""

    @abstractmethod
    def plan(self, settings: PhantomSettings, n_train: int, n_test: int) -> list[list[ScanPlan]]:
        """The training scans and the test scans."""

    def orders(self, plan: ScanPlan, settings: PhantomSettings) -> dict[str, str]:
        """Files of a scan -> the order of their axes; empty where the headers do not tell."""
        return {}

    def of_study(self, physics: Physics) -> Physics:
        """The physics with ``study`` as the release's patients have it."""
        return physics

    def truth_maps_folder(self, root: Path, split: int, number: int) -> Path:
        """Where the true perfusion of a scan is written."""
        return root / TRUTH_FOLDER / self.splits[split] / self.case_name(split, number)

    @abstractmethod
    def case_name(self, split: int, number: int) -> str:
        """What the release calls a scan: ``case_1``, ``sub-stroke0001``."""

    @abstractmethod
    def is_written(self, root: Path, split: int, number: int) -> bool:
        """Whether a scan has been written; it is written completely or not at all."""

    @abstractmethod
    def lesion_volume_ml(self, root: Path, split: int, number: int) -> float:
        """Volume of a written scan's lesion, read back from its label."""

    @abstractmethod
    def write_scan(
        self, root: Path, split: int, plan: ScanPlan, scan: object, settings: PhantomSettings
    ) -> None:
        """Write one scan, completely or not at all; a test scan's truth is written first."""


@dataclass(frozen=True)
class CaseFolderLayout(Layout):
    """A folder for each scan, ``TRAINING/case_1``, which has a folder for each modality.

    Attributes:
        plan_scans: (seed, split, n_scans, size=, max_slices=) -> the scans of a split; with
            vendors= where they are a setting.
        case_names: for each split what precedes the number in the name of a scan's folder.
        truth_folder: folder of the test scans' hidden truth.
        file_prefix: the first word of the files' names.
        volumes: (scan, split, settings) -> modality as in the files' names -> volume as stored,
            axes reversed: (Z, Y, X) or (T, Z, Y, X).
        truths: scan -> kind of truth (``labels``) -> (Z, Y, X).
        sidecar: (plan, split, modality) -> content of the JSON file beside the image, if any.
    """

    plan_scans: Callable[..., list[ScanPlan]]
    case_names: tuple[str, str]
    truth_folder: str
    file_prefix: str
    volumes: Callable[[object, int, PhantomSettings], dict[str, np.ndarray]]
    truths: Callable[[object], dict[str, np.ndarray]]
    sidecar: Callable[[ScanPlan, int, str], dict[str, object] | None]

    @property
    def folders(self) -> tuple[str, ...]:
        return (*self.splits, self.truth_folder, TRUTH_FOLDER)

    def plan(self, settings: PhantomSettings, n_train: int, n_test: int) -> list[list[ScanPlan]]:
        options = {"size": settings.size, "max_slices": settings.max_slices}
        plans = []
        for split, count in enumerate((n_train, n_test)):
            if "vendors" in self.settings:
                options["vendors"] = settings.vendors_of(split)
            plans.append(self.plan_scans(settings.seed, split, count, **options))
        return plans

    def case_name(self, split: int, number: int) -> str:
        return f"{self.case_names[split]}{number}"

    def case_folder(self, root: Path, split: int, number: int) -> Path:
        """``root/TRAINING/case_1`` and so on."""
        return root / self.splits[split] / self.case_name(split, number)

    def is_written(self, root: Path, split: int, number: int) -> bool:
        return self.case_folder(root, split, number).exists()

    def truth_file(self, root: Path, kind: str, number: int) -> Path:
        """Hidden truth of a test scan; the name is the converter's case id."""
        return root / self.truth_folder / kind / f"test_{number:03d}.nii.gz"

    def lesion_volume_ml(self, root: Path, split: int, number: int) -> float:
        if split == TESTING:
            truth = SimpleITK.ReadImage(str(self.truth_file(root, "labels", number)))
            voxels = int(np.count_nonzero(SimpleITK.GetArrayViewFromImage(truth)))
            return round(voxels * float(np.prod(truth.GetSpacing())) / 1000, 3)
        case_folder = self.case_folder(root, split, number)
        (path,) = case_folder.glob(f"{self.file_prefix}.*.OT.*/*.nii")
        image: nibabel.Nifti1Image = nibabel.load(path)
        voxel_ml = float(np.prod(image.header["pixdim"][1:4].astype(float))) / 1000
        return round(int(np.count_nonzero(np.asarray(image.dataobj))) * voxel_ml, 3)

    def write_scan(
        self, root: Path, split: int, plan: ScanPlan, scan: object, settings: PhantomSettings
    ) -> None:
        voxel_mm = _voxel_mm(plan.grid)
        if split == TESTING:
            for kind, volume in self.truths(scan).items():
                _write_truth(self.truth_file(root, kind, plan.number), volume, voxel_mm)
        if settings.truth:
            self._write_true_maps(root, split, plan, scan)
        # The numbers in the files' names mean nothing, as in the release.
        rng = np.random.default_rng(np.random.SeedSequence([*plan.scan_seed, 1]))
        first_id = int(rng.integers(300000, 340000))
        volumes = self.volumes(scan, split, settings)
        with atomic_folder(self.case_folder(root, split, plan.number)) as folder:
            for step, (modality, volume) in enumerate(volumes.items()):
                name = f"{self.file_prefix}.Brain.XX.O.{modality}.{first_id + 2 * step}"
                (folder / name).mkdir()
                path = folder / name / f"{name}.nii"
                write_release_nifti(path, volume.T, voxel_mm, plan.timetable.header_frame_s)
                sidecar = self.sidecar(plan, split, modality)
                if sidecar is not None:
                    text = json.dumps(sidecar, indent=2) + "\n"
                    (folder / name / f"{name}.json").write_text(text, encoding="utf-8")

    def _write_true_maps(self, root: Path, split: int, plan: ScanPlan, scan: object) -> None:
        def write(path: Path, volume: np.ndarray) -> None:
            write_release_nifti(path.with_suffix(".nii"), volume.T, _voxel_mm(plan.grid))

        folder = self.truth_maps_folder(root, split, plan.number)
        write_true_maps(folder, plan, scan, write)


def write_release_nifti(
    path: Path, volume: np.ndarray, voxel_mm: tuple[float, ...], frame_s: float = FRAME_S
) -> None:
    """Write an uncompressed NIfTI with the release's header.

    The voxel sizes are right, but the sform is an identity matrix of code 2, the qform code is 0
    and qfac is -1. The header is written byte by byte, because image libraries would make it
    consistent.

    Args:
        path: the file.
        volume: (X, Y, Z), (X, Y, Z, T) or (X, Y, Z, 1, T).
        voxel_mm: voxel sizes along x, y, z.
        frame_s: time between the frames of a series.
    """
    header = nibabel.Nifti1Header()
    header.set_data_dtype(volume.dtype)
    header.set_data_shape(volume.shape)
    header["pixdim"] = 0
    header["pixdim"][: 1 + len(voxel_mm)] = (-1, *voxel_mm)
    header["pixdim"][4 : volume.ndim + 1] = frame_s
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


def _voxel_mm(grid: SlabGrid) -> tuple[float, float, float]:
    return (grid.pixel_mm, grid.pixel_mm, grid.slice_mm)


def _write_truth(path: Path, volume: np.ndarray, voxel_mm: tuple[float, ...]) -> None:
    image = SimpleITK.GetImageFromArray(volume)
    image.SetSpacing([float(size) for size in voxel_mm])
    write_image(path, image)
