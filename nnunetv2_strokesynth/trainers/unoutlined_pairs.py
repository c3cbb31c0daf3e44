"""A mixin: the synthesis learns from scans that have a DWI and no outline, too."""

from __future__ import annotations

from nnunetv2.configuration import default_num_processes
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from nnunetv2_strokesynth.dataloading.beside_cases import made_earlier
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
        """The pairs of the fold that are there; one that is gone was withdrawn."""
        wanted = pairs_of_fold(self.dataset_json, self.fold) if self.uses_dwi else []
        images = self._pair_images(wanted) if wanted else {}
        if images is not None:
            return list(images)
        folder = unoutlined_folder(self.preprocessed_dataset_folder)
        return made_earlier(folder, wanted)

    def _prepared(self, train, val):
        """The training cases and the pairs, each with its DWI."""
        train, val = super()._prepared(train, val)
        pairs = self._on_first_rank(self._prepare_pairs)
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

    def _without_any_dwi(self, n_cases: int) -> None:
        """Nothing, where the pairs have the DWIs that the outlined cases lack."""
        if not self._further_cases():
            super()._without_any_dwi(n_cases)

    def _prepare_pairs(self) -> list[str]:
        """Makes the pairs' cases and targets where the raw data are at hand."""
        pairs = self._further_cases()
        if not pairs:
            return []
        folder = unoutlined_folder(self.preprocessed_dataset_folder)
        shared = (self.plans_manager, self.configuration_manager)
        images, raw = self._pair_images(pairs), None
        if images is not None:
            raw = self._raw_folder() / UNOUTLINED_TARGETS
            prepare_unoutlined(
                images, folder, *shared, self.dataset_json, workers=default_num_processes
            )
        return prepare_targets(
            raw,
            folder,
            pairs,
            *shared,
            self.dataset_json["file_ending"],
            scale=self.dwi_scale,
            maps=self._maps_among(images or {}),
        )

    def _pair_images(self, wanted: list[str]) -> dict[str, list[str]] | None:
        """Pair -> its images, of those with all channels and a DWI; None without raw data."""
        raw, ending = self._raw_folder(), self.dataset_json["file_ending"]
        if raw is None or raw_cases(raw, self.dataset_json) is None:
            return None
        folder = raw / UNOUTLINED_IMAGES
        found = images_in(folder, ending) if folder.is_dir() else {}
        n_channels = len(self.dataset_json["channel_names"])
        return {
            case_id: list(found[case_id])
            for case_id in wanted
            if len(found.get(case_id, ())) == n_channels
            and (raw / UNOUTLINED_TARGETS / f"{case_id}{ending}").is_file()
        }
