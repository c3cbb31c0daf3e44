"""A simulated patient in the files of the ISLES 2024 release: CT on admission, DWI at follow-up.

Choices: what the release resampled into the NCCT's space is simulated there; the header is tilted
about x like a gantry; axes are stored in several orders, the lesion's by itself; the outermost
slices lie outside the CTP's coverage. Orders, tilt, coverage and the maps' background are the
vendor's. A series whose times its header cannot say has a sidecar. The ADC (1e-6 mm2/s) lies where
the NCCT lies, DWI and lesion about 1 mm and 1 degree off it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import nibabel
import numpy as np
from scipy.spatial.transform import Rotation

from nnunetv2_strokesynth.io.atomic import (
    atomic_file,
    atomic_folder,
)
from nnunetv2_strokesynth.phantom.anatomy import (
    Head,
    SlabGrid,
    build_head,
)
from nnunetv2_strokesynth.phantom.case import Case, simulate_case
from nnunetv2_strokesynth.phantom.isles2024_defects import (
    DEFECTS,
    DERIVATIVES,
    LESION,
    OTHER_RAW,
    RAW,
    spoil_files,
    spoil_volumes,
    tree_of,
)
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
from nnunetv2_strokesynth.phantom.sane_nifti import write_sane_nifti
from nnunetv2_strokesynth.phantom.timetable import Timetable
from nnunetv2_strokesynth.phantom.truth import TRUTH_FOLDER, write_true_maps
from nnunetv2_strokesynth.phantom.vendors import REFERENCE, VENDORS, Vendor

_RAW, _DERIVATIVES, _TRUTH = RAW, DERIVATIVES, "TESTING_truth"
_ADMISSION, _FOLLOW_UP = 1, 2
_CTP, _MAPS = "space-ncct_ctp", "perfusion-maps/space-ncct_"
_TRUTHS = ("labels", "dwi")
_LESION_ORDERS = ("LPS", "LAS")
_LEAST_SLICES_TO_LOSE = 4
_TABLE_MM = 30.0
_SLOPES = {"cbf": 0.1, "cbv": 0.01, "mtt": 0.01, "tmax": 0.01}
"""Of the header, where a vendor stores maps as integers."""


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
    patient: Patient,
    slab: int,
    rng: np.random.Generator,
    *,
    timetable: Timetable,
    physics: Physics,
    vendor: Vendor = REFERENCE,
) -> FollowedCase:
    """``simulate_case``, and the ADC from the same head and infarct."""
    case = simulate_case(patient, slab, rng, timetable=timetable, physics=physics, vendor=vendor)
    head = build_head(case.grid, patient.shape, physics.densities)
    return FollowedCase(case, _follow_up_adc(rng, head, case, physics.mri))


def covered_slices(grid: SlabGrid, vendor: Vendor) -> slice:
    """The slices of the NCCT that the CTP covers: all of a few, else without the outermost."""
    if grid.n_slices < _LEAST_SLICES_TO_LOSE:
        return slice(None)
    over_mm = grid.n_slices * grid.slice_mm - vendor.coverage.height_mm
    lost = max(1, round(over_mm / 2 / grid.slice_mm))
    return slice(lost, grid.n_slices - lost)


def admission_volumes(
    case: Case, timetable: Timetable, vendor: Vendor = REFERENCE
) -> dict[str, np.ndarray]:
    """Images of the CT's session: end of the file's path -> (Z, Y, X), or (T, Z, Y, X) for the CTP.

    CTP and maps are 0 in the slices that the CTP does not cover, and the maps hold the vendor's
    background where nothing was computed in the others. The CTA is the CTP's frame at the arterial
    peak and covers the whole NCCT.
    """
    inside = covered_slices(case.grid, vendor)
    series = case.ctp.astype(np.int16)
    ctp = np.zeros_like(series)
    ctp[:, inside] = series[:, inside]
    peak = timetable.frame_at(case.bolus.peak_s)
    volumes = {_CTP: ctp, "space-ncct_cta": series[peak]}
    maps = case.maps._asdict().items()
    for (name, volume), background in zip(maps, vendor.files.background, strict=True):
        covered = np.zeros(volume.shape, np.float32)
        covered[inside] = np.where(case.computed, volume, np.float32(background))[inside]
        volumes[f"{_MAPS}{name}"] = covered
    return volumes


def follow_up_volumes(scan: FollowedCase, settings: PhantomSettings) -> dict[str, np.ndarray]:
    """Images of the MRI's session: end of the file's path -> (Z, Y, X)."""
    volumes = {LESION: scan.case.lesion.astype(np.uint8)}
    if settings.dwi:
        volumes["space-ncct_dwi"] = scan.case.dwi.astype(np.float32)
        volumes["space-ncct_adc"] = scan.adc.astype(np.float32)
    return volumes


def tilted_affine(plan: ScanPlan) -> np.ndarray:
    """Voxel index (x, y, z) -> scanner position in RAS, mm, tilted and turned at random."""
    files = VENDORS[plan.vendor].files
    rng = np.random.default_rng(np.random.SeedSequence([*plan.scan_seed, 1]))
    tilt_deg, turn_deg = (
        rng.uniform(*limits) * rng.choice([-1, 1]) for limits in (files.tilt_deg, files.turn_deg)
    )
    about = [
        Rotation.from_euler(axis, angle, degrees=True).as_matrix()
        for axis, angle in (("x", tilt_deg), ("z", turn_deg))
    ]
    tilt = about[0] @ about[1]
    grid = plan.grid
    edge_mm = grid.pixel_mm * (grid.size - 1) / 2
    first_mm = np.array([edge_mm, edge_mm, grid.bottom_mm + grid.slice_mm / 2])
    affine = np.eye(4)
    # x runs to the patient's left and y to the back.
    affine[:3, :3] = tilt * [-grid.pixel_mm, -grid.pixel_mm, grid.slice_mm]
    affine[:3, 3] = tilt @ first_mm + rng.uniform(-_TABLE_MM, _TABLE_MM, 3)
    return affine


def _write_sidecar(image: Path, timetable: Timetable) -> None:
    """The times of a series' frames, where its header cannot say them."""
    content = timetable.sidecar()
    if content:
        path = image.with_name(image.name.removesuffix(".nii.gz") + ".json")
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _session(number: int, visit: int) -> str:
    """``ses-01``, or ``ses-0001`` for every fourth patient; the release has both spellings."""
    return f"ses-{visit:04d}" if number % 4 == 0 else f"ses-{visit:02d}"


