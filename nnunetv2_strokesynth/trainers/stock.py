"""nnU-Net's own trainer under a name of ours, for comparisons of equal length."""

from __future__ import annotations

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunetv2_strokesynth.trainers.environment import apply_overrides


class StrokeSynthTrainer_Stock(nnUNetTrainer):
    """nnU-Net's own trainer on all channels.

    It differs from ``nnUNetTrainer`` in one point: it honours ``strokesynth_num_epochs`` and the
    other two variables of that kind, so that it can train for as long as ours.
    """

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net inspects this signature)
    ):
        super().__init__(plans, configuration, fold, dataset_json, device)
        apply_overrides(self)
