"""A mixin: the synthesis learns from scans that have a DWI and no outline, too."""

from __future__ import annotations

from pathlib import Path

from nnunetv2.configuration import default_num_processes
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from nnunetv2_strokesynth.dataloading.own_cases import prepare_unoutlined
from nnunetv2_strokesynth.dataloading.paired_dataset import PairedDataset
from nnunetv2_strokesynth.dataloading.preprocessed_folders import (
    UNOUTLINED_IMAGES,
    UNOUTLINED_TARGETS,
)
from nnunetv2_strokesynth.dataloading.raw_cases import images_in, raw_cases
from nnunetv2_strokesynth.dataloading.targets import prepare_targets, targets_folder
from nnunetv2_strokesynth.dataloading.unoutlined_pairs import (
    ALL_FOLDS,
    JoinedDataset,
    WithoutLabels,
    pairs_of_fold,
    unoutlined_folder,
)
from nnunetv2_strokesynth.trainers.scan_weights import ScanWeights
from nnunetv2_strokesynth.trainers.synthesis_trainer import SynthesisTrainer


class UnoutlinedPairs(ScanWeights, SynthesisTrainer):
    """Mixin: pairs that ``dataset.json`` lists contribute L_g, and nothing to L_s.

    ``strokesynth outline`` lists the scans whose outline it leaves out, each with the folds that
    may learn from it. Without the entry, and where no DWI is learned, nothing changes.
    """

    @classmethod
    def check_suitable(cls, plans: dict, configuration: str, dataset_json: dict) -> None:
        """The list of pairs must be readable."""
        super().check_suitable(plans, configuration, dataset_json)
        pairs_of_fold(dataset_json, ALL_FOLDS)

    def _further_cases(self) -> list[str]:
        return pairs_of_fold(self.dataset_json, self.fold) if self.uses_dwi else []

    def _prepared(self, train, val):
        """The training cases and the pairs, each with its DWI."""
        train, val = super()._prepared(train, val)
        pairs = self._on_first_rank(self._prepare_pairs) if self._further_cases() else []
        if not pairs:
            return train, val
        self._scan_weights |= dict.fromkeys(pairs, 0.0)
        folder = unoutlined_folder(self.preprocessed_dataset_folder)
        cases = WithoutLabels(nnUNetDatasetBlosc2(str(folder), pairs))
        targets = targets_folder(folder, self.dwi_scale)
        joined = JoinedDataset(train, PairedDataset(cases, targets, pairs))
        self.print_to_log_file(
            f"{len(pairs)} scans with a DWI and no outline teach the synthesis alone: "
            f"{joined.share:.0%} of the slices that are drawn"
        )
        return joined, val

    def _prepare_pairs(self) -> list[str]:
        """Makes the pairs' cases and targets; the pairs that are there."""
        wanted, ending = self._further_cases(), self.dataset_json["file_ending"]
        folder = unoutlined_folder(self.preprocessed_dataset_folder)
        shared = (self.plans_manager, self.configuration_manager)
        raw = self._raw_folder()
        if raw is None or raw_cases(raw, self.dataset_json) is None:
            there = prepare_targets(None, folder, wanted, *shared, ending, scale=self.dwi_scale)
            return [case_id for case_id in there if (folder / f"{case_id}.b2nd").is_file()]
        images = self._images_of(raw / UNOUTLINED_IMAGES, wanted, ending)
        prepare_unoutlined(
            images, folder, *shared, self.dataset_json, workers=default_num_processes
        )
        return prepare_targets(
            raw / UNOUTLINED_TARGETS,
            folder,
            list(images),
            *shared,
            ending,
            scale=self.dwi_scale,
            maps=self._maps_among(images),
        )

    def _images_of(self, folder: Path, wanted: list[str], ending: str) -> dict[str, list[str]]:
        """Of the pairs that are there with all channels; one that is gone was withdrawn."""
        found = images_in(folder, ending) if folder.is_dir() else {}
        n_channels = len(self.dataset_json["channel_names"])
        return {
            case_id: list(found[case_id])
            for case_id in wanted
            if len(found.get(case_id, ())) == n_channels
        }
