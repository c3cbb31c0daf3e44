"""A mixin: how much the outline of each scan counts in L_s."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch

from nnunetv2_strokesynth.dataloading.machine_outlines import outline_warnings
from nnunetv2_strokesynth.trainers.stroke_trainer import StrokeTrainer

WEIGHTS_KEY = "scan_weights"  # of dataset.json


def checked_weights(weights: object) -> dict[str, float]:
    """Case id -> weight, as ``dataset.json`` holds them.

    Raises:
        ValueError: a weight is not a positive finite number.
    """
    if not isinstance(weights, Mapping):
        raise ValueError(f"dataset.json: {WEIGHTS_KEY} is {weights!r}, expected case: weight, ...")
    for case_id, weight in weights.items():
        is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not (is_number and math.isfinite(weight) and weight > 0):
            raise ValueError(
                f"dataset.json: {WEIGHTS_KEY} gives {case_id} the weight {weight!r}, expected a "
                "number above 0; leave a case out of splits_final.json to leave it out"
            )
    return dict(weights)


class ScanWeights(StrokeTrainer):
    """Mixin: ``scan_weights`` of ``dataset.json`` weigh the voxels of scans in L_s.

    ``strokesynth outline`` gives outlines that machines have drawn the agreement of the machines as
    weight. A case that is not named has the weight 1. The losses of the synthesis do not change: a
    DWI is as good with a doubtful outline as with a sound one. Without the entry, nothing changes.
    """

    @classmethod
    def check_suitable(cls, plans: dict, configuration: str, dataset_json: dict) -> None:
        """Weights must be numbers above 0."""
        super().check_suitable(plans, configuration, dataset_json)
        checked_weights(dataset_json.get(WEIGHTS_KEY, {}))

    def initialize(self) -> None:
        """Reads the weights, then initialises."""
        self._scan_weights = checked_weights(self.dataset_json.get(WEIGHTS_KEY, {}))
        super().initialize()
        if self._scan_weights:
            mean = sum(self._scan_weights.values()) / len(self._scan_weights)
            self.print_to_log_file(
                f"{len(self._scan_weights)} scans have a weight in L_s, {mean:.2f} on average"
            )
        for warning in outline_warnings(self.dataset_json):
            self.print_to_log_file(f"WARNING: outlines that machines drew: {warning}")

    def train_step(self, batch: dict) -> dict:
        """A step in which each scan's outline counts by its weight."""
        self.segmentation_loss.scan_weights = self._weights_of(batch.get("keys", ()))
        try:
            return super().train_step(batch)
        finally:
            self.segmentation_loss.scan_weights = None  # validation counts all alike

    def _weights_of(self, case_ids: Sequence[str]) -> torch.Tensor | None:
        """(B,); None where all are 1."""
        weights = [self._scan_weights.get(case_id, 1.0) for case_id in case_ids]
        if all(weight == 1.0 for weight in weights):
            return None
        return torch.tensor(weights, device=self.device)
