"""Finding the scans of ISLES 2017 and ISLES 2018 on disk: a folder per scan, a file per modality.

Both releases have a folder per split, in it a folder per scan, and in that a folder per modality
that holds one file; only the names of the first two differ. Letter case does not matter. Hidden
files and ``__MACOSX`` are left out, and the splits may lie one folder further down.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from nnunetv2_strokesynth.dataset_conversion.faults import Fault, fault_of
from nnunetv2_strokesynth.dataset_conversion.scans import (
    TEST,
    TRAIN,
    Scan,
)
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import (
    SUFFIXES,
    strip_suffix,
)

# Matched as a whole: "CT" alone is part of every other name.
_MODALITY = re.compile(r"\.O\.(\w+)\.\d+$")
# TRAINING, or as the archive is called: ISLES2017_Training.
_SPLIT_FOLDER = re.compile(r"(isles[ _-]?20\d\d[ _-])?(train|test)(?:ing)?", re.IGNORECASE)
_SPLITS = {"train": TRAIN, "test": TEST}
_CASE_PREFIX = {TRAIN: "case", TEST: "test"}


class Release(NamedTuple):
    """How a release names its folders and files.

    Attributes:
        split_folders: split -> its folder's name as released, for messages.
        case_names: split -> text before the number in the name of a scan's folder: ``case_``.
        modalities: our name of each modality; file names may have CT_ or MR_ before it.
        required: the modalities that every scan must have.
        reference: the modality whose grid and voxel sizes are used.
    """

    split_folders: dict[str, str]
    case_names: dict[str, str]
    modalities: tuple[str, ...]
    required: tuple[str, ...]
    reference: str


def find_scans(src: Path, release: Release) -> tuple[list[Scan], list[Fault]]:
    """Find all scans below a folder.

    Args:
        src: the folder that holds the splits' folders, or one of these two folders itself.
        release: the names.

    Returns:
        The scans, training before testing and in the order of their numbers, and the problems met:
        two folders of one number, two files of one modality.

    Raises:
        FileNotFoundError: ``src`` does not exist, or holds neither of the two folders.
        ValueError: a split's folder is there twice, or holds no scan.
    """
    scans: list[Scan] = []
    problems: list[Fault] = []
    for split, folder in _split_folders(src, release).items():
        name = release.case_names[split]
        cases = _case_folders(folder, name)
        if not cases:
            raise ValueError(f"{folder}: no folder {name}1, {name}2, ... in it")
        for number, paths in sorted(cases.items()):
            case_id = f"{_CASE_PREFIX[split]}_{number:03d}"
            if len(paths) > 1:
                twice = f"case {number} is there twice: {paths[0]} and {paths[1]}"
                problems.append(Fault(case_id, "", twice))
                continue
            files, duplicates = _modalities(paths[0], release.modalities)
            source = f"{folder.name}/{paths[0].name}"
            scan = Scan(case_id, split, source, files, release.reference, release.required)
            problems += [fault_of(scan, duplicate) for duplicate in duplicates]
            scans.append(scan)
    return scans, problems


def _split_folders(src: Path, release: Release) -> dict[str, Path]:
    """{"train": .../TRAINING, "test": .../TESTING}, those that exist, training first."""
    training, testing = (release.split_folders[split] for split in (TRAIN, TEST))
    if not src.is_dir():
        raise FileNotFoundError(f"{src}: no such folder; name the one that holds {training}")
    itself = _splits_inside(src.resolve(), release)
    if itself:
        return itself
    found: dict[str, Path] = {}
    for level in (_folders(src), [inner for outer in _folders(src) for inner in _folders(outer)]):
        for folder in level:
            split = _split_of(folder, release)
            if split in found:
                raise ValueError(f"{src}: two {split} folders, {found[split]} and {folder}")
            if split:
                found[split] = folder
        if found:
            return {split: found[split] for split in (TRAIN, TEST) if split in found}
    inside = name_some(folder.name for folder in _folders(src)) or "no folder"
    raise FileNotFoundError(
        f"{src}: neither {training} nor {testing} nor {release.case_names[TRAIN]}1 in it "
        f"(found {inside}); name the folder that holds {training}"
    )


def _splits_inside(folder: Path, release: Release) -> dict[str, Path]:
    """The splits whose scans lie in a folder itself.

    Where both splits name their scans alike, the folder's own name tells which split it is; a
    folder of another name counts as training.
    """
    match = _SPLIT_FOLDER.fullmatch(folder.name)
    own = _SPLITS[match[2].lower()] if match else None
    if own and _case_folders(folder, release.case_names[own]):
        return {own: folder}
    by_name = {release.case_names[split]: split for split in (TEST, TRAIN)}
    held = {split for name, split in by_name.items() if _case_folders(folder, name)}
    return {split: folder for split in (TRAIN, TEST) if split in held}


def _split_of(folder: Path, release: Release) -> str | None:
    """The split that a folder holds by its name; None for any other folder.

    A folder named like the archive may also hold the split's folder.
    """
    match = _SPLIT_FOLDER.fullmatch(folder.name)
    if match is None:
        return None
    split = _SPLITS[match[2].lower()]
    named_like_the_archive = match[1] is not None
    if named_like_the_archive and not _case_folders(folder, release.case_names[split]):
        return None
    return split


def _folders(parent: Path) -> list[Path]:
    return [path for path in _visible(parent) if path.is_dir()]


def _visible(parent: Path) -> list[Path]:
    """Entries of a folder, without hidden ones and what archives made on macOS add."""
    return sorted(
        p for p in parent.iterdir() if not p.name.startswith(".") and p.name != "__MACOSX"
    )


def _case_folders(folder: Path, name: str) -> dict[int, list[Path]]:
    """Number -> folders with that number, for folders like ``case_1``."""
    pattern = re.compile(rf"{name}0*(\d+)", re.IGNORECASE)
    cases: dict[int, list[Path]] = {}
    for path in _folders(folder):
        match = pattern.fullmatch(path.name)
        if match:
            cases.setdefault(int(match[1]), []).append(path)
    return cases


def _modalities(case_folder: Path, known: tuple[str, ...]) -> tuple[dict[str, Path], list[str]]:
    """Modality -> file, and a line for each modality that has a second file."""
    files: dict[str, Path] = {}
    duplicates = []
    for path in _images(case_folder):
        modality = _modality(strip_suffix(path.name), known) or _modality(path.parent.name, known)
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


def _modality(name: str, known: tuple[str, ...]) -> str | None:
    """``SMIR.Brain.XX.O.CT_Tmax.345568`` -> ``Tmax``; None for any other name or modality."""
    match = _MODALITY.search(name)
    if match is None:
        return None
    bare = match[1].upper().removeprefix("CT_").removeprefix("MR_")
    return {modality.upper(): modality for modality in known}.get(bare)
