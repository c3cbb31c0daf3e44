"""ISLES 2024 on disk: CT perfusion on admission, DWI at follow-up, 149 training patients; BIDS.

The CT is ``raw_data/sub-stroke0001/ses-01/sub-stroke0001_ses-01_ncct.nii.gz``. The images on the
CT's grid lie in ``derivatives/sub-stroke0001``: ``ses-01/..._space-ncct_ctp.nii.gz``,
``ses-01/..._space-ncct_cta.nii.gz``, which the preset ``isles2024`` alone reads,
``ses-01/perfusion-maps/..._space-ncct_{cbf,cbv,mtt,tmax}.nii.gz``, and of the follow-up
``ses-02/..._space-ncct_{dwi,adc}.nii.gz`` and ``..._lesion-msk.nii.gz``. Copies of the release
spell their folders differently (``rawdata``, ``ses-0001``), so a file is recognised by the
patient's number and the ending of its name alone. ``raw_data`` also holds series that are not on
the CT's grid; they are not read.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from nnunetv2_strokesynth.channels import (
    CT,
    CTA,
    CTP,
    DWI,
    LESION,
    PERFUSION_MAPS,
)
from nnunetv2_strokesynth.dataset_conversion.ctp_case import convert_ctp
from nnunetv2_strokesynth.dataset_conversion.ctp_options import (
    add_ctp_options,
    ctp_settings,
    masked_ctp_scans,
    select_ctp_scans,
)
from nnunetv2_strokesynth.dataset_conversion.faults import Fault, fault_of
from nnunetv2_strokesynth.dataset_conversion.kind import DatasetKind
from nnunetv2_strokesynth.dataset_conversion.scans import (
    TEST,
    TRAIN,
    Scan,
)
from nnunetv2_strokesynth.io.messages import name_some

NO_DWI = "expected sub-strokeXXXX_ses-02_space-ncct_dwi.nii.gz in derivatives"
REQUIRED = (CT, CTP, *PERFUSION_MAPS)
_SPACE = "_space-ncct_"
_TREES = ("raw_data", "rawdata", "derivatives")
_ENDINGS = {"ncct": CT, "ctp": CTP, "cta": CTA, "dwi": DWI, "lesion-msk": LESION}
_ENDINGS |= {name.lower(): name for name in PERFUSION_MAPS}
_NAME = re.compile(
    rf"sub-[a-z]*0*(?P<number>\d+)_(?:.*_)?(?P<ending>{'|'.join(_ENDINGS)})\.nii(?:\.gz)?",
    re.IGNORECASE,
)

logger = logging.getLogger(__name__)


def find_scans(src: Path) -> tuple[list[Scan], list[Fault]]:
    """Find all patients below a folder.

    Of two files of one modality that on the CT's grid counts, and of two on it that in
    ``derivatives``, with a note: the release has a second lesion mask of patient 142.

    Args:
        src: the folder that holds ``raw_data`` and ``derivatives``.

    Returns:
        The scans in the order of their numbers: first those with a lesion, for training, then
        those without one, for testing. And the problems met: two files that are equally good.

    Raises:
        FileNotFoundError: ``src`` does not exist or holds no ``derivatives``.
        ValueError: no patient's file is found.
    """
    root = _root(src)
    files: dict[int, dict[str, list[Path]]] = {}
    for path in _images(root):
        match = _NAME.fullmatch(path.name)
        if match is not None:
            own = files.setdefault(int(match["number"]), {})
            own.setdefault(_ENDINGS[match["ending"].lower()], []).append(path)
    scans, faults = [], []
    for number, own in sorted(files.items()):
        chosen = {modality: _choose(root, modality, paths) for modality, paths in own.items()}
        if not any(choice.path for choice in chosen.values()):
            continue
        scan = _scan(root, number, chosen)
        scans.append(scan)
        faults += [fault_of(scan, said) for choice in chosen.values() for said in choice.faults]
    if not scans:
        raise ValueError(
            f"{root}: no file like sub-stroke0001_ses-01_space-ncct_ctp.nii.gz below it"
        )
    return sorted(scans, key=lambda scan: scan.split == TEST), faults


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of CT perfusion data, and ``--cta``."""
    add_ctp_options(parser)
    parser.add_argument(
        "--cta",
        action="store_true",
        help="write the CT angiography as one more channel, CTA, after those of the preset",
    )


def select_scans(found: list[Scan], args: argparse.Namespace) -> list[Scan]:
    """The scans to convert; a warning names those without a lesion, which become test scans.

    Raises:
        ValueError: ``--cta`` is given, and a patient has none.
    """
    scans = select_ctp_scans(_with_cta(found, args), args, NO_DWI)
    without = [scan.source for scan in scans if scan.split == TEST]
    offer = any(scan.split == TEST and DWI in scan.files for scan in scans)
    if without:
        logger.warning(
            "warning: %d of %d patients have no lesion-msk and become test scans: %s%s",
            len(without),
            len(scans),
            name_some(without),
            "; --unoutlined takes those that have a DWI for `strokesynth outline`" if offer else "",
        )
    return masked_ctp_scans(scans, args)


