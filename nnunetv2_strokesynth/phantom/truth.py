"""The true perfusion of a simulated CT scan as files, on which perfusion software can be scored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from nnunetv2_strokesynth.io.atomic import atomic_folder, write_json
from nnunetv2_strokesynth.phantom.case import Case
from nnunetv2_strokesynth.phantom.plan import ScanPlan

TRUTH_FOLDER = "perfusion_truth"
TRUTH_RECORD = "truth.json"
TRUTH_UNITS = {"cbf": "mL/100 g/min", "cbv": "mL/100 g", "mtt": "s", "tmax": "s", "delay": "s"}
_MEANING = {
    "cbf": "blood flow of the voxel's tissue",
    "cbv": "blood volume of the voxel's tissue",
    "mtt": "mean transit time, 60 CBV / CBF",
    "tmax": "time of the maximum of the delayed and dispersed residue function",
    "delay": "arrival delay of the blood against the artery",
    "brain": "1 in the brain; the other maps are 0 outside",
    "tissue": "share of grey and white matter in the voxel",
}


def true_maps(case: Case) -> dict[str, np.ndarray]:
    """``TRUTH_UNITS``' names, ``brain``, ``tissue`` -> (Z, Y, X) float32; ``brain`` uint8."""
    maps = {name: volume.astype(np.float32) for name, volume in case.truth._asdict().items()}
    maps |= {"delay": case.delay_s, "tissue": case.solid.astype(np.float32)}
    return maps | {"brain": case.brain.astype(np.uint8)}


def write_true_maps(
    folder: Path, plan: ScanPlan, case: Case, write: Callable[[Path, np.ndarray], None]
) -> None:
    """Write the maps of one scan and what they are, completely or not at all.

    Args:
        folder: of the scan; replaced if it is there.
        plan: of the scan.
        case: the simulated scan.
        write: writes a volume to a path without suffix, on the voxels of the CTP.
    """
    with atomic_folder(folder) as temporary:
        for name, volume in true_maps(case).items():
            write(temporary / name, volume)
        record = {"vendor": plan.vendor, "units": TRUTH_UNITS, "meaning": _MEANING}
        write_json(temporary / TRUTH_RECORD, record)
