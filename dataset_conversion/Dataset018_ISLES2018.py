"""ISLES 2018 on disk: CT perfusion, 94 training scans of 63 patients and 62 testing scans of 40.

The training scans are
``TRAINING/case_N/SMIR.Brain.XX.O.<MOD>.<id>/SMIR.Brain.XX.O.<MOD>.<id>.nii``; the testing scans lie
in ``TESTING`` likewise, without ``OT``, the lesion. The release of July 2018 names the modalities
CT, CT_4DPWI, CT_CBF, CT_CBV, CT_MTT, CT_Tmax and OT and has no DWI. The first release, of June
2018, named them MR_4DPWI, ... and had MR_DWI. The ids carry no meaning, and two cases mix both
releases, so each file is recognised by its modality alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunetv2_strokesynth.channels import (
    CT,
    CTP,
    DWI,
    LESION,
    PERFUSION_MAPS,
)
from nnunetv2_strokesynth.dataset_conversion import isles_release
from nnunetv2_strokesynth.dataset_conversion.ctp_case import convert_ctp
from nnunetv2_strokesynth.dataset_conversion.ctp_options import (
    add_ctp_options,
    ctp_settings,
    masked_ctp_scans,
    select_ctp_scans,
)
from nnunetv2_strokesynth.dataset_conversion.faults import Fault
from nnunetv2_strokesynth.dataset_conversion.isles_release import Release
from nnunetv2_strokesynth.dataset_conversion.kind import DatasetKind
from nnunetv2_strokesynth.dataset_conversion.patients import assign_patients
from nnunetv2_strokesynth.dataset_conversion.scans import (
    TEST,
    TRAIN,
    Scan,
)

PATIENTS_FILE = Path(__file__).with_name("isles2018_patients.json")
NO_DWI = "the release of today (July 2018) has none; the first release (June 2018) has it as MR_DWI"

RELEASE = Release(
    split_folders={TRAIN: "TRAINING", TEST: "TESTING"},
    case_names={TRAIN: "case_", TEST: "case_"},
    modalities=(CT, CTP, DWI, LESION, *PERFUSION_MAPS),
    required=(CT, CTP, *PERFUSION_MAPS),
    reference=CT,
)


def find_scans(src: Path) -> tuple[list[Scan], list[Fault]]:
    """All scans below a folder, and the problems met; see ``isles_release.find_scans``."""
    return isles_release.find_scans(src, RELEASE)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of CT perfusion data, and ``--patients``."""
    add_ctp_options(parser)
    parser.add_argument(
        "--patients",
        metavar="FILE",
        type=Path,
        help="JSON or CSV (case,patient), for scans without sidecars",
    )


def select_scans(found: list[Scan], args: argparse.Namespace) -> list[Scan]:
    """The scans to convert: those with a DWI where the preset reads it, else all of them."""
    return masked_ctp_scans(select_ctp_scans(found, args, NO_DWI), args)


def patients_of(found: list[Scan], args: argparse.Namespace) -> dict[str, str]:
    """case id -> patient of all scans found: the complete set is known by its built-in map."""
    return assign_patients(found, args.patients, PATIENTS_FILE)


ISLES2018 = DatasetKind(
    name="ISLES2018",
    dataset_id=18,
    example="strokesynth convert isles2018 /data/ISLES2018 -d 18 --preset wang2020 --workers 2",
    description={
        "description": "Acute ischemic stroke lesions on CT perfusion; the lesion was drawn on a "
        "DWI.",
        "reference": "ISLES 2018, http://www.isles-challenge.org/ISLES2018/; Hakim et al., "
        "Predicting Infarct Core From Computed Tomography Perfusion in Acute Ischemia With Machine "
        "Learning: Lessons From the ISLES Challenge, Stroke 52(7), 2021, doi "
        "10.1161/STROKEAHA.120.030696",
        "licence": "Open Database License (ODbL)",
        "release": "2018",
        "origin": "ISLES 2018",
    },
    find_scans=find_scans,
    convert=convert_ctp,
    add_options=add_options,
    settings_of=ctp_settings,
    select_scans=select_scans,
    patients_of=patients_of,
    paper_split=True,
    has_curve=True,
)
