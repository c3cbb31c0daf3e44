"""What our trainers and mixins ask of nnU-Net's trainer, which does not offer it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import torch
from nnunetv2.paths import nnUNet_raw
from nnunetv2.training.dataloading.nnunet_dataset import (
    infer_dataset_class,
    nnUNetBaseDataset,
)
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunetv2_strokesynth.dataloading.raw_cases import raw_cases
from nnunetv2_strokesynth.dataloading.splits_file import SPLITS_FILE
from nnunetv2_strokesynth.dataloading.stored_orders import check_orders
from nnunetv2_strokesynth.dataloading.withdrawal import (
    Withdrawal,
    check_split,
    find_withdrawn,
    leaving_out,
)
from nnunetv2_strokesynth.trainers.environment import check_overrides
from nnunetv2_strokesynth.trainers.first_rank import FirstRank, Result
from nnunetv2_strokesynth.trainers.trained_cases import record_cases


def not_compiled(network: nn.Module) -> nn.Module:
    """The network that ``torch.compile`` has wrapped, or the same one if it has not."""
    return getattr(network, "_orig_mod", network)


class NNUNetHost(nnUNetTrainer):
    """nnU-Net's trainer with three helpers, and without the cases that were withdrawn.

    What it cannot train on is refused before nnU-Net makes the fold's folder and its log.

    A case is withdrawn when it is gone from ``nnUNet_raw``: see ``dataloading.withdrawal``. Without
    such cases, the trainer behaves as nnU-Net's.

    It is a class of its own because the mixins of this folder also work on nnU-Net's stock trainer,
    which is no ``StrokeTrainer``.
    """

    network: nn.Module
    dataset_class: type[nnUNetBaseDataset] | None
    _said_of_withdrawn: frozenset[str] = frozenset()
    _first_rank: FirstRank | None = None

    def __new__(
        cls,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (the same as in __init__)
    ):
        """Checks everything before any ``__init__`` makes a folder."""
        if device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError(
                f"{cls.__name__}: PyTorch finds no CUDA device here; add `-device cpu` (or `mps`) "
                "to the command, or see `strokesynth info`"
            )
        check_overrides()
        cls.check_suitable(plans, configuration, dataset_json)
        return super().__new__(cls)

    @classmethod
    def check_suitable(cls, plans: dict, configuration: str, dataset_json: dict) -> None:
        """Hook: raises ``ValueError`` if the trainer cannot train on such a data set.

        Args:
            plans: nnU-Net's.
            configuration: the name of one of its configurations.
            dataset_json: nnU-Net's ``dataset.json``.
        """
        del dataset_json
        planned = plans["configurations"]
        if configuration not in planned:
            raise ValueError(
                f"the plans {plans['plans_name']} of {plans['dataset_name']} have no configuration "
                f"'{configuration}', but {', '.join(planned)}: give one of these, or plan it with "
                "`nnUNetv2_plan_and_preprocess`"
            )
        cls._check_configuration(PlansManager(plans).get_configuration(configuration))

    @classmethod
    def _check_configuration(cls, configuration: ConfigurationManager) -> None:
        """Hook: raises ``ValueError`` if the networks do not fit a configuration of the plans."""

    @property
    def unwrapped_network(self) -> nn.Module:
        """The network without the wrappers of DDP and torch.compile."""
        return not_compiled(self.network.module if self.is_ddp else self.network)

    def _raw_folder(self) -> Path | None:
        """``nnUNet_raw/DatasetNNN_*``, or None if it does not exist on this machine."""
        if not nnUNet_raw.is_set():
            return None
        folder = Path(str(nnUNet_raw)) / self.plans_manager.dataset_name
        return folder if folder.is_dir() else None

    def _on_first_rank(self, function: Callable[[], Result]) -> Result:
        """Calls ``function`` in one process of a distributed training only.

        All processes get what it returns, or raise the ``ValueError`` or ``OSError`` that it
        raises.
        """
        if not self.is_ddp:
            return function()
        if self._first_rank is None:
            self._first_rank = FirstRank(self.local_rank)
        return self._first_rank.call(function)

    def do_split(self) -> tuple[list[str], list[str]]:
        """nnU-Net's split of the cases that were not withdrawn.

        Raises:
            ValueError: ``splits_final.json`` names a case for this fold that is not there.
        """
        if self.dataset_class is None:
            self.dataset_class = infer_dataset_class(self.preprocessed_dataset_folder)
        dataset_class = self.dataset_class
        self.dataset_class = leaving_out(dataset_class, self._withdrawn_cases())
        try:
            return super().do_split()
        finally:
            self.dataset_class = dataset_class

    def get_tr_and_val_datasets(self):
        """nnU-Net's data sets. The cases are recorded in the fold's ``trained_cases.json``.

        Raises:
            ValueError: a resumed training has learned from a case that validates it now; or the
                cases are stored in several orders of axes, see ``stored_orders.check_orders``.
        """
        for sentence in self._on_first_rank(self._check_orders):
            self.print_to_log_file(f"WARNING: {sentence}")
        train, val = super().get_tr_and_val_datasets()
        record = partial(
            record_cases,
            Path(self.output_folder),
            [*train.identifiers, *self._further_cases()],
            val.identifiers,
            epoch=self.current_epoch,
        )
        for sentence in self._on_first_rank(record):
            self.print_to_log_file(f"WARNING: {sentence}")
        return train, val

    def _further_cases(self) -> list[str]:
        """Hook: cases beside those of the split from which the training learns."""
        return []

    def _check_orders(self) -> list[str]:
        return check_orders(raw_cases(self._raw_folder(), self.dataset_json), self.dataset_json)

    def _withdrawn_cases(self) -> Collection[str]:
        """Finds and reports withdrawn cases. Raises ``ValueError`` if the split names one."""
        found = self._on_first_rank(self._find_withdrawn)
        said = self._sentences_about(found)
        for sentence in said:
            if sentence not in self._said_of_withdrawn:  # nnU-Net asks for the split several times
                self.print_to_log_file(f"withdrawn cases: {sentence}")
        self._said_of_withdrawn |= frozenset(said)
        self._on_first_rank(self._check_split)
        return frozenset() if found is None else frozenset(found.cases)

    def _sentences_about(self, found: Withdrawal | None) -> list[str]:
        if found is None:
            return [
                f"not checked, since nnUNet_raw does not hold {self.plans_manager.dataset_name} "
                "with its images here; all preprocessed cases are used"
            ]
        said = found.sentences()
        return said if said or self._said_of_withdrawn else [f"none ({found.raw} was compared)"]

    def _find_withdrawn(self) -> Withdrawal | None:
        raw = raw_cases(self._raw_folder(), self.dataset_json)
        if raw is None:
            return None
        validation = Path(self.output_folder) / "validation"
        return find_withdrawn(raw, Path(self.preprocessed_dataset_folder_base), validation)

    def _check_split(self) -> None:
        folder = Path(self.preprocessed_dataset_folder)
        check_split(
            Path(self.preprocessed_dataset_folder_base) / SPLITS_FILE,
            self.fold,
            raw=raw_cases(self._raw_folder(), self.dataset_json),
            folder=folder,
            held=frozenset(self.dataset_class.get_identifiers(str(folder))),
        )
