"""Which scans a data set has: its patients, slabs, slices and frames, which the seed decides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.phantom.anatomy import SlabGrid
from nnunetv2_strokesynth.phantom.timetable import Timetable, even_timetable
from nnunetv2_strokesynth.phantom.vendors import (
    VENDOR_NAMES,
    VENDORS,
    Vendor,
    draw_vendor,
)

FULL_SIZE = 256
MIXED = "mixed"
_SLICE_MM = {2: (10.0, 12.0), 4: (8.0, 10.0), 8: (5.0, 8.0, 10.0), 16: (5.0, 6.0), 22: (4.0, 5.0)}
# ISLES 2017: the whole brain in one scan of 19 to 30 slices and 40 to 80 frames. Choice: at least
# 60 frames, because frames are 1 s apart here and fewer would cut off the late curves of a deficit.
_MRI_SLICE_MM = {19: (6.0, 6.5), 24: (5.0, 5.5), 25: (5.0,), 30: (4.0, 4.5)}
_MRI_FRAMES = (60, 70, 80)
_MRI_STREAM = 17
# ISLES 2024: the whole brain in one scan. Choices: slices as thick as those of CT perfusion (5 mm
# and more, 96 to 128 mm in all), and at least 45 s, because less would cut off late curves.
_ISLES2024_SLICE_MM = {16: (6.0, 7.0, 8.0), 20: (5.0, 5.5, 6.0), 24: (5.0,)}
_ISLES2024_DURATIONS_S = (45, 50, 60)
_ISLES2024_STREAM = 24
# ISLES 2018: 43 to 64 frames, a second apart. Other vendors' frames are fewer in the same time.
_DURATIONS_S = (43, 45, 50, 54, 60, 64)
_DURATION_SHARES = (0.5, 0.15, 0.15, 0.08, 0.07, 0.05)
_TIMING_STREAM = 174


class PhantomSettings(NamedTuple):
    """Which scans there are and how they are laid out.

    With the physics this decides the images. The number of scans does not: a longer data set begins
    with the shorter one.

    Attributes:
        size: pixels along x and y.
        seed: of the data set.
        dwi: whether training scans have a DWI.
        max_slices: cap on the slices of a scan.
        layout: the release that the files look like.
        orientation: order in which axes are stored, such as ``LAS``; ``mixed`` draws one for each
            scan, as releases have them. It counts where the layout's headers tell.
        vendors: names of the vendors of the CT scanners, in the order of ``VENDORS``.
        test_vendors: those of the test scans; empty for the same.
        truth: whether the true perfusion is written, too.
        defects: whether the first training patients have the known defects of ISLES 2024.
    """

    size: int = 256
    seed: int = 0
    dwi: bool = True
    max_slices: int | None = None
    layout: str = "isles2018"
    orientation: str = MIXED
    vendors: tuple[str, ...] = VENDOR_NAMES
    test_vendors: tuple[str, ...] = ()
    truth: bool = False
    defects: bool = False

    def vendors_of(self, split: int) -> tuple[str, ...]:
        """The vendors of a split (0 training, 1 testing), in the order of ``VENDORS``."""
        names = self.test_vendors if split == 1 and self.test_vendors else self.vendors
        return tuple(name for name in VENDORS if name in names)


class ScanPlan(NamedTuple):
    """One scan.

    Attributes:
        number, patient: count from 1.
        slab: counts from 0 in ``slabs``, which are all of the patient's.
        timetable: of the series.
        patient_seed, scan_seed: of the generators.
        vendor: of the CT scanner, a name in ``VENDORS``; empty for an MRI study.
    """

    number: int
    patient: int
    slab: int
    slabs: tuple[SlabGrid, ...]
    timetable: Timetable
    patient_seed: tuple[int, ...]
    scan_seed: tuple[int, ...]
    vendor: str = ""

    @property
    def n_frames(self) -> int:
        """Frames of the series."""
        return len(self.timetable.times_s)

    @property
    def grid(self) -> SlabGrid:
        """The voxels of this scan."""
        return self.slabs[self.slab]


def _draw_pixel_mm(rng: np.random.Generator, size: int) -> float:
    return float(np.round(rng.uniform(0.80, 1.04), 4)) * FULL_SIZE / size


def _draw_slabs(
    rng: np.random.Generator, vendor: Vendor, size: int, max_slices: int | None
) -> tuple[SlabGrid, ...]:
    kinds = vendor.coverage.shares
    chosen = int(rng.choice(len(kinds), p=[share for *_, share in kinds]))
    n_slabs, n_slices = kinds[chosen][:2]
    slice_mm = float(rng.choice(_SLICE_MM[n_slices]))
    pixel_mm = _draw_pixel_mm(rng, size)
    centre_mm = rng.uniform(10.0, 28.0)
    n_slices = min(n_slices, max_slices or n_slices)
    height_mm = n_slices * slice_mm
    bottom_mm = centre_mm - height_mm * n_slabs / 2
    return tuple(
        SlabGrid(size, pixel_mm, n_slices, slice_mm, bottom_mm + k * height_mm)
        for k in range(n_slabs)
    )


def plan_scans(
    seed: int,
    split: int,
    n_scans: int,
    *,
    size: int,
    max_slices: int | None = None,
    vendors: tuple[str, ...] = VENDOR_NAMES,
) -> list[ScanPlan]:
    """The first ``n_scans`` scans of a split; a longer plan begins with the shorter one.

    Args:
        seed: of the data set.
        split: 0 training, 1 testing.
        n_scans: scans, not patients. The last patient's second slab is left out where the count
            is reached before it.
        size: pixels along x and y.
        max_slices: cap on the slices of a scan.
        vendors: names of the vendors; each patient has one of them.
    """
    scans: list[ScanPlan] = []
    patient = 0
    while len(scans) < n_scans:
        patient += 1
        rng = np.random.default_rng(np.random.SeedSequence([seed, split, patient]))
        vendor = VENDORS[draw_vendor(seed, split, patient, vendors)]
        slabs = _draw_slabs(rng, vendor, size, max_slices)
        duration_s = float(rng.choice(_DURATIONS_S, p=_DURATION_SHARES))
        own_seed = (seed, split, patient)
        for slab in range(len(slabs)):
            scans.append(
                ScanPlan(
                    number=len(scans) + 1,
                    patient=patient,
                    slab=slab,
                    slabs=slabs,
                    timetable=_draw_timetable(own_seed, vendor, duration_s, slabs[slab]),
                    patient_seed=(*own_seed, 0),
                    scan_seed=(*own_seed, 1 + slab),
                    vendor=vendor.name,
                )
            )
    return scans[:n_scans]


def _draw_timetable(
    own_seed: tuple[int, ...], vendor: Vendor, duration_s: float, grid: SlabGrid
) -> Timetable:
    """A patient's scans have the same time between frames."""
    rng = np.random.default_rng(np.random.SeedSequence([*own_seed, _TIMING_STREAM]))
    step_s = float(rng.choice(vendor.timing.steps_s))
    return vendor.timing.timetable(duration_s, step_s, grid.n_slices)


