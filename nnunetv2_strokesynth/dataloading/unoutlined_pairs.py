"""Scans that have a DWI and no outline, as further cases from which the synthesis learns.

``strokesynth outline`` leaves scans in ``imagesUn`` and ``targetsUn`` whose outline it is not sure
of. nnU-Net reads neither folder, so that no trainer can take the missing outline for background.
Trainers that synthesise preprocess them into a folder of their own (``nnUNetPlans_2d_unoutlined``),
without a label, and give them no weight in L_s.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset

from nnunetv2_strokesynth.dataloading.paired_dataset import ChannelStack, PairedDataset
from nnunetv2_strokesynth.dataloading.preprocessed_folders import UNOUTLINED_SUFFIX

PAIRS_KEY = "unoutlined_pairs"  # of dataset.json: case -> the folds that may learn from it
ALL_FOLDS = "all"
# At least two thirds of the slices of a batch have an outline, however many pairs there are.
MAX_SHARE = 1 / 3


def pairs_of_fold(dataset_json: Mapping[str, object], fold: int | str) -> list[str]:
    """The scans without an outline from which a fold may learn.

    Args:
        dataset_json: ``dataset.json``. Without the entry there are none.
        fold: nnU-Net's number; ``all`` learns from every pair.

    Raises:
        ValueError: the entry is damaged.
    """
    entry = dataset_json.get(PAIRS_KEY, {})
    if not isinstance(entry, Mapping) or not all(isinstance(own, list) for own in entry.values()):
        raise ValueError(
            f"dataset.json: {PAIRS_KEY} is {entry!r}, expected case: [fold, ...], ...; write the "
            "data set again with `strokesynth outline`"
        )
    return sorted(case for case, own in entry.items() if fold in own or (fold == ALL_FOLDS and own))


def unoutlined_folder(preprocessed_folder: str | Path) -> Path:
    """The folder of the preprocessed pairs of one configuration."""
    folder = Path(preprocessed_folder)
    return folder.with_name(f"{folder.name}{UNOUTLINED_SUFFIX}")


class WithoutLabels:
    """nnU-Net's data set of cases that have no label: any slice is as good as any other.

    Args:
        dataset: the preprocessed cases.
    """

    def __init__(self, dataset: nnUNetBaseDataset):
        self.dataset = dataset
        self.identifiers: list[str] = dataset.identifiers

    def load_case(self, case_id: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, dict]:
        """As nnU-Net's, but no class has a place to draw a patch from."""
        image, labels, previous, properties = self.dataset.load_case(case_id)
        return image, labels, previous, {**properties, "class_locations": defaultdict(list)}


class JoinedDataset:
    """The training cases and, after them, the pairs.

    The loader draws from ``identifiers`` with equal chances. Where there are many pairs, the others
    are in it several times, so that the share of the pairs stays at ``MAX_SHARE``.

    Args:
        outlined: the training cases of the fold.
        pairs: cases without an outline; at least one.
    """

    def __init__(self, outlined: PairedDataset, pairs: PairedDataset):
        self._pairs = frozenset(pairs.identifiers)
        self._of = {True: pairs, False: outlined}
        times = math.ceil(
            len(pairs.identifiers) * (1 - MAX_SHARE) / MAX_SHARE / len(outlined.identifiers)
        )
        self.identifiers: list[str] = [*outlined.identifiers * times, *pairs.identifiers]

    @property
    def share(self) -> float:
        """How much of the draws the pairs are."""
        return len(self._pairs) / len(self.identifiers)

    def load_case(self, case_id: str) -> tuple[ChannelStack, np.ndarray, np.ndarray | None, dict]:
        """As ``PairedDataset``."""
        return self._of[case_id in self._pairs].load_case(case_id)

    def __getitem__(self, case_id: str):
        return self.load_case(case_id)
