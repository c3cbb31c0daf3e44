"""A simulated CT perfusion scan in the files of the ISLES 2018 release, with their quirks."""

from __future__ import annotations

import numpy as np

from nnunetv2_strokesynth.phantom.case import (
    Case,
    simulate_case,
)
from nnunetv2_strokesynth.phantom.layout import (
    TRAINING,
    CaseFolderLayout,
)
from nnunetv2_strokesynth.phantom.plan import (
    PhantomSettings,
    ScanPlan,
    plan_scans,
)

CBF_MAP_UNITS = 8.0
"""Units per mL/100 g/min; the CBF of the release (130-805 in healthy hemispheres) has others."""
CBV_MAP_UNITS = 10.0
_SPLIT_WORDS = (("TRAIN", "Train"), ("TEST", "Test"))


def release_volumes(case: Case, split: int, settings: PhantomSettings) -> dict[str, np.ndarray]:
    """Modality -> volume (Z, Y, X) or (T, Z, Y, X), in the release's dtypes and units."""
    highest = np.iinfo(np.uint16).max
    volumes = {
        "CT": case.ct.astype(np.int32),
        "CT_4DPWI": case.ctp.astype(np.float32),
        "CT_CBF": np.clip(np.rint(case.maps.cbf * CBF_MAP_UNITS), 0, highest).astype(np.uint16),
        "CT_CBV": np.clip(np.rint(case.maps.cbv * CBV_MAP_UNITS), 0, highest).astype(np.uint16),
        "CT_MTT": case.maps.mtt.astype(np.float64),
        "CT_Tmax": case.maps.tmax.astype(np.float64),
    }
    if split == TRAINING:
        if settings.dwi:
            volumes["MR_DWI"] = case.dwi.astype(np.float32)
        volumes["OT"] = case.lesion.astype(np.uint8)
    return volumes


def _truths(case: Case) -> dict[str, np.ndarray]:
    return {"labels": case.lesion.astype(np.uint8), "dwi": case.dwi}


def _sidecar(plan: ScanPlan, split: int, modality: str) -> dict[str, object]:
    upper, word = _SPLIT_WORDS[split]
    slab = "AB"[plan.slab]
    description = f"ISLES 2018 - {upper} - {word}_{plan.patient:02d}_{slab} - {modality}"
    times = plan.timetable.sidecar() if modality == "CT_4DPWI" else {}
    return {"description": description, **times}


ISLES2018 = CaseFolderLayout(
    name="isles2018",
    version=3,
    settings=("size", "seed", "dwi", "max_slices", "vendors", "test_vendors", "truth"),
    splits=("TRAINING", "TESTING"),
    case_names=("case_", "case_"),
    truth_folder="TESTING_truth",
    file_prefix="SMIR",
    plan_scans=plan_scans,
    simulate=simulate_case,
    volumes=release_volumes,
    truths=_truths,
    sidecar=_sidecar,
)
