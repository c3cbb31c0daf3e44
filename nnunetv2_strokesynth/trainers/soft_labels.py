"""A mixin: outlines that machines have drawn are learned as probabilities."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from nnunetv2_strokesynth.dataloading.paired_dataset import PairedDataset
from nnunetv2_strokesynth.dataloading.raw_cases import raw_cases
from nnunetv2_strokesynth.dataloading.soft_labels import (
    PROBABILITIES_RAW_FOLDER,
    prepare_soft_labels,
    soft_labels_folder,
)
from nnunetv2_strokesynth.dataloading.transforms import PackTargets
from nnunetv2_strokesynth.trainers.stroke_trainer import StrokeTrainer


class SoftLabels(StrokeTrainer):
    """Mixin: L_s compares with the readers' mean probability where there is one.

    ``strokesynth outline`` writes it into ``probabilitiesTr``. A person's outlines, which have none
    there, are learned as they are. The weight map is that of the label.
    """

    one_lesion = True  # of which they are the probability

    def initialize(self) -> None:
        """Initialises, with soft labels in L_s."""
        super().initialize()
        self.segmentation_loss.soft_labels = True

    @classmethod
    def _pack(cls, **options) -> PackTargets:
        pack = super()._pack(**options)
        pack.soft_labels = True
        return pack

    def _prepared(self, train, val):
        """Each case with its soft labels as the last channel."""
        train, val = super()._prepared(train, val)
        prepare = partial(
            prepare_soft_labels,
            self._raw_probabilities(),
            Path(self.preprocessed_dataset_folder),
            [*train.identifiers, *(key for key in val.identifiers if key not in train.identifiers)],
            self.plans_manager,
            self.configuration_manager,
            self.dataset_json["file_ending"],
        )
        soft = self._on_first_rank(prepare)
        n_soft = sum(case_id in set(soft) for case_id in train.identifiers)
        self.print_to_log_file(
            f"{n_soft} of {len(train.identifiers)} training cases have soft labels"
        )
        folder = soft_labels_folder(self.preprocessed_dataset_folder)
        return tuple(PairedDataset(one, folder, soft, "soft label") for one in (train, val))

    def _raw_probabilities(self) -> Path | None:
        """Of the raw data set; None where the raw data are not at hand."""
        raw_folder = self._raw_folder()
        if raw_folder is None or raw_cases(raw_folder, self.dataset_json) is None:
            return None
        return raw_folder / PROBABILITIES_RAW_FOLDER
