"""ISLES 2017 on disk: MRI, 43 training and 32 testing patients with one scan each.

The training scans are
``training/training_N/VSD.Brain.XX.O.MR_<MOD>.<id>/VSD.Brain.XX.O.MR_<MOD>.<id>.nii``; the testing
scans lie in ``testing/test_N``, without ``OT``, the lesion. The modalities are ADC, rCBF, rCBV,
MTT, TTP, Tmax and 4DPWI, co-registered and skull-stripped. The series 4DPWI is never read. The
numbers have gaps, and some files begin with SMIR, so each file is recognised by its modality alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunetv2_strokesynth.channels import (
    LESION,
    MRI_MAPS,
    PRESETS,
)
from nnunetv2_strokesynth.dataset_conversion import isles_release
from nnunetv2_strokesynth.dataset_conversion.faults import Fault
from nnunetv2_strokesynth.dataset_conversion.isles_release import Release
from nnunetv2_strokesynth.dataset_conversion.kind import DatasetKind
from nnunetv2_strokesynth.dataset_conversion.mri_case import convert_mri
from nnunetv2_strokesynth.dataset_conversion.scans import (
    TEST,
    TRAIN,
    Scan,
)
from nnunetv2_strokesynth.dataset_conversion.settings import Settings

PRESET = "isles2017"
RELEASE = Release(
    split_folders={TRAIN: "training", TEST: "testing"},
    case_names={TRAIN: "training_", TEST: "test_"},
    modalities=(*MRI_MAPS, LESION),
    required=MRI_MAPS,
    reference="ADC",
)


def find_scans(src: Path) -> tuple[list[Scan], list[Fault]]:
    """All scans below a folder, and the problems met; see ``isles_release.find_scans``."""
    return isles_release.find_scans(src, RELEASE)


def add_options(parser: argparse.ArgumentParser) -> None:
    """``--channels``: which maps become channels."""
    parser.add_argument(
        "--channels",
        nargs="+",
        choices=MRI_MAPS,
        default=MRI_MAPS,
        metavar="MAP",
        help=f"which maps to write, of {', '.join(MRI_MAPS)} (default: all)",
    )


def settings_of(args: argparse.Namespace) -> Settings:
    """How the data set is written; channels are in the preset's order, however they are typed."""
    channels = tuple(name for name in PRESETS[PRESET].names if name in args.channels)
    return Settings(PRESET, not args.no_brain_mask, args.folds, args.seed, channels=channels)


ISLES2017 = DatasetKind(
    name="ISLES2017",
    dataset_id=17,
    example="strokesynth convert isles2017 /data/ISLES2017 -d 17 --channels ADC TTP Tmax",
    description={
        "description": "Ischemic stroke lesions at follow-up, on acute diffusion and perfusion "
        "MRI.",
        "reference": "ISLES 2017, http://www.isles-challenge.org/ISLES2017/; Winzeck et al., ISLES "
        "2016 and 2017 - Benchmarking Ischemic Stroke Lesion Outcome Prediction Based on "
        "Multispectral MRI, Frontiers in Neurology 9:679, 2018, doi 10.3389/fneur.2018.00679",
        "licence": "the terms of the source that the scans were obtained from",
        "release": "2017",
        "origin": "ISLES 2017",
    },
    find_scans=find_scans,
    convert=convert_mri,
    add_options=add_options,
    settings_of=settings_of,
)
