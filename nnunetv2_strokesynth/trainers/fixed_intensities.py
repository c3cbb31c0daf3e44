"""Channels in HU and seconds as such, where nnU-Net would z-score them scan by scan."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from nnunetv2.configuration import default_num_processes
from nnunetv2.paths import nnUNet_raw
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import distributed as dist

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.fixed_intensities import (
    prepare_cases,
    with_physical_units,
)

Result = TypeVar("Result")


class PhysicalUnits(nnUNetTrainer):
    """nnU-Net's trainer, on cases that it makes itself: see ``dataloading.physical_units``.

    Attributes:
        physical_units: False keeps nnU-Net's normalisation and its cases.
        preset: key of ``channels.PRESETS``, which says what the channels are.
    """

    physical_units = True
    preset = "wang2020"

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net inspects this signature)
    ):
        if self.physical_units:
            plans = with_physical_units(plans, configuration, PRESETS[self.preset].names)
        super().__init__(plans, configuration, fold, dataset_json, device)

    def initialize(self) -> None:
        """See to it that the cases are there, then as nnU-Net."""
        if self.physical_units and not self.was_initialized:
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
        self.print_to_log_file(f"HU and s are not z-scored: {n_made} cases made in {folder}")

    def _raw_folder(self) -> Path | None:
        """``nnUNet_raw/DatasetNNN_*``, or None where it is not at hand."""
        if not nnUNet_raw.is_set():
            return None
        folder = Path(str(nnUNet_raw)) / self.plans_manager.dataset_name
        return folder if folder.is_dir() else None

    def _on_first_rank(self, function: Callable[[], Result]) -> Result:
        """What ``function`` returns or raises, called by one process of a distributed training."""
        if not self.is_ddp:
            return function()
        found: list[Result | Exception | None] = [None]
        if self.local_rank == 0:
            try:
                found = [function()]
            except (ValueError, OSError) as error:  # the other ranks wait: tell them, too
                found = [error]
        dist.broadcast_object_list(found, src=0)
        if isinstance(found[0], Exception):
            raise found[0]
        return found[0]