def _plan_whole_brain(
    number: int,
    own_seed: tuple[int, ...],
    slice_mm_choices: dict[int, tuple[float, ...]],
    duration_choices_s: tuple[int, ...],
    *,
    size: int,
    max_slices: int | None,
    vendor: str = "",
) -> ScanPlan:
    """A patient's only scan; without a vendor it has a frame each second.

    Where ``max_slices`` caps it, the slices around its middle stay.
    """
    rng = np.random.default_rng(np.random.SeedSequence(own_seed))
    n_slices = int(rng.choice(list(slice_mm_choices)))
    slice_mm = float(rng.choice(slice_mm_choices[n_slices]))
    pixel_mm = _draw_pixel_mm(rng, size)
    centre_mm = rng.uniform(18.0, 28.0)
    duration_s = int(rng.choice(duration_choices_s))
    n_slices = min(n_slices, max_slices or n_slices)
    bottom_mm = centre_mm - n_slices * slice_mm / 2
    grid = SlabGrid(size, pixel_mm, n_slices, slice_mm, bottom_mm)
    timetable = even_timetable(duration_s)
    if vendor:
        timetable = _draw_timetable(own_seed, VENDORS[vendor], duration_s, grid)
    return ScanPlan(
        number=number,
        patient=number,
        slab=0,
        slabs=(grid,),
        timetable=timetable,
        patient_seed=(*own_seed, 0),
        scan_seed=(*own_seed, 1),
        vendor=vendor,
    )


def plan_mri_scans(
    seed: int, split: int, n_scans: int, *, size: int, max_slices: int | None = None
) -> list[ScanPlan]:
    """The first ``n_scans`` MRI studies of a split: one for each patient, of the whole brain.

    Args:
        seed: of the data set.
        split: 0 training, 1 testing.
        n_scans: scans.
        size: pixels along x and y.
        max_slices: cap on the slices of a scan; those around its middle stay.
    """
    options = {"size": size, "max_slices": max_slices}
    return [
        _plan_whole_brain(
            number, (seed, split, number, _MRI_STREAM), _MRI_SLICE_MM, _MRI_FRAMES, **options
        )
        for number in range(1, n_scans + 1)
    ]


def plan_isles2024_scans(
    seed: int,
    split: int,
    n_scans: int,
    *,
    size: int,
    max_slices: int | None = None,
    first: int = 1,
    vendors: tuple[str, ...] = VENDOR_NAMES,
) -> list[ScanPlan]:
    """CT scans of a split: one for each patient, of the whole brain.

    A scan depends on the seed, the split and its own number, not on how many scans there are.

    Args:
        seed: of the data set.
        split: 0 training, 1 testing.
        n_scans: scans.
        size: pixels along x and y.
        max_slices: cap on the slices of a scan; those around its middle stay.
        first: number of the first scan; the test scans are numbered after the training scans.
        vendors: names of the vendors; each patient has one of them.
    """
    options = {"size": size, "max_slices": max_slices}
    return [
        _plan_whole_brain(
            number,
            (seed, split, number, _ISLES2024_STREAM),
            _ISLES2024_SLICE_MM,
            _ISLES2024_DURATIONS_S,
            **options,
            vendor=draw_vendor(seed, split, number, vendors),
        )
        for number in range(first, first + n_scans)
    ]
