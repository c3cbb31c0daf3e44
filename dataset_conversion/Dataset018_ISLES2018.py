"""ISLES 2018 on disk: CT perfusion, 94 training scans of 63 patients and 62 testing scans of 40.

``TRAINING/case_N/SMIR.Brain.XX.O.<MOD>.<id>/SMIR.Brain.XX.O.<MOD>.<id>.nii``, and ``TESTING``
likewise without ``OT``, the lesion. The release of July 2018 names the modalities CT, CT_4DPWI,
CT_CBF, CT_CBV, CT_MTT, CT_Tmax and OT and has no DWI; the first one, of June 2018, wrote MR_4DPWI,
... and had MR_DWI. The ids carry no meaning, and two cases mix both releases, so each file is taken
by its modality alone.
"""

from __future__ import annotations

import re
from pathlib import Path

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.dataset_conversion.nifti import SUFFIXES, strip_suffix
from nnunetv2_strokesynth.dataset_conversion.scans import CT, CTP, DWI, LESION, TEST, TRAIN, Scan

EXAMPLE = "strokesynth convert isles2018 /data/ISLES2018 -d 18 --preset wang2020 --workers 2"
DATASET_ID = 18
NAME = "ISLES2018"
PATIENTS_FILE = Path(__file__).with_name("isles2018_patients.json")
DESCRIPTION = {
    "description": "Acute ischemic stroke lesions on CT perfusion; the lesion was drawn on a DWI.",
    "reference": "ISLES 2018, http://www.isles-challenge.org/ISLES2018/; Hakim et al., Predicting "
    "Infarct Core From Computed Tomography Perfusion in Acute Ischemia With Machine Learning: "
    "Lessons From the ISLES Challenge, Stroke 52(7), 2021, doi 10.1161/STROKEAHA.120.030696",
    "licence": "Open Database License (ODbL)",
    "release": "2018",
    "origin": "ISLES 2018",
}
NO_DWI = "the release of today (July 2018) has none; the first release (June 2018) has it as MR_DWI"

# Matched as a whole: "CT" alone is part of every other name.
_MODALITY = re.compile(r"\.O\.(\w+)\.\d+$")
_CASE = re.compile(r"case_0*(\d+)", re.IGNORECASE)
_SPLIT_FOLDERS = {"training": TRAIN, "train": TRAIN, "testing": TEST, "test": TEST}
_CASE_PREFIX = {TRAIN: "case", TEST: "test"}
_MODALITIES = {name.upper(): name for name in (CT, CTP, DWI, LESION, *PERFUSION_MAPS)}


def find_scans(src: Path) -> tuple[list[Scan], list[str]]:
    """Find all scans below a folder.

    Args:
        src: the folder that holds TRAINING and TESTING (any letter case, up to one folder further
            down), or one of those two itself.

    Returns:
        The scans, training before testing and in the order of their numbers, and the problems met:
        two folders of one number, two files of one modality.

    Raises:
        FileNotFoundError: ``src`` does not exist, or holds none of the two folders.
        ValueError: a folder is there twice, or holds no case.
    """
    scans: list[Scan] = []
    problems: list[str] = []
    for split, folder in _split_folders(src).items():
        cases = _case_folders(folder)
        if not cases:
            raise ValueError(f"{folder}: no folder case_1, case_2, ... in it")
        for number, paths in sorted(cases.items()):
            if len(paths) > 1:
                problems.append(f"case {number} is there twice: {paths[0]} and {paths[1]}")
                continue
            files, duplicates = _modalities(paths[0])
            case_id = f"{_CASE_PREFIX[split]}_{number:03d}"
            source = f"{folder.name}/{paths[0].name}"
            problems += [f"{case_id} ({source}): {duplicate}" for duplicate in duplicates]
            scans.append(Scan(case_id, split, source, files))
    return scans, problems


def _split_folders(src: Path) -> dict[str, Path]:
    """{"train": .../TRAINING, "test": .../TESTING}, whichever exist, training first."""
    if not src.is_dir():
        raise FileNotFoundError(f"{src}: no such folder; name the one that holds TRAINING")
    if _case_folders(src):
        return {_SPLIT_FOLDERS.get(src.resolve().name.lower(), TRAIN): src.resolve()}
    found: dict[str, Path] = {}
    for level in (_folders(src), [inner for outer in _folders(src) for inner in _folders(outer)]):
        for folder in level:
            split = _SPLIT_FOLDERS.get(folder.name.lower())
            if split in found:
                raise ValueError(f"{src}: two {split} folders, {found[split]} and {folder}")
            if split:
                found[split] = folder
        if found:
            return {split: found[split] for split in (TRAIN, TEST) if split in found}
    inside = ", ".join(folder.name for folder in _folders(src)[:5]) or "no folder"
    raise FileNotFoundError(
        f"{src}: neither TRAINING nor TESTING nor case_1 in it (found {inside}); "
        "name the folder that holds TRAINING"
    )


def _folders(parent: Path) -> list[Path]:
    return [path for path in _visible(parent) if path.is_dir()]


def _visible(parent: Path) -> list[Path]:
    """Entries of a folder without what archives of macOS bring along."""
    return sorted(
        p for p in parent.iterdir() if not p.name.startswith(".") and p.name != "__MACOSX"
    )


def _case_folders(folder: Path) -> dict[int, list[Path]]:
    """Number -> folders with that number."""
    cases: dict[int, list[Path]] = {}
    for path in _folders(folder):
        match = _CASE.fullmatch(path.name)
        if match:
            cases.setdefault(int(match[1]), []).append(path)
    return cases


def _modalities(case_folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Modality -> file, and a line for each modality that has a second file."""
    files: dict[str, Path] = {}
    duplicates = []
    for path in _images(case_folder):
        modality = _modality(strip_suffix(path.name)) or _modality(path.parent.name)
        if modality in files:
            duplicates.append(f"two files for {modality}: {files[modality]} and {path}")
        elif modality:
            files[modality] = path
    return files, duplicates


def _images(case_folder: Path) -> list[Path]:
    """NIfTI files in the folder and one level below."""
    entries = _visible(case_folder)
    candidates = entries + [path for entry in entries if entry.is_dir() for path in _visible(entry)]
    return [p for p in candidates if p.name.lower().endswith(SUFFIXES) and p.is_file()]


def _modality(name: str) -> str | None:
    """``SMIR.Brain.XX.O.CT_Tmax.345568`` -> ``Tmax``; None for any other name or modality."""
    match = _MODALITY.search(name)
    if match is None:
        return None
    return _MODALITIES.get(match[1].upper().removeprefix("CT_").removeprefix("MR_"))
