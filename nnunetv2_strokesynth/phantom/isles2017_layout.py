"""A simulated MRI study in the files of the ISLES 2017 release.

Choices: the headers have the quirks of ISLES 2018, all images are float32, frames are 1 s apart.
"""

from __future__ import annotations

import numpy as np

from nnunetv2_strokesynth.phantom.layout import (
    TRAINING,
    CaseFolderLayout,
)
from nnunetv2_strokesynth.phantom.mri_case import (
    MRICase,
    simulate_mri_case,
)
from nnunetv2_strokesynth.phantom.plan import (
    PhantomSettings,
    ScanPlan,
    plan_mri_scans,
)


def release_volumes(case: MRICase, split: int, settings: PhantomSettings) -> dict[str, np.ndarray]:
    """Modality -> float32 volume (Z, Y, X), series (T, 1, Z, Y, X), or uint8 lesion."""
    volumes = {
        "MR_ADC": case.adc,
        "MR_4DPWI": case.pwi[:, None],
        "MR_MTT": case.maps.mtt,
        "MR_rCBF": case.maps.cbf,
        "MR_rCBV": case.maps.cbv,
        "MR_Tmax": case.maps.tmax,
        "MR_TTP": case.ttp,
    }
    volumes = {name: volume.astype(np.float32) for name, volume in volumes.items()}
    if split == TRAINING:
        volumes["OT"] = case.lesion.astype(np.uint8)
    return volumes


def _truths(case: MRICase) -> dict[str, np.ndarray]:
    return {"labels": case.lesion.astype(np.uint8)}


def _no_sidecar(plan: ScanPlan, split: int, modality: str) -> None:
    return None


ISLES2017 = CaseFolderLayout(
    name="isles2017",
    version=2,
    settings=("layout", "size", "seed", "max_slices"),
    splits=("training", "testing"),
    case_names=("training_", "test_"),
    truth_folder="testing_truth",
    file_prefix="VSD",
    plan_scans=plan_mri_scans,
    simulate=simulate_mri_case,
    volumes=release_volumes,
    truths=_truths,
    sidecar=_no_sidecar,
)
