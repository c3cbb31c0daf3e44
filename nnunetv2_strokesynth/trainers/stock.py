"""nnU-Net's own trainer under a name of ours, for comparisons of equal length."""

from __future__ import annotations

import torch

from nnunetv2_strokesynth.trainers.environment import apply_overrides
from nnunetv2_strokesynth.trainers.nnunet_host import NNUNetHost


class StrokeSynthTrainer_Stock(NNUNetHost):
    """nnU-Net's own trainer on all channels.

    It differs from ``nnUNetTrainer`` in two points: it honours ``strokesynth_num_epochs`` and the
    other two variables of that kind, so that it can train for as long as ours; and it leaves
    withdrawn cases out, as all our trainers do.
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
