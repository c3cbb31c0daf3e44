"""One scan's perfusion in numbers, under the names of ``maps.json`` and ``result.json``.

docs/reference/result-json.md explains every name.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth import __version__
from nnunetv2_strokesynth.ctp.compute_maps import SecondArtery
from nnunetv2_strokesynth.ctp.deconvolution import PerfusionMaps
from nnunetv2_strokesynth.ctp.perfusion_volumes import PerfusionVolumes, perfusion_volumes
from nnunetv2_strokesynth.ctp.sides import higher_x_side, side_of

SCHEMA_VERSION = 1
DISCLAIMER = "Research only. Not a medical device; not for diagnosis or treatment."


class ScanNumbers(NamedTuple):
    """What is measured on one scan.

    Attributes:
        brain: bool (Z, Y, X).
        voxel_ml: volume of a voxel.
        higher_x: bool (Z, Y, X), one side of the midline.
        known: whether the header tells left from right.
        volumes: of the perfusion maps.
    """

    brain: np.ndarray
    voxel_ml: float
    higher_x: np.ndarray
    known: bool
    volumes: PerfusionVolumes

    def side(self, found: np.ndarray) -> str:
        """On which side something lies, see ``side_of``."""
        return side_of(found, self.higher_x, known=self.known)

    def ml(self, found: np.ndarray) -> float:
        """Volume of a mask, mL."""
        return round(self.voxel_ml * int(np.count_nonzero(found)), 1)

    def lesion_ml(self, lesion: np.ndarray) -> float:
        """``lesion_ml``: volume of the predicted lesion, mL, to a microlitre."""
        return round(self.voxel_ml * int(np.count_nonzero(lesion)), 3)

    def record(self) -> dict[str, object]:
        """``perfusion``: side and volumes."""
        return {
            "hypoperfused_side": self.side(self.volumes.hypoperfused),
            **self.volumes.record(),
        }

    def by_other_artery(self, second: SecondArtery | None) -> dict[str, object] | None:
        """``other_artery``: the volumes by maps of another artery."""
        if second is None:
            return None
        volumes = perfusion_volumes(second.maps, self.brain, self.higher_x, self.voxel_ml)
        return {
            "aif_voxel_xyz": second.voxel_xyz,
            "aif_peak_hu": round(second.peak_hu, 1),
            **volumes.record(),
        }


def measure_scan(
    maps: PerfusionMaps,
    ct: np.ndarray,
    brain: np.ndarray,
    *,
    spacing_zyx_mm: tuple[float, float, float],
    known: bool,
) -> ScanNumbers:
    """Midline and perfusion volumes of a scan.

    Args:
        maps: (Z, Y, X) each; Tmax in s.
        ct: (Z, Y, X), HU, with or without contrast; for the midline.
        brain: bool (Z, Y, X), with at least one voxel.
        spacing_zyx_mm: voxel sizes.
        known: whether the header tells left from right.
    """
    voxel_ml = float(np.prod(spacing_zyx_mm)) / 1000
    higher_x = higher_x_side(ct, brain, spacing_zyx_mm)
    volumes = perfusion_volumes(maps, brain, higher_x, voxel_ml)
    return ScanNumbers(brain, voxel_ml, higher_x, known, volumes)


def provenance() -> dict[str, object]:
    """``schema_version``, ``version`` and ``created_utc``, which every result has."""
    return {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "created_utc": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
