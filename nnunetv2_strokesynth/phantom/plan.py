"""Which scans a data set has: its patients, slabs, slices and frames, which the seed decides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.phantom.anatomy import SlabGrid

FULL_SIZE = 256
MIXED = "mixed"
TWO_SLAB_SHARE = 31 / 63
"""ISLES 2018: 31 of the 63 training patients have two scans."""
# Slices per scan -> share of the patients. Of the release's scans 51 have 2 slices, 19 have 4, 9
# have 8, 13 have 16 and 2 have 22.
_TWO_SLAB_SLICES = {2: 51 / 62, 4: 11 / 62}
_ONE_SLAB_SLICES = {4: 8 / 32, 8: 9 / 32, 16: 13 / 32, 22: 2 / 32}
_SLICE_MM = {2: (10.0, 12.0), 4: (8.0, 10.0), 8: (5.0, 8.0, 10.0), 16: (5.0, 6.0), 22: (4.0, 5.0)}
# ISLES 2017: the whole brain in one scan of 19 to 30 slices and 40 to 80 frames. Choice: at least
# 60 frames, because frames are 1 s apart here and fewer would cut off the late curves of a deficit.
_MRI_SLICE_MM = {19: (6.0, 6.5), 24: (5.0, 5.5), 25: (5.0,), 30: (4.0, 4.5)}
_MRI_FRAMES = (60, 70, 80)
_MRI_STREAM = 17
# ISLES 2024: the whole brain in one scan. Choices: slices as thick as those of CT perfusion (5 mm
# and more, 96 to 128 mm in all), and at least 45 frames, because fewer would cut off late curves.
_ISLES2024_SLICE_MM = {16: (6.0, 7.0, 8.0), 20: (5.0, 5.5, 6.0), 24: (5.0,)}
_ISLES2024_FRAMES = (45, 50, 60)
_ISLES2024_STREAM = 24
_FRAMES = (43, 45, 50, 54, 60, 64)
_FRAME_SHARES = (0.5, 0.15, 0.15, 0.08, 0.07, 0.05)


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
    """

    size: int = 256
    seed: int = 0
    dwi: bool = True
    max_slices: int | None = None
    layout: str = "isles2018"
    orientation: str = MIXED


class ScanPlan(NamedTuple):
    """One scan. ``number`` and ``patient`` count from 1, ``slab`` from 0 in ``slabs``."""

    number: int
    patient: int
    slab: int
    slabs: tuple[SlabGrid, ...]
    n_frames: int
    patient_seed: tuple[int, ...]
    scan_seed: tuple[int, ...]

    @property
    def grid(self) -> SlabGrid:
        """The voxels of this scan."""
        return self.slabs[self.slab]


def _draw(rng: np.random.Generator, shares: dict[int, float]) -> int:
    return int(rng.choice(list(shares), p=list(shares.values())))


def _draw_pixel_mm(rng: np.random.Generator, size: int) -> float:
    return float(np.round(rng.uniform(0.80, 1.04), 4)) * FULL_SIZE / size


def _draw_slabs(
    rng: np.random.Generator, size: int, max_slices: int | None
) -> tuple[SlabGrid, ...]:
    two = rng.random() < TWO_SLAB_SHARE
    n_slices = _draw(rng, _TWO_SLAB_SLICES if two else _ONE_SLAB_SLICES)
    slice_mm = float(rng.choice(_SLICE_MM[n_slices]))
    pixel_mm = _draw_pixel_mm(rng, size)
    centre_mm = rng.uniform(10.0, 28.0)
    n_slices = min(n_slices, max_slices or n_slices)
    height_mm = n_slices * slice_mm
    bottom_mm = centre_mm - height_mm * (1.0 if two else 0.5)
    return tuple(
        SlabGrid(size, pixel_mm, n_slices, slice_mm, bottom_mm + k * height_mm)
        for k in range(2 if two else 1)
    )


def plan_scans(
    seed: int, split: int, n_scans: int, *, size: int, max_slices: int | None = None
) -> list[ScanPlan]:
    """The first ``n_scans`` scans of a split; a longer plan begins with the shorter one.

    Args:
        seed: of the data set.
        split: 0 training, 1 testing.
        n_scans: scans, not patients. The last patient's second slab is left out where the count
            is reached before it.
        size: pixels along x and y.
        max_slices: cap on the slices of a scan.
    """
    scans: list[ScanPlan] = []
    patient = 0
    while len(scans) < n_scans:
        patient += 1
        rng = np.random.default_rng(np.random.SeedSequence([seed, split, patient]))
        slabs = _draw_slabs(rng, size, max_slices)
        n_frames = int(rng.choice(_FRAMES, p=_FRAME_SHARES))
        for slab in range(len(slabs)):
            scans.append(
                ScanPlan(
                    number=len(scans) + 1,
                    patient=patient,
                    slab=slab,
                    slabs=slabs,
                    n_frames=n_frames,
                    patient_seed=(seed, split, patient, 0),
                    scan_seed=(seed, split, patient, 1 + slab),
                )
            )
    return scans[:n_scans]


def _plan_whole_brain(
    number: int,
    own_seed: tuple[int, ...],
    slice_mm_choices: dict[int, tuple[float, ...]],
    frame_choices: tuple[int, ...],
    *,
    size: int,
    max_slices: int | None,
) -> ScanPlan:
    """A patient's only scan; where ``max_slices`` caps it, the slices around its middle stay."""
    rng = np.random.default_rng(np.random.SeedSequence(own_seed))
    n_slices = int(rng.choice(list(slice_mm_choices)))
    slice_mm = float(rng.choice(slice_mm_choices[n_slices]))
    pixel_mm = _draw_pixel_mm(rng, size)
    centre_mm = rng.uniform(18.0, 28.0)
    n_frames = int(rng.choice(frame_choices))
    n_slices = min(n_slices, max_slices or n_slices)
    bottom_mm = centre_mm - n_slices * slice_mm / 2
    return ScanPlan(
        number=number,
        patient=number,
        slab=0,
        slabs=(SlabGrid(size, pixel_mm, n_slices, slice_mm, bottom_mm),),
        n_frames=n_frames,
        patient_seed=(*own_seed, 0),
        scan_seed=(*own_seed, 1),
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
    """
    options = {"size": size, "max_slices": max_slices}
    return [
        _plan_whole_brain(
            number,
            (seed, split, number, _ISLES2024_STREAM),
            _ISLES2024_SLICE_MM,
            _ISLES2024_FRAMES,
            **options,
        )
        for number in range(first, first + n_scans)
    ]
