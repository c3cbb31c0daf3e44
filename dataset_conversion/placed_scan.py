"""A scan's voxels, all on those of its reference image and in one order of axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nnunetv2_strokesynth.channels import (
    BRAIN_MASK,
    CT,
    CTA,
    CTP,
    LESION,
)
from nnunetv2_strokesynth.ctp.brain_mask_file import read_brain_mask
from nnunetv2_strokesynth.ctp.frame_times import FrameTimes
from nnunetv2_strokesynth.ctp.map_files import on_reference, read_maps
from nnunetv2_strokesynth.ctp.unusable_voxels import (
    Unusable,
    clear_unusable,
    series_unusable,
)
from nnunetv2_strokesynth.dataset_conversion.scans import (
    Scan,
    scan_reference,
)
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import Geometry, read_volume
from nnunetv2_strokesynth.io.placement import Placement, Reference, place
from nnunetv2_strokesynth.io.series import AIR_HU, NiftiSeries, ReorderedSeries, Series
from nnunetv2_strokesynth.io.slice_times import simultaneous

_MASK_NOISE = 1e-3
_OUTSIDE = {CT: AIR_HU, CTA: AIR_HU, CTP: AIR_HU}  # where a file has no voxels; 0 for all others


class PlacedScan:
    """Reads the files of a scan on the voxels of its reference, in ``LPS`` order.

    Where the reference's header does not say how the head lies, voxels stay as they are stored.

    Args:
        scan: the scan.

    Attributes:
        reference: its reference image.
        placements: modality -> how its file comes onto the reference's voxels.
        notes: sentences for the user, of all files that are read.
        unusable: voxels of images that hold no measurement, of those that were read so far.

    Raises:
        ValueError: a file does not fit the reference.
        OSError: a file cannot be read.
    """

    def __init__(self, scan: Scan):
        self.scan = scan
        self.reference: Reference = scan_reference(scan)
        self.placements: dict[str, Placement] = {
            modality: place(path, self.reference) for modality, path in scan.files.items()
        }
        self.notes = [*scan.notes]
        self.notes += [note for placed in self.placements.values() for note in placed.notes]
        self.unusable: list[Unusable] = []

    @property
    def geometry(self) -> Geometry:
        """Where the voxels lie that are read."""
        return self.reference.grid.geometry

    @property
    def stored_order(self) -> str:
        """The reference's own order of axes, such as ``LAS``, or ``unknown``."""
        return self.reference.stored.order

    def image(self, modality: str) -> np.ndarray:
        """(Z, Y, X), float32; background where the file holds no measurement.

        Raises:
            ValueError: the file cannot be read, or holds no measurement at all.
        """
        placed, outside = self.placements[modality], _OUTSIDE.get(modality, 0.0)
        stored = read_volume(self.scan.files[modality])
        stored, found = clear_unusable(modality, stored, background=outside)
        self.unusable += [on_reference(one, placed) for one in found]
        return placed.image(stored, outside=outside)

    def maps(self, names: Sequence[str]) -> tuple[np.ndarray, str]:
        """(M, Z, Y, X) float32, 0 where there is none; and the backgrounds, see ``read_maps``."""
        read = read_maps({name: self.placements[name] for name in names})
        self.unusable += read.unusable
        return read.maps, read.backgrounds

    def brain(self) -> np.ndarray | None:
        """The brain mask from elsewhere, bool (Z, Y, X), or None without a file."""
        placed = self.placements.get(BRAIN_MASK)
        return None if placed is None else read_brain_mask(placed)

    def series(self, change: Callable[[np.ndarray], np.ndarray] | None = None) -> NiftiSeries:
        """The CTP frame by frame; ``change`` is applied to each frame after it is placed."""
        return NiftiSeries(self.scan.files[CTP], self._placed_frame(change))

    def simultaneous_series(
        self, times: FrameTimes, change: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> Series:
        """The same with all slices of a frame at one time, as computing maps needs it."""
        if times.slice_offset_s is None:
            return self.series(change)
        stored = NiftiSeries(self.scan.files[CTP])
        aligned = simultaneous(stored, times.times_s, times.slice_offset_s)
        return ReorderedSeries(aligned, self._placed_frame(change))

    def _placed_frame(
        self, change: Callable[[np.ndarray], np.ndarray] | None
    ) -> Callable[[np.ndarray], np.ndarray]:
        placed = self.placements[CTP]

        def placed_frame(stored: np.ndarray) -> np.ndarray:
            frame = placed.image(stored, outside=AIR_HU)
            return change(frame) if change else frame

        return placed_frame

    def add_unusable_of(self, series: NiftiSeries) -> None:
        """Note the voxels of a series that has been read that hold no number."""
        found = series_unusable(series.unusable)
        self.unusable += [on_reference(one, self.placements[CTP]) for one in found]

    def lesion(self) -> np.ndarray | None:
        """The lesion, bool (Z, Y, X), or None without a file.

        Values that miss 0 or 1 by at most 0.001 count as these: ISLES 2024 has masks of
        0.9999999997.

        Raises:
            ValueError: the file holds values other than 0 and 1, or lies outside the reference.
        """
        path = self.scan.files.get(LESION)
        if path is None:
            return None
        labels = read_volume(path)
        found = np.unique(labels)
        whole = np.round(found)
        if not (np.isin(whole, (0, 1)) & (np.abs(found - whole) <= _MASK_NOISE)).all():
            values = name_some((f"{value:g}" for value in found), at_most=6)
            raise ValueError(
                f"the lesion in {path.name} holds the values {values}, expected 0 and 1"
            )
        lesion, notes = self.placements[LESION].mask(labels > 0.5)
        self.notes += notes
        return lesion
