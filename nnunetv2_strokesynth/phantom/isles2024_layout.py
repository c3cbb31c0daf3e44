"""A simulated patient in the files of the ISLES 2024 release: CT on admission, DWI at follow-up.

Choices: what the release resampled into the NCCT's space is simulated there; the header is tilted
about x like a gantry; axes are stored in several orders, the lesion's by itself; the outermost
slices lie outside the CTP's coverage. The ADC (1e-6 mm2/s) lies where the NCCT lies, DWI and lesion
about 1 mm and 1 degree off it.
"""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np

from nnunetv2_strokesynth.io.atomic import (
    atomic_file,
    atomic_folder,
)
from nnunetv2_strokesynth.io.orientation import CANONICAL
from nnunetv2_strokesynth.phantom.anatomy import (
    Head,
    build_head,
)
from nnunetv2_strokesynth.phantom.case import Case, simulate_case
from nnunetv2_strokesynth.phantom.hemodynamics import FRAME_S
from nnunetv2_strokesynth.phantom.layout import (
    TESTING,
    TRAINING,
    Layout,
)
from nnunetv2_strokesynth.phantom.mri_case import measured_adc
from nnunetv2_strokesynth.phantom.patient import Patient
from nnunetv2_strokesynth.phantom.physics import MRIPhysics, Physics
from nnunetv2_strokesynth.phantom.plan import (
    MIXED,
    PhantomSettings,
    ScanPlan,
    plan_isles2024_scans,
)

_RAW, _DERIVATIVES, _TRUTH = "raw_data", "derivatives", "TESTING_truth"
_ADMISSION, _FOLLOW_UP = 1, 2
_LESION = "space-ncct_lesion-msk"
_TRUTHS = ("labels", "dwi")
_ORDERS = ("LPS", "LAS", "RAS")
_LESION_ORDERS = ("LPS", "LAS")
_LEAST_SLICES_TO_LOSE = 4
_TILT_DEG, _TABLE_MM = (2.0, 8.0), 30.0
_COMPRESSION = 1
"""At gzip's usual level a CTP of full size would take minutes, and noise hardly shrinks."""


class FollowedCase(NamedTuple):
    """A simulated scan and an ADC map beside its DWI, (Z, Y, X) float32 in 1e-6 mm2/s."""

    case: Case
    adc: np.ndarray


def _follow_up_adc(
    rng: np.random.Generator, head: Head, case: Case, physics: MRIPhysics
) -> np.ndarray:
    """ADC from an image without and one with diffusion weighting, low where tissue infarcted."""
    adc = measured_adc(rng, head, 1 - case.adc_loss, pixel_mm=case.grid.pixel_mm, physics=physics)
    return np.where(case.brain, adc, np.float32(0))


def simulate_followed_case(
    patient: Patient, slab: int, rng: np.random.Generator, *, n_frames: int, physics: Physics
) -> FollowedCase:
    """``simulate_case``, and the ADC from the same head and infarct."""
    case = simulate_case(patient, slab, rng, n_frames=n_frames, physics=physics)
    head = build_head(case.grid, patient.shape, physics.densities)
    return FollowedCase(case, _follow_up_adc(rng, head, case, physics.mri))


def _within_coverage(volume: np.ndarray) -> np.ndarray:
    """(..., Z, Y, X) with 0 in the first and last slice, which the CTP does not cover."""
    if volume.shape[-3] < _LEAST_SLICES_TO_LOSE:
        return volume
    covered = volume.copy()
    covered[..., [0, -1], :, :] = 0
    return covered


def admission_volumes(case: Case) -> dict[str, np.ndarray]:
    """Images of the CT's session: end of the file's path -> (Z, Y, X), or (T, Z, Y, X) for the CTP.

    The CTA is the CTP's frame at the arterial peak and covers the whole NCCT.
    """
    ctp = case.ctp.astype(np.int16)
    peak = int(np.clip(round(case.bolus.peak_s / FRAME_S), 0, len(ctp) - 1))
    volumes = {"space-ncct_ctp": _within_coverage(ctp), "space-ncct_cta": ctp[peak]}
    for name, volume in case.maps._asdict().items():
        covered = _within_coverage(volume).astype(np.float32)
        volumes[f"perfusion-maps/space-ncct_{name}"] = covered
    return volumes