def _relative_path(number: int, visit: int, ending: str) -> Path:
    """Path in a patient's folder: ``ses-01/perfusion-maps/sub-stroke0001_ses-01_...nii.gz``."""
    folder, _, name = ending.rpartition("/")
    session = _session(number, visit)
    return Path(session, folder, f"sub-stroke{number:04d}_{session}_{name}.nii.gz")


class _Image(NamedTuple):
    """An image to write: number of the visit, end of the file's path, (Z, Y, X) or (T, Z, Y, X)."""

    visit: int
    ending: str
    volume: np.ndarray


def _trees(
    scan: FollowedCase, plan: ScanPlan, settings: PhantomSettings, *, split: int, spoilt: int
) -> dict[str, list[_Image]]:
    """A patient's images but the NCCT, by the tree that they lie in.

    Args:
        spoilt: number of the patient whose defect they have; 0 for none.
    """
    visits = {_ADMISSION: admission_volumes(scan.case, plan.timetable, VENDORS[plan.vendor])}
    if split == TRAINING:
        visits[_FOLLOW_UP] = follow_up_volumes(scan, settings)
    rng = np.random.default_rng(np.random.SeedSequence([*plan.scan_seed, 3]))
    trees: dict[str, list[_Image]] = {_DERIVATIVES: []}
    for visit, volumes in visits.items():
        for ending, volume in spoil_volumes(spoilt, volumes, rng).items():
            trees.setdefault(tree_of(spoilt, ending), []).append(_Image(visit, ending, volume))
    return trees


