"""The outlines that the readers make, and which of them a fold may learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnunetv2_strokesynth.dataloading.preprocessed_folders import UNOUTLINED_TARGETS
from nnunetv2_strokesynth.evaluation.cases import label_beside
from nnunetv2_strokesynth.evaluation.metrics import dice
from nnunetv2_strokesynth.evaluation.volumes import (
    Volume,
    check_probability_matches_label,
    check_same_grid,
    on_voxels_of,
    read_image,
    read_lesion_probability,
    read_mask,
)
from nnunetv2_strokesynth.io.messages import name_some
from nnunetv2_strokesynth.io.nifti import nifti_files, strip_suffix
from nnunetv2_strokesynth.outlining.consensus import Consensus, consensus_of
from nnunetv2_strokesynth.outlining.reader_data import Scans
from nnunetv2_strokesynth.outlining.readers import Readers, has_not_seen, held_out_scans
from nnunetv2_strokesynth.outlining.steps import ReaderRun
from nnunetv2_strokesynth.reproduction.data_set import DataSet

USED, UNSURE, EMPTY, SAME_PATIENT, CORRECTED = (
    "used",
    "left out: the readers disagree",
    "left out: no lesion found",
    "left out: the fold validates on this patient",
    "corrected by a person",
)


class Proposal(NamedTuple):
    """The outline of one scan for one fold.

    Attributes:
        scan: case id of the scan.
        fold: that may learn from it.
        readers: numbers of the readers that made it.
        agreement: see ``consensus.agreement_of``.
        volume_ml: of the outline.
        verdict: whether it is used, one of the words above.
    """

    scan: str
    fold: int
    readers: tuple[int, ...]
    agreement: float
    volume_ml: float
    verdict: str

    @property
    def case_id(self) -> str:
        """Name of the copy of the scan that carries this outline."""
        return f"{self.scan}_f{self.fold}"


class Measured(NamedTuple):
    """How an outline of readers compares with a person's, on a scan that they had not seen."""

    scan: str
    agreement: float
    dice: float


class ScanOutlines(NamedTuple):
    """All outlines of one scan: the DWI, what all readers say, and what counts for each fold."""

    dwi: Volume
    overall: Consensus
    proposals: list[tuple[Proposal, Consensus]]


def read_probability(folder: Path, case_id: str) -> np.ndarray:
    """Probability of lesion (Z, Y, X) that nnU-Net wrote, checked against the label beside it.

    Raises:
        FileNotFoundError, ValueError: a file is missing or damaged.
    """
    npz = folder / f"{case_id}.npz"
    if not npz.is_file():
        raise FileNotFoundError(f"{npz} is missing; type the command again")
    probability = read_lesion_probability(npz)
    check_probability_matches_label(probability, read_mask(label_beside(npz)), npz)
    return probability


def outline_scan(
    data: DataSet, run: ReaderRun, readers: Readers, scan: str, min_agreement: float
) -> ScanOutlines:
    """The outlines of one scan, for each fold by the readers that have not seen its validation.

    Raises:
        FileNotFoundError, ValueError: a prediction is missing, or does not fit the DWI.
    """
    dwi = read_image(data.raw / UNOUTLINED_TARGETS / f"{scan}{data.file_ending}")
    found = {
        reader.number: read_probability(run.predictions(reader), scan) for reader in readers.all
    }
    overall = consensus_of(list(found.values()))
    if overall.outline.shape != dwi.array.shape:
        raise ValueError(
            f"{scan}: the readers' outline has shape {overall.outline.shape}, the DWI "
            f"{dwi.array.shape}; delete {run.raw / 'predictions'} and type the command again"
        )
    proposals = []
    for fold, own in readers.of_fold.items():
        numbers = tuple(reader.number for reader in own)
        made = consensus_of([found[number] for number in numbers])
        volume_ml = float(made.outline.sum() * np.prod(dwi.spacing_mm) / 1000)
        verdict = _verdict(data, scan, fold, made, min_agreement)
        proposals.append((Proposal(scan, fold, numbers, made.agreement, volume_ml, verdict), made))
    return ScanOutlines(dwi, overall, proposals)


def _verdict(data: DataSet, scan: str, fold: int, made: Consensus, min_agreement: float) -> str:
    if is_held_out(data, scan, fold):
        return SAME_PATIENT
    if made.agreement < min_agreement:
        return UNSURE
    return USED if made.outline.any() else EMPTY


def is_held_out(data: DataSet, scan: str, fold: int) -> bool:
    """Whether a fold validates (or tests) on another scan of the same patient."""
    held_out = held_out_scans(data.splits[fold], data.case_ids("labelsTr"))
    patient = data.patients.get(scan, scan)
    return patient in {data.patients.get(case_id, case_id) for case_id in held_out}


def measure_readers(
    data: DataSet, run: ReaderRun, readers: Readers, scans: Scans
) -> list[Measured]:
    """Agreement and Dice on the outlined scans, each by the readers that have not seen it."""
    measured = []
    for case_id in scans.outlined:
        unseen = [r for r in readers.all if has_not_seen(r, [case_id], data.patients)]
        if len(unseen) < 2:
            continue
        made = consensus_of([read_probability(run.validation(r), case_id) for r in unseen])
        label = read_mask(data.raw / "labelsTr" / f"{case_id}{data.file_ending}")
        measured.append(Measured(case_id, made.agreement, dice(label.array, made.outline)))
    return measured


def mean_dice(measured: Sequence[Measured], min_agreement: float) -> tuple[int, float]:
    """How many scans reach an agreement, and their mean Dice; NaN without any."""
    kept = [one.dice for one in measured if one.agreement >= min_agreement]
    return len(kept), float(np.mean(kept)) if kept else float("nan")


def find_corrections(folder: Path | None, unoutlined: Sequence[str]) -> dict[str, Path]:
    """Scan -> the mask that a person drew.

    Args:
        folder: holds ``<scan>.nii.gz``; None without corrections.
        unoutlined: the scans.

    Raises:
        FileNotFoundError: there is no such folder, or no mask in it.
        ValueError: a mask's name is no scan, or two masks are of one scan.
    """
    if folder is None:
        return {}
    paths = nifti_files(folder) if folder.is_dir() else []
    if not paths:
        raise FileNotFoundError(f"--corrections {folder}: no NIfTI file in it")
    found: dict[str, Path] = {}
    for path in paths:
        scan = strip_suffix(path.name)
        if scan not in unoutlined:
            raise ValueError(
                f"{path}: {scan} is none of the scans without an outline, such as "
                f"{name_some(unoutlined, at_most=3)}; name the mask like the scan"
            )
        if scan in found:
            raise ValueError(f"two masks of {scan}: {found[scan]} and {path}")
        found[scan] = path
    return found


def read_correction(path: Path, dwi: Volume) -> np.ndarray:
    """A person's outline, bool (Z, Y, X), on the voxels of the DWI.

    Raises:
        ValueError: it holds other values than 0 and 1, or lies on other voxels.
    """
    mask = on_voxels_of(dwi, read_mask(path))
    check_same_grid(dwi, mask)
    return np.asarray(mask.array, dtype=bool)


def summary(proposals: Sequence[Proposal]) -> Mapping[str, int]:
    """Verdict -> how many outlines have it, in the order of the words above."""
    verdicts = [proposal.verdict for proposal in proposals]
    words = (USED, UNSURE, EMPTY, SAME_PATIENT, CORRECTED)
    return {word: verdicts.count(word) for word in words if word in verdicts}
