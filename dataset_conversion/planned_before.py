"""What ``nnUNet_preprocessed`` still holds of an earlier conversion of the same data set."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from nnunetv2.paths import nnUNet_preprocessed

from nnunetv2_strokesynth.dataloading.preprocessed_folders import PreprocessedFolders
from nnunetv2_strokesynth.dataloading.splits_file import SPLITS_FILE, read_splits
from nnunetv2_strokesynth.io.messages import name_some


def outdated_plans(folder: Path, training: Collection[str]) -> list[str]:
    """Sentences about cases that are gone, and about folds that differ.

    Args:
        folder: the data set in ``nnUNet_raw``, as converted now.
        training: its training cases.

    Returns:
        None, one or two sentences that say what to do. Nothing is deleted here: what nnU-Net has
        made is the user's.
    """
    root = nnUNet_preprocessed.get()
    planned = Path(root) / folder.name if root else None
    if planned is None or not planned.is_dir():
        return []
    again = f"delete {planned}, then plan and preprocess again"
    said = []
    gone = PreprocessedFolders.of(planned, ".nii.gz").cases - set(training)
    if gone:
        said.append(
            f"{planned} still holds {len(gone)} cases that the data set no longer has, "
            f"{name_some(gone)}. {again[0].upper()}{again[1:]}. A model that was trained on them "
            "has learned from them: train it anew if they were withdrawn"
        )
    if training and not _same_folds(planned / SPLITS_FILE, folder / SPLITS_FILE):
        said.append(
            f"{planned / SPLITS_FILE} has other folds than {folder / SPLITS_FILE}, and nnU-Net "
            f"plans with equal ones only: {again}"
        )
    return said


def _same_folds(planned: Path, raw: Path) -> bool:
    """Whether nnU-Net's planning takes its copy for equal; the copy may have further folds."""
    if not planned.is_file():
        return True
    try:
        copy, own = _folds(planned), _folds(raw)
    except ValueError:  # one of them is damaged
        return False
    return copy[: len(own)] == own


def _folds(path: Path) -> list[tuple[set[str], set[str]]]:
    return [(set(split["train"]), set(split["val"])) for split in read_splits(path)]
