"""ISLES 2017 on disk: MRI, 43 training and 32 testing patients with one scan each.

``training/training_N/VSD.Brain.XX.O.MR_<MOD>.<id>/VSD.Brain.XX.O.MR_<MOD>.<id>.nii`` and
``testing/test_N``, without ``OT``, the lesion. The modalities are ADC, rCBF, rCBV, MTT, TTP, Tmax
and 4DPWI, co-registered and skull-stripped; the series 4DPWI is no input and is never read. The
numbers have gaps, and some files begin with SMIR, so each file is taken by its modality alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from nnunetv2_strokesynth.channels import (
    LESION,
    MRI_MAPS,
    PRESETS,
)
from nnunetv2_strokesynth.dataset_conversion import release
from nnunetv2_strokesynth.dataset_conversion.mri_case import convert_mri
from nnunetv2_strokesynth.dataset_conversion.patients import one_patient_each
from nnunetv2_strokesynth.dataset_conversion.raw_dataset import Settings
from nnunetv2_strokesynth.dataset_conversion.release import Release
from nnunetv2_strokesynth.dataset_conversion.scans import (
    TEST,
    TRAIN,
    Scan,
)

EXAMPLE = "strokesynth convert isles2017 /data/ISLES2017 -d 17 --channels ADC TTP Tmax"
DATASET_ID = 17
NAME = "ISLES2017"
PRESET = "isles2017"
DESCRIPTION = {
    "description": "Ischemic stroke lesions at follow-up, on acute diffusion and perfusion MRI.",
    "reference": "ISLES 2017, http://www.isles-challenge.org/ISLES2017/; Winzeck et al., ISLES "
    "2016 and 2017 - Benchmarking Ischemic Stroke Lesion Outcome Prediction Based on "
    "Multispectral MRI, Frontiers in Neurology 9:679, 2018, doi 10.3389/fneur.2018.00679",
    "licence": "the terms of the source that the scans were obtained from",
    "release": "2017",
    "origin": "ISLES 2017",
}
RELEASE = Release(
    split_folders={TRAIN: "training", TEST: "testing"},
    case_names={TRAIN: "training_", TEST: "test_"},
    modalities=(*MRI_MAPS, LESION),
    required=MRI_MAPS,
    reference="ADC",
)
# Wang et al. 2020 split ISLES 2018.
PAPER_SPLIT = False
convert = convert_mri


def find_scans(src: Path) -> tuple[list[Scan], list[str]]:
    """All scans below a folder, and the problems met; see ``release.find_scans``."""
    return release.find_scans(src, RELEASE)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that other kinds of data set do not have."""
    parser.add_argument(
        "--channels",
        nargs="+",
        choices=MRI_MAPS,
        default=MRI_MAPS,
        metavar="MAP",
        help=f"which maps to write, of {', '.join(MRI_MAPS)} (default: all)",
    )


def select_scans(found: list[Scan], args: argparse.Namespace) -> list[Scan]:
    """The scans to convert: all of them, whichever channels are written."""
    return found


def patients_of(found: list[Scan], args: argparse.Namespace) -> dict[str, str]:
    """case id -> patient; each scan is of another patient."""
    return one_patient_each(found)


def settings_of(args: argparse.Namespace) -> Settings:
    """How the data set is written; the channels are in the preset's order, however asked for."""
    channels = tuple(name for name in PRESETS[PRESET].names if name in args.channels)
    return Settings(PRESET, not args.no_brain_mask, args.folds, args.seed, channels=channels)


def write_extras(folder: Path, records: dict[str, dict], args: argparse.Namespace) -> None:
    """Nothing: an MRI scan has no time-intensity curve to plot."""
