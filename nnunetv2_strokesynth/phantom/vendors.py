"""Scanner families: four made-up vendors that differ in what real vendors differ in.

A vendor changes what the default physics says of scanner and software by factors, and adds what
has no number there: frame times, coverage, the method of the deconvolution, how files are written.
No vendor stands for a real one. ``REFERENCE`` is the scanner that the physics describes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nnunetv2_strokesynth.ctp.scanner_maps import MapSettings
from nnunetv2_strokesynth.phantom.physics import CTPhysics, MapSoftware, Range
from nnunetv2_strokesynth.phantom.timetable import FRAME_S, Timetable

_STREAM = 173
_LEAST_SLICES_TO_SHUTTLE = 4


@dataclass(frozen=True)
class Detector:
    """Noise and contrast of the images, relative to ``CTPhysics`` and ``BolusPhysics``."""

    noise: float = 1.0
    """Factor on the noise, at low spatial frequencies."""
    kernel: float = 1.0
    """Factor on the width of the reconstruction kernel."""
    slow_noise_loss: float = 0.0
    """Share of the slow (about 3 kernels wide) noise that a sharp kernel's filter takes away."""
    slice_weight: float = 0.0
    """Weight of each neighbouring slice in a slice's noise, as where slices overlap."""
    contrast: float = 1.0
    """Factor on the enhancement: iodine shows more at a low tube voltage."""


@dataclass(frozen=True)
class Timing:
    """When frames are taken."""

    steps_s: tuple[float, ...] = (FRAME_S,)
    """Times between frames, one of which a scan has; multiples of 0.25 s."""
    slow_from_s: float | None = None
    """From here on the time between frames is twice as long."""
    shuttle: bool = False
    """Whether the table moves to and fro, so that the upper half is imaged half a step later."""
    longer_s: float = 0.0
    """How much longer than the release's a recording is."""

    def timetable(self, duration_s: float, step_s: float, n_slices: int) -> Timetable:
        """The frames within a duration, and the slices' offsets."""
        last_s, times = duration_s + self.longer_s, [0.0]
        while True:
            slow = self.slow_from_s is not None and times[-1] >= self.slow_from_s
            following_s = times[-1] + step_s * (2 if slow else 1)
            if following_s >= last_s:
                break
            times.append(following_s)
        offsets: tuple[float, ...] = ()
        if self.shuttle and n_slices >= _LEAST_SLICES_TO_SHUTTLE:
            upper = n_slices // 2
            later_s = round(step_s / 2 / 0.25) * 0.25
            offsets = (0.0,) * (n_slices - upper) + (later_s,) * upper
        return Timetable(tuple(times), offsets)


@dataclass(frozen=True)
class Coverage:
    """How much of the head is imaged."""

    shares: tuple[tuple[int, int, float], ...]
    """In ISLES 2018: slabs of a patient, slices of a slab, share of the patients."""
    height_mm: float
    """In ISLES 2024: of the CTP, around the middle of the NCCT."""


@dataclass(frozen=True)
class Software:
    """The perfusion software, relative to ``MapSoftware``."""

    smoothing: float = 1.0
    """Factor on the width of the spatial smoothing."""
    threshold: float = 1.0
    """Factor on the threshold of the singular values."""
    reference: float = 1.0
    """Factor on the MTT of the tissue on which the software corrects its deconvolution."""
    delay_sensitive: bool = False
    """Whether late arrival changes the flow, as with ``deconvolve_causal``."""
    aif_voxels: int = 6
    scale_aif: bool = False
    """Whether the vein corrects the artery for partial volume."""
    step_s: float | None = None
    """To which frames are interpolated before the deconvolution; None leaves them."""


@dataclass(frozen=True)
class Files:
    """How images are written where the layout's headers are sane."""

    orders: tuple[str, ...] = ("LPS",)
    """Orders of axes, one of which a scan has."""
    tilt_deg: Range = (2.0, 8.0)
    """Of the slices, about the axis from right to left; up or down."""
    turn_deg: Range = (0.0, 0.0)
    """Of the slices, about their normal; to the left or right."""
    background: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """What CBF, CBV, MTT and Tmax hold where nothing was computed."""
    scaled_integers: bool = False
    """Whether maps are stored as int16 with the header's scale; the units are the same."""


@dataclass(frozen=True)
class Vendor:
    """A family of scanners with its perfusion software."""

    name: str
    what: str
    coverage: Coverage
    detector: Detector = Detector()
    timing: Timing = Timing()
    software: Software = Software()
    files: Files = Files()

    def ct(self, physics: CTPhysics) -> CTPhysics:
        """The physics of this vendor's scanners."""
        return replace(
            physics,
            ctp_noise_hu_mm=physics.ctp_noise_hu_mm * self.detector.noise,
            ncct_noise_hu_mm=physics.ncct_noise_hu_mm * self.detector.noise,
            kernel_sigma_mm=physics.kernel_sigma_mm * self.detector.kernel,
        )

    def map_settings(self, physics: MapSoftware) -> MapSettings:
        """The settings of this vendor's software."""
        software = self.software
        return MapSettings(
            smoothing_mm=physics.smoothing_sigma_mm * software.smoothing,
            threshold=physics.svd_threshold * software.threshold,
            reference_mtt_s=physics.reference_mtt_s * software.reference,
            delay_sensitive=software.delay_sensitive,
            aif_voxels=software.aif_voxels,
            scale_aif=software.scale_aif,
            step_s=software.step_s,
        )