ISLES2024 = DatasetKind(
    name="ISLES2024",
    dataset_id=24,
    example="strokesynth convert isles2024 /data/ISLES2024 -d 24 --downsample 2 --workers 2",
    description={
        "description": "Ischemic stroke lesions at follow-up, on CT perfusion at admission; the "
        "lesion was drawn on the follow-up DWI.",
        "reference": "ISLES 2024, https://isles-24.grand-challenge.org; de la Rosa et al., "
        "ISLES'24: Improving final infarct prediction in ischemic stroke using multimodal imaging "
        "and clinical data, 2024, arXiv 2408.10966; https://doi.org/10.5281/zenodo.17652035",
        "licence": "CC BY-NC-SA 4.0",
        "release": "2024",
        "origin": "ISLES 2024",
    },
    find_scans=find_scans,
    convert=convert_ctp,
    add_options=add_options,
    settings_of=ctp_settings,
    select_scans=select_scans,
    split_by_outline=True,
    has_curve=True,
)


def _with_cta(scans: list[Scan], args: argparse.Namespace) -> list[Scan]:
    """The scans, with the CTA among what they must have if it is asked for."""
    if not args.cta:
        return scans
    without = [scan.source for scan in scans if CTA not in scan.files]
    if without and not (args.skip_incomplete or args.skip_broken):
        raise ValueError(
            f"--cta: {len(without)} of {len(scans)} patients have no file ending in "
            f"_space-ncct_cta.nii.gz: {name_some(without)}. Leave out --cta, or add "
            "--skip-incomplete, which leaves out these patients"
        )
    return [replace(scan, required=(*scan.required, CTA)) for scan in scans]


class _Choice(NamedTuple):
    """Which file of a modality is read; None if none lies on the CT's grid, as it has to."""

    path: Path | None
    notes: list[str]
    faults: list[str]


def _choose(root: Path, modality: str, paths: list[Path]) -> _Choice:
    """The file on the CT's grid, in ``derivatives`` if there are several."""
    usable = [path for path in paths if _on_ct_grid(path.name, modality)]
    if not usable:
        said = f"{paths[0].name} is not on the CT's grid, which {modality} has to be: not used"
        # The release has all series and DWIs as acquired, too.
        return _Choice(None, [said] if modality == DWI else [], [])
    best = min(_rank(root, path) for path in usable)
    first, *equal = [path for path in usable if _rank(root, path) == best]
    if equal and modality == CTA:
        return _Choice(None, [], [])  # only ``--cta`` needs one, and says so
    if equal:
        return _Choice(first, [], [f"two files for {modality}: {first} and {equal[0]}"])
    others = [path.relative_to(root) for path in usable if path != first]
    notes = [f"{first.name} is read as {modality}, and {other} is not" for other in others]
    return _Choice(first, notes, [])


def _rank(root: Path, path: Path) -> tuple[bool, bool]:
    """The lower, the rather a file is read."""
    tree = path.relative_to(root).parts[0]
    return _SPACE not in path.name.lower(), tree.lower() != "derivatives"


def _scan(root: Path, number: int, chosen: dict[str, _Choice]) -> Scan:
    files = {modality: choice.path for modality, choice in chosen.items() if choice.path}
    notes = [note for choice in chosen.values() for note in choice.notes]
    split = TRAIN if LESION in files else TEST
    case_id = f"{'case' if split == TRAIN else 'test'}_{number:04d}"
    # Two folders deep: raw_data/sub-stroke0001.
    source = Path(*next(iter(files.values())).relative_to(root).parts[:2]).as_posix()
    return Scan(
        case_id,
        split,
        source,
        files,
        CT,
        REQUIRED,
        needs_position=True,
        notes=tuple(notes),
    )


def _root(src: Path) -> Path:
    """The folder that holds ``derivatives``: ``src``, or the first folder in it that does."""
    if not src.is_dir():
        raise FileNotFoundError(
            f"{src}: no such folder; name the one that holds raw_data and derivatives"
        )
    candidates = [src, *sorted(path for path in src.iterdir() if path.is_dir())]
    found = [path for path in candidates if (path / "derivatives").is_dir()]
    if not found:
        inside = name_some(path.name for path in candidates[1:]) or "no folder"
        raise FileNotFoundError(
            f"{src}: no folder derivatives in it (found {inside}); name the folder that holds "
            "raw_data and derivatives"
        )
    return found[0]


def _images(root: Path) -> Iterator[Path]:
    """All files in the trees, in sorted order, without hidden ones such as ``._name``."""
    trees = sorted(path for path in root.iterdir() if path.name.lower() in _TREES)
    for tree in reversed(trees):  # raw_data first
        for folder, inner, names in os.walk(tree):
            inner.sort()
            for name in sorted(names):
                if not name.startswith("."):
                    yield Path(folder, name)


def _on_ct_grid(name: str, modality: str) -> bool:
    """Whether a file lies on the CT's grid, as the CT itself and the lesion do."""
    return modality in (CT, LESION) or _SPACE in name.lower()
