"""Mixins: trainers whose plans normalise otherwise than nnU-Net's."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from nnunetv2.configuration import default_num_processes

from nnunetv2_strokesynth.channels import PRESETS, check_channels
from nnunetv2_strokesynth.dataloading.normalization import (
    with_fixed_intensities,
    with_frames_as_one_volume,
)
from nnunetv2_strokesynth.dataloading.own_cases import prepare_cases
from nnunetv2_strokesynth.trainers.nnunet_host import NNUNetHost


class OwnNormalization(NNUNetHost):
    """What both mixins share: a trainer trains on cases that it makes once from the raw data set.

    Attributes:
        preset: a key of ``channels.PRESETS``, which says what the channels are. The trainer sets
            it.
        normalization: what the log says of it.
    """

    preset: str
    normalization: str

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net inspects this signature)
    ):
        own = self._normalised(plans, configuration)
        self._has_own_cases = own is not plans
        super().__init__(own, configuration, fold, dataset_json, device)

    @classmethod
    def _normalised(cls, plans: dict, configuration: str) -> dict:
        """Hook: the plans with another normalisation; the same object if nothing changes."""
        raise NotImplementedError

    @classmethod
    def check_suitable(cls, plans: dict, configuration: str, dataset_json: dict) -> None:
        """The channels must be those that the normalisation is made for."""
        super().check_suitable(plans, configuration, dataset_json)
        check_channels(dataset_json["channel_names"], cls.preset, cls.__name__)

    def initialize(self) -> None:
        """Prepares the cases if they are missing, then initialises as nnU-Net does."""
        if not self.was_initialized:
            # First: the plans of a data set with other channels name nnU-Net's own cases.
            plans = self.plans_manager.plans
            self.check_suitable(plans, self.configuration_name, self.dataset_json)
            if self._has_own_cases:
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
        self.print_to_log_file(f"{self.normalization}: {n_made} cases made in {folder}")


class FixedIntensities(OwnNormalization):
    """Mixin: HU and seconds are normalised alike in all scans, where nnU-Net z-scores each scan.

    A trainer that has it to the left of its base trains on cases of its own: see
    ``dataloading.normalization``.
    """

    normalization = "fixed intensity normalisation of HU and s"

    @classmethod
    def _normalised(cls, plans: dict, configuration: str) -> dict:
        return with_fixed_intensities(plans, configuration, PRESETS[cls.preset].names)


class FramesAsOneVolume(OwnNormalization):
    """Mixin: a scan's CTP frames and MIPs share one affine normalisation.

    It stands to the left of the trainer's base. A preset without frames changes nothing.
    """

    normalization = "CTP frames normalised as one volume"

    @classmethod
    def _normalised(cls, plans: dict, configuration: str) -> dict:
        return with_frames_as_one_volume(plans, configuration, PRESETS[cls.preset].names)