# ISLES 2018: 31 of the 63 training patients have two scans. Of the 94 scans 51 have 2 slices, 19
# have 4, 9 have 8, 13 have 16 and 2 have 22. The vendors' shares have these as their mean.
_EVERYWHERE = Coverage(
    (
        *((2, 2, 0.405), (2, 4, 0.0875), (1, 4, 0.1275)),
        *((1, 8, 0.1425), (1, 16, 0.205), (1, 22, 0.0325)),
    ),
    height_mm=200.0,
)
REFERENCE = Vendor("reference", "the scanner of the physics: a frame each second", _EVERYWHERE)
VENDORS = {
    vendor.name: vendor
    for vendor in (
        Vendor(
            "A",
            "a frame each second, narrow coverage, delay-insensitive",
            Coverage(((2, 2, 0.70), (2, 4, 0.15), (1, 4, 0.15)), height_mm=104.0),
        ),
        Vendor(
            "B",
            "1.5 or 2 s, coarse-grained noise, scaled artery",
            Coverage(
                ((2, 2, 0.40), (2, 4, 0.10), (1, 4, 0.20), (1, 8, 0.20), (1, 16, 0.10)),
                height_mm=112.0,
            ),
            Detector(noise=0.9, kernel=2.2, slice_weight=0.25, contrast=1.15),
            Timing(steps_s=(1.5, 2.0), longer_s=5.0),
            Software(smoothing=0.75, threshold=1.35, reference=0.9, scale_aif=True),
            Files(
                orders=("LAS",),
                tilt_deg=(0.0, 3.0),
                background=(-1.0, -1.0, -1.0, -1.0),
                scaled_integers=True,
            ),
        ),
        Vendor(
            "C",
            "1.5 s and then 3 s, fine-grained noise, delay-sensitive",
            Coverage(
                (
                    *((2, 2, 0.20), (2, 4, 0.05), (1, 4, 0.10)),
                    *((1, 8, 0.20), (1, 16, 0.40), (1, 22, 0.05)),
                ),
                height_mm=160.0,
            ),
            Detector(noise=1.35, kernel=0.8, slow_noise_loss=0.5, contrast=0.8),
            Timing(steps_s=(1.5,), slow_from_s=30.0, longer_s=10.0),
            Software(
                smoothing=1.15,
                threshold=1.2,
                reference=1.15,
                delay_sensitive=True,
                aif_voxels=3,
                step_s=1.0,
            ),
            Files(
                orders=("RAS",),
                tilt_deg=(9.0, 12.0),
                turn_deg=(2.0, 5.0),
                background=(0.0, 0.0, 0.0, -30.0),
            ),
        ),
        Vendor(
            "D",
            "shuttle of 2.5 or 3 s, noise shared by slices",
            Coverage(
                (
                    *((2, 2, 0.32), (2, 4, 0.05), (1, 4, 0.06)),
                    *((1, 8, 0.17), (1, 16, 0.32), (1, 22, 0.08)),
                ),
                height_mm=120.0,
            ),
            Detector(noise=1.15, kernel=1.3, slice_weight=0.4),
            Timing(steps_s=(2.5, 3.0), shuttle=True, longer_s=10.0),
            Software(smoothing=1.3, threshold=0.75, aif_voxels=12, step_s=1.0),
            Files(orders=("LPS", "LAS"), tilt_deg=(3.0, 6.0), background=(0.0, 0.0, -1.0, -1.0)),
        ),
    )
}
VENDOR_NAMES = tuple(VENDORS)


def draw_vendor(seed: int, split: int, patient: int, names: Sequence[str]) -> str:
    """The vendor of a patient, counted from 1; of n successive patients each vendor has one.

    It depends on the seed, the split, the number of the patient and the vendors' names, and not on
    how many patients there are.
    """
    block, place = divmod(patient - 1, len(names))
    rng = np.random.default_rng(np.random.SeedSequence([seed, split, block, _STREAM]))
    return names[int(rng.permutation(len(names))[place])]


def check_vendors(option: str, names: Sequence[str]) -> None:
    """Refuse names that are no vendor's.

    Raises:
        ValueError: a name is unknown or given twice, or there is none.
    """
    unknown = [name for name in names if name not in VENDORS]
    if unknown or not names or len(set(names)) < len(names):
        found = " ".join(names) if names else "none"
        raise ValueError(
            f"{option} {found}: expected one or more of {', '.join(VENDORS)}, each once"
        )
