"""A data set in which every slice is equally likely, for epochs of one pass over the slices."""

from __future__ import annotations

from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset

from nnunetv2_strokesynth.dataloading.paired_dataset import PairedDataset


class OnePassDataset:
    """A preprocessed data set whose ``identifiers`` name each case once per slice.

    nnU-Net's loader draws a case from ``identifiers`` and then one of its slices, both at random.
    Without the repetition, a slice of a scan with two slices would be seen eleven times as often as
    one of a scan with 22. Departure from "one epoch": slices are drawn with replacement, because
    nnU-Net's loader runs in several processes that do not know of each other.

    Args:
        dataset: has ``identifiers`` and ``load_case``.
    """

    def __init__(self, dataset: nnUNetBaseDataset | PairedDataset):
        self.dataset = dataset
        self.identifiers = [
            case_id
            for case_id in dataset.identifiers
            for _ in range(dataset.load_case(case_id)[0].shape[1])
        ]

    def load_case(self, case_id: str) -> tuple:
        """The case as the data set returns it."""
        return self.dataset.load_case(case_id)

    def __getitem__(self, case_id: str) -> tuple:
        return self.load_case(case_id)