def follow_up_volumes(scan: FollowedCase, settings: PhantomSettings) -> dict[str, np.ndarray]:
    """Images of the MRI's session: end of the file's path -> (Z, Y, X)."""
    volumes = {_LESION: scan.case.lesion.astype(np.uint8)}
    if settings.dwi:
        volumes["space-ncct_dwi"] = scan.case.dwi.astype(np.float32)
        volumes["space-ncct_adc"] = scan.adc.astype(np.float32)
    return volumes


def tilted_affine(plan: ScanPlan) -> np.ndarray:
    """Voxel index (x, y, z) -> scanner position in RAS, mm, with a random tilt about x."""
    rng = np.random.default_rng(np.random.SeedSequence([*plan.scan_seed, 1]))
    angle = np.deg2rad(rng.uniform(*_TILT_DEG) * rng.choice([-1, 1]))
    cos, sin = np.cos(angle), np.sin(angle)
    tilt = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    grid = plan.grid
    edge_mm = grid.pixel_mm * (grid.size - 1) / 2
    first_mm = np.array([edge_mm, edge_mm, grid.bottom_mm + grid.slice_mm / 2])
    affine = np.eye(4)
    # x runs to the patient's left and y to the back.
    affine[:3, :3] = tilt * [-grid.pixel_mm, -grid.pixel_mm, grid.slice_mm]
    affine[:3, 3] = tilt @ first_mm + rng.uniform(-_TABLE_MM, _TABLE_MM, 3)
    return affine


def write_sane_nifti(
    path: Path, volume: np.ndarray, affine: np.ndarray, order: str = CANONICAL
) -> None:
    """Write (Z, Y, X) or (T, Z, Y, X) as a compressed NIfTI file that holds no time and no name.

    nibabel by itself may store both, so that equal images would differ in their bytes.

    Args:
        path: the file.
        volume: in ``LPS`` order.
        affine: of the volume.
        order: in which its axes are stored.
    """
    axes = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(affine), nibabel.orientations.axcodes2ornt(tuple(order))
    )
    image = nibabel.Nifti1Image(volume.T, affine).as_reoriented(axes)
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    image.header.set_xyzt_units("mm", "sec")
    if volume.ndim == 4:
        image.header["pixdim"][4] = FRAME_S
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        open(path, "wb") as file,
        gzip.GzipFile("", "wb", _COMPRESSION, fileobj=file, mtime=0) as compressed,
    ):
        image.to_stream(compressed)


def _session(number: int, visit: int) -> str:
    """``ses-01``, or ``ses-0001`` for every fourth patient; the release has both spellings."""
    return f"ses-{visit:04d}" if number % 4 == 0 else f"ses-{visit:02d}"


def _relative_path(number: int, visit: int, ending: str) -> Path:
    """Path in a patient's folder: ``ses-01/perfusion-maps/sub-stroke0001_ses-01_...nii.gz``."""
    folder, _, name = ending.rpartition("/")
    session = _session(number, visit)
    return Path(session, folder, f"sub-stroke{number:04d}_{session}_{name}.nii.gz")


