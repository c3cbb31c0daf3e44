"""``PaperTrainer``: what the trainers of published systems share."""

from __future__ import annotations

import math
import os

import torch

from nnunetv2_strokesynth.papers.shared.network_plans import adapted_plans
from nnunetv2_strokesynth.papers.shared.one_pass import OnePassDataset
from nnunetv2_strokesynth.trainers.environment import (
    BASE_FEATURES,
    is_overridden,
    positive_integer,
)
from nnunetv2_strokesynth.trainers.stroke_trainer import StrokeTrainer


class PaperTrainer(StrokeTrainer):
    """A trainer that follows a paper where the paper fixes what nnU-Net would plan or choose.

    Attributes:
        base_features: width of the networks, stored in the model's plans. None where it is fixed.
        paper_batch_size: replaces that of the plans.
        side_multiple: the sides of the plans' patch are rounded up to multiples of it.
        default_epochs: number of epochs; of each stage, if there are several.
        one_pass_epochs: whether every slice is equally likely, and an epoch is as long as one pass
            over the slices.
    """

    base_features: int | None = None
    paper_batch_size: int
    side_multiple = 1
    default_epochs: int
    one_pass_epochs = False

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net inspects this signature)
    ):
        plans = self._own_plans(plans, configuration)
        super().__init__(plans, configuration, fold, dataset_json, device)
        if self._width() != self.base_features:
            self.print_to_log_file(f"base_features = {self._width()} from {BASE_FEATURES}")
        if self.one_pass_epochs:
            self.oversample_foreground_percent = 0.0
        if not is_overridden("num_epochs"):
            self.num_epochs = self.default_epochs

    @classmethod
    def _width(cls) -> int | None:
        if cls.base_features is not None and BASE_FEATURES in os.environ:
            return positive_integer(BASE_FEATURES)
        return cls.base_features

    @classmethod
    def _own_plans(cls, plans: dict, configuration: str) -> dict:
        return adapted_plans(
            plans,
            configuration,
            batch_size=cls.paper_batch_size,
            side_multiple=cls.side_multiple,
            base_features=cls._width(),
        )

    def get_tr_and_val_datasets(self):
        """The data sets as the system prepares them; with ``one_pass_epochs``, slice by slice."""
        train, val = super().get_tr_and_val_datasets()
        if not self.one_pass_epochs:
            return train, val
        train, val = OnePassDataset(train), OnePassDataset(val)
        self._set_epoch_length(len(train.identifiers), len(val.identifiers), "slices")
        return train, val

    def _set_epoch_length(self, n_train: int, n_val: int, unit: str) -> None:
        """Makes an epoch one pass over so many samples, unless the environment sets its length."""
        batch_size = self.configuration_manager.batch_size
        for attribute, n_samples in (
            ("num_iterations_per_epoch", n_train),
            ("num_val_iterations_per_epoch", n_val),
        ):
            if not is_overridden(attribute):
                setattr(self, attribute, math.ceil(n_samples / batch_size))
        self.print_to_log_file(
            f"{n_train} training {unit}, {n_val} for validation: {self.num_iterations_per_epoch} "
            f"and {self.num_val_iterations_per_epoch} batches of {batch_size} in an epoch"
        )