def _write_images(
    folder: Path,
    images: Sequence[_Image],
    plan: ScanPlan,
    orders: dict[str, str],
    *,
    whole_maps: bool,
) -> None:
    """Write images into a patient's folder; ``whole_maps`` stores maps as scaled integers."""
    affine, frame_s = tilted_affine(plan), plan.timetable.header_frame_s
    for visit, ending, volume in images:
        order = orders["lesion" if ending == LESION else "images"]
        path = folder / _relative_path(plan.number, visit, ending)
        scaled = whole_maps and ending.startswith(_MAPS)
        slope = _SLOPES[ending.rpartition("_")[2]] if scaled else None
        write_sane_nifti(path, volume, affine, order, frame_s=frame_s, slope=slope)


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
        of_vendor = VENDORS[plan.vendor].files.orders
        images, lesion = (str(rng.choice(orders)) for orders in (of_vendor, _LESION_ORDERS))
        return {"images": images, "lesion": lesion}

    def of_study(self, physics: Physics) -> Physics:
        """Lesions and course of ISLES 2024, whose MRI comes days after the CT."""
        return replace(physics, study=physics.follow_up)

    @property
    def folders(self) -> tuple[str, ...]:
        return (_RAW, OTHER_RAW, _DERIVATIVES, _TRUTH, TRUTH_FOLDER)

    def plan(self, settings: PhantomSettings, n_train: int, n_test: int) -> list[list[ScanPlan]]:
        options = {"size": settings.size, "max_slices": settings.max_slices}
        return [
            plan_isles2024_scans(
                settings.seed,
                split,
                count,
                **options,
                first=first,
                vendors=settings.vendors_of(split),
            )
            for split, count, first in ((TRAINING, n_train, 1), (TESTING, n_test, n_train + 1))
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
            path = folder / _relative_path(number, _FOLLOW_UP, LESION)
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
        orders = self.orders(plan, settings)
        if split == TESTING:
            self._write_truths(root, number, scan, tilted_affine(plan), orders)
        else:
            for kind in _TRUTHS:
                # Left by an interrupted run, it would turn a training scan into a test scan.
                self.truth_file(root, kind, number).unlink(missing_ok=True)
        if settings.truth:
            self._write_true_maps(root, split, plan, scan, settings)
        spoilt = number if settings.defects and split == TRAINING else 0
        trees = _trees(scan, plan, settings, split=split, spoilt=spoilt)
        # NaN cannot be stored as a whole number.
        whole = VENDORS[plan.vendor].files.scaled_integers and spoilt not in DEFECTS
        raw = trees.pop(_RAW, [])
        for tree, images in trees.items():
            with atomic_folder(root / tree / name) as folder:
                _write_images(folder, images, plan, orders, whole_maps=whole)
                if tree == _DERIVATIVES:
                    path = folder / _relative_path(number, _ADMISSION, _CTP)
                    _write_sidecar(path, plan.timetable)
                    spoil_files(spoilt, folder)
        ncct = _Image(_ADMISSION, "ncct", scan.case.ct.astype(np.int16))
        with atomic_folder(root / _RAW / name) as folder:
            _write_images(folder, [*raw, ncct], plan, orders, whole_maps=whole)

    def _write_true_maps(
        self, root: Path, split: int, plan: ScanPlan, scan: FollowedCase, settings: PhantomSettings
    ) -> None:
        order, affine = self.orders(plan, settings)["images"], tilted_affine(plan)

        def write(path: Path, volume: np.ndarray) -> None:
            write_sane_nifti(path.with_suffix(".nii.gz"), volume, affine, order)

        write_true_maps(self.truth_maps_folder(root, split, plan.number), plan, scan.case, write)

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
    version=4,
    settings=(
        *("layout", "size", "seed", "dwi", "max_slices", "orientation"),
        *("vendors", "test_vendors", "truth", "defects"),
    ),
    splits=("training", "testing"),
    simulate=simulate_followed_case,
)