class PatientLayout(Layout):
    """ISLES 2024: a folder for each patient in ``raw_data`` and in ``derivatives``.

    The folder in ``raw_data`` is written last, so its presence means that the patient is complete.
    Test patients are numbered after the training patients; their truth lies in a folder of its own.
    """

    def orders(self, plan: ScanPlan, settings: PhantomSettings) -> dict[str, str]:
        """The lesion's order is drawn by itself, as the release's masks are stored otherwise."""
        if settings.orientation != MIXED:
            return dict.fromkeys(("images", "lesion"), settings.orientation)
        rng = np.random.default_rng(np.random.SeedSequence([*plan.scan_seed, 2]))
        images, lesion = (str(rng.choice(orders)) for orders in (_ORDERS, _LESION_ORDERS))
        return {"images": images, "lesion": lesion}

    def of_study(self, physics: Physics) -> Physics:
        """Lesions and course of ISLES 2024, whose MRI comes days after the CT."""
        return replace(physics, study=physics.follow_up)

    @property
    def folders(self) -> tuple[str, ...]:
        return (_RAW, _DERIVATIVES, _TRUTH)

    def plan(self, settings: PhantomSettings, n_train: int, n_test: int) -> list[list[ScanPlan]]:
        options = {"size": settings.size, "max_slices": settings.max_slices}
        return [
            plan_isles2024_scans(settings.seed, TRAINING, n_train, **options),
            plan_isles2024_scans(settings.seed, TESTING, n_test, **options, first=n_train + 1),
        ]

    def case_name(self, split: int, number: int) -> str:
        return f"sub-stroke{number:04d}"

    def truth_file(self, root: Path, kind: str, number: int) -> Path:
        """Hidden truth of a test patient."""
        return root / _TRUTH / kind / f"test_{number:04d}.nii.gz"

    def is_written(self, root: Path, split: int, number: int) -> bool:
        """Whether the patient has been written.

        Raises:
            ValueError: it was written for the other split, because an earlier run had another
                number of training patients.
        """
        name = self.case_name(split, number)
        if not (root / _RAW / name).exists():
            return False
        found = TESTING if self.truth_file(root, "labels", number).exists() else TRAINING
        if found != split:
            raise ValueError(
                f"{root}: {name} is there as a {self.splits[found]} scan and would now be one for "
                f"{self.splits[split]}, because test scans are numbered after the training scans; "
                "keep --cases as it was, choose another folder or pass --overwrite"
            )
        return True

    def lesion_volume_ml(self, root: Path, split: int, number: int) -> float:
        path = self.truth_file(root, "labels", number)
        if split == TRAINING:
            folder = root / _DERIVATIVES / self.case_name(split, number)
            path = folder / _relative_path(number, _FOLLOW_UP, _LESION)
        image: nibabel.Nifti1Image = nibabel.load(path)
        voxel_ml = float(np.prod(image.header.get_zooms()[:3], dtype=np.float64)) / 1000
        return round(int(np.count_nonzero(np.asarray(image.dataobj))) * voxel_ml, 3)

    def write_scan(
        self,
        root: Path,
        split: int,
        plan: ScanPlan,
        scan: FollowedCase,
        settings: PhantomSettings,
    ) -> None:
        number, name = plan.number, self.case_name(split, plan.number)
        affine, orders = tilted_affine(plan), self.orders(plan, settings)
        if split == TESTING:
            self._write_truths(root, number, scan, affine, orders)
        else:
            for kind in _TRUTHS:
                # Left by an interrupted run, it would turn a training scan into a test scan.
                self.truth_file(root, kind, number).unlink(missing_ok=True)
        visits = {_ADMISSION: admission_volumes(scan.case)}
        if split == TRAINING:
            visits[_FOLLOW_UP] = follow_up_volumes(scan, settings)
        with atomic_folder(root / _DERIVATIVES / name) as folder:
            for visit, volumes in visits.items():
                for ending, volume in volumes.items():
                    order = orders["lesion" if ending == _LESION else "images"]
                    path = folder / _relative_path(number, visit, ending)
                    write_sane_nifti(path, volume, affine, order)
        with atomic_folder(root / _RAW / name) as folder:
            path = folder / _relative_path(number, _ADMISSION, "ncct")
            write_sane_nifti(path, scan.case.ct.astype(np.int16), affine, orders["images"])

    def _write_truths(
        self,
        root: Path,
        number: int,
        scan: FollowedCase,
        affine: np.ndarray,
        orders: dict[str, str],
    ) -> None:
        volumes = (scan.case.lesion.astype(np.uint8), scan.case.dwi)
        for kind, volume in zip(_TRUTHS, volumes, strict=True):
            order = orders["lesion" if kind == "labels" else "images"]
            with atomic_file(self.truth_file(root, kind, number)) as temporary:
                write_sane_nifti(temporary, volume, affine, order)


ISLES2024 = PatientLayout(
    name="isles2024",
    version=3,
    settings=("layout", "size", "seed", "dwi", "max_slices", "orientation"),
    splits=("training", "testing"),
    simulate=simulate_followed_case,
)
