"""A mixin: HU and seconds are normalised alike in all scans."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from nnunetv2.configuration import default_num_processes

from nnunetv2_strokesynth.channels import PRESETS, check_channels
from nnunetv2_strokesynth.dataloading.fixed_intensities import (
    prepare_cases,
    with_fixed_intensities,
)
from nnunetv2_strokesynth.trainers.nnunet_host import NNUNetHost


class FixedIntensities(NNUNetHost):
    """Mixin: fixed intensity normalisation, where nnU-Net z-scores every scan by itself.

    A trainer that has it to the left of its base trains on cases that it makes once from the raw
    data set: see ``dataloading.fixed_intensities``.

    Attributes:
        preset: a key of ``channels.PRESETS``, which says what the channels are. The trainer sets
            it.
    """

    preset: str

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net inspects this signature)
    ):
        plans = with_fixed_intensities(plans, configuration, PRESETS[self.preset].names)
        super().__init__(plans, configuration, fold, dataset_json, device)

    def initialize(self) -> None:
        """Prepares the cases if they are missing, then initialises as nnU-Net does."""
        if not self.was_initialized:
            # First: the plans of a data set with other channels name nnU-Net's own cases.
            check_channels(self.dataset_json["channel_names"], self.preset, type(self).__name__)
            self._prepare_cases()
        super().initialize()

    def _prepare_cases(self) -> None:
        folder = Path(self.preprocessed_dataset_folder)
        prepare = partial(
            prepare_cases,
            self._raw_folder(),
            folder,
            self.plans_manager,
            self.configuration_manager,
            self.dataset_json,
            workers=default_num_processes,
        )
        n_made = self._on_first_rank(prepare)
        self.print_to_log_file(
            f"fixed intensity normalisation of HU and s: {n_made} cases made in {folder}"
        )
