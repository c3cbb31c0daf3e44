"""``StrokeTrainer``: what the trainers of all published systems share inside nnU-Net.

What nnU-Net does, it goes on doing: ``train_step``, ``validation_step``, AMP, clipping,
checkpoints, online Dice, sliding window, mirroring and ensembling are its own. Its deep-supervision
protocol passes lists to the loss; we use it as it is: while it trains, a network returns a tuple
that begins with the logits, the loader returns a list that begins with the labels, and these two
are what nnU-Net's online Dice reads.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from nnunetv2_strokesynth.channels import (
    PRESETS,
    check_channels,
)
from nnunetv2_strokesynth.dataloading.transforms import (
    PackTargets,
    no_weights,
    with_targets,
)
from nnunetv2_strokesynth.io.atomic import (
    atomic_file,
    remove_leftovers,
)
from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.papers.shared.one_pass import OnePassDataset
from nnunetv2_strokesynth.papers.shared.stages import (
    Stage,
    epochs_since_best,
    kept_is_best,
)
from nnunetv2_strokesynth.trainers.environment import (
    BASE_FEATURES,
    apply_overrides,
    is_overridden,
    positive_integer,
)
from nnunetv2_strokesynth.trainers.fixed_intensities import PhysicalUnits
from nnunetv2_strokesynth.trainers.limited_rotation import UprightHeads
from nnunetv2_strokesynth.trainers.loss_log import (
    TermMeans,
    history_of_terms,
    log_terms,
    plot_terms,
    write_csv,
)
from nnunetv2_strokesynth.trainers.network_plans import adapted_plans
from nnunetv2_strokesynth.trainers.threshold_calibration import DecisionBias

# nnU-Net's checkpoints hold scores as NumPy numbers; what else could run code is not unpickled.
_NUMPY_NUMBERS = [
    np.dtype,
    np.float32(0).__reduce__()[0],
    *{type(np.dtype(code)) for code in np.typecodes["AllInteger"] + np.typecodes["Float"]},
]


class _EarlyStop(Exception):
    """Leaves nnU-Net's loop over the epochs."""


class StrokeTrainer(UprightHeads, DecisionBias, PhysicalUnits):
    """The base of this package's trainers; a system is a subclass that changes what follows.

    Attributes:
        preset: key of ``channels.PRESETS``; the data set's channels are checked against it.
        uses_dwi: whether the loss compares with a DWI.
        configuration: of the plans, for which it is made.
        n_dimensions: of the patches.
        base_features: width of the networks; stored in the model's plans.
        paper_batch_size: None keeps the plans'.
        side_multiple: patch sides are rounded up to multiples of it.
        learning_rate: None keeps nnU-Net's.
        default_epochs: of each stage; None keeps nnU-Net's.
        one_pass_epochs: every slice equally likely, and an epoch as long as one pass over them.
        stages: with stages, the best epoch of each is kept, the next one starts from it, and that
            of the last is what ``checkpoint_final.pth`` holds. Without: as nnU-Net, which keeps the
            last epoch.
        patience: stop after so many epochs of the last stage without a better score.
        physical_units: see ``PhysicalUnits``.
        upright_deg: see ``UprightHeads``.
        moves_decision: see ``DecisionBias``.
    """

    preset = "wang2020"
    uses_dwi = False
    configuration = "2d"
    n_dimensions = 2
    base_features: int | None = None
    paper_batch_size: int | None = None
    side_multiple = 1
    learning_rate: float | None = None
    default_epochs: int | None = None
    one_pass_epochs = False
    stages: tuple[Stage, ...] = ()
    patience: int | None = None
    physical_units = False
    upright_deg: float | None = None
    moves_decision = False

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
        self._report_plans()
        apply_overrides(self)
        self._train_terms, self._val_terms = TermMeans(), TermMeans()
        if self.learning_rate is not None:
            self.initial_lr = self.learning_rate
        if self.one_pass_epochs:
            self.oversample_foreground_percent = 0.0
        keep_epochs = self.default_epochs is None or is_overridden("num_epochs")
        self.epochs_per_stage = self.num_epochs if keep_epochs else self.default_epochs
        self.num_epochs = self.epochs_per_stage * max(1, len(self.stages))
        self._stage: Stage | None = None

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

    def _report_plans(self) -> None:
        if self._width() != self.base_features:
            self.print_to_log_file(f"base_features = {self._width()} from {BASE_FEATURES}")

    @classmethod
    def _check_inputs(cls, configuration: ConfigurationManager, num_input_channels: int) -> None:
        if len(configuration.patch_size) != cls.n_dimensions:
            wanted = {2: "slices: use the configuration 2d", 3: "volumes: use 3d_fullres"}
            raise ValueError(f"{cls.__name__} works on {wanted[cls.n_dimensions]}")
        n_expected = len(PRESETS[cls.preset].names)
        if num_input_channels != n_expected:
            raise ValueError(
                f"{cls.__name__} reads {n_expected} channels (preset {cls.preset}), "
                f"the data set has {num_input_channels}"
            )

    def _check_channels(self) -> None:
        check_channels(self.dataset_json["channel_names"], self.preset, type(self).__name__)

    def initialize(self) -> None:
        """Check the channels against the preset, then set everything up as nnU-Net does."""
        self._check_channels()
        super().initialize()

    def set_deep_supervision_enabled(self, enabled: bool) -> None:
        """On: the network returns all its heads. Off (validation): the logits alone."""
        self.unwrapped_network.return_heads = enabled

    def _get_deep_supervision_scales(self) -> None:
        # The list of targets does not hold smaller copies of the labels.
        return None

    def _build_loss(self) -> nn.Module:
        return SegmentationLoss()

    @classmethod
    def _pack_targets(cls) -> PackTargets:
        return PackTargets(no_weights)

    @classmethod
    def _further_augmentation(cls) -> list[BasicTransform]:
        return []

    @classmethod
    def get_training_transforms(cls, *args, **kwargs):
        """nnU-Net's augmentation with the list of targets; a DWI moves along with the image."""
        return with_targets(
            nnUNetTrainer.get_training_transforms(*args, **kwargs),
            cls._pack_targets(),
            has_dwi=cls.uses_dwi,
            first=cls._further_augmentation(),
        )

    @classmethod
    def get_validation_transforms(cls, *args, **kwargs):
        """nnU-Net's, with the same list of targets as in training."""
        augmentation = nnUNetTrainer.get_validation_transforms(*args, **kwargs)
        return with_targets(augmentation, cls._pack_targets(), has_dwi=cls.uses_dwi)

    def _prepared(self, train, val):
        """Hook: what a system adds to nnU-Net's two data sets."""
        return train, val

    def get_tr_and_val_datasets(self):
        """nnU-Net's data sets, as the system prepares them."""
        train, val = self._prepared(*super().get_tr_and_val_datasets())
        if not self.one_pass_epochs:
            return train, val
        train, val = OnePassDataset(train), OnePassDataset(val)
        self._set_epoch_length(len(train.identifiers), len(val.identifiers), "slices")
        return train, val

    def _set_epoch_length(self, n_train: int, n_val: int, unit: str) -> None:
        """One pass over so many samples is an epoch, unless the environment says otherwise."""
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

    def train_step(self, batch: dict) -> dict:
        """nnU-Net's step; keeps the terms of the loss for the log."""
        outputs = super().train_step(batch)
        self._train_terms.add(self.loss.terms)
        return outputs

    def validation_step(self, batch: dict) -> dict:
        """nnU-Net's step; keeps the terms of the loss for the log."""
        outputs = super().validation_step(batch)
        self._val_terms.add(self.loss.terms)
        return outputs

    def run_training(self) -> None:
        """nnU-Net's loop over the epochs, left early where ``patience`` says so."""
        try:
            super().run_training()
        except _EarlyStop:
            self.print_to_log_file(
                f"no better validation score for {self.patience} epochs: training ends here"
            )
            self.on_train_end()

    def on_epoch_start(self) -> None:
        """Start an epoch, unless the last stage's patience is used up."""
        if self.patience is not None and self.stages:
            number = len(self.stages) - 1
            scores = self._scores_of_stage(number)
            if scores and epochs_since_best(scores) >= self.patience:
                raise _EarlyStop
        super().on_epoch_start()

    def on_train_epoch_start(self) -> None:
        """Enter the epoch's stage, then as nnU-Net; frozen parts keep their batch statistics."""
        if not self.stages:
            super().on_train_epoch_start()
            return
        stage = self.stages[min(self.current_epoch // self.epochs_per_stage, len(self.stages) - 1)]
        if stage is not self._stage:
            self._enter(stage)
        super().on_train_epoch_start()
        for name, part in self.unwrapped_network.named_children():
            part.train(name in stage.trained)

    def _learns(self, name: str, stage: Stage) -> bool:
        return name in stage.trained

    def _enter(self, stage: Stage) -> None:
        """Freeze what the stage does not train; go on from the best state of the stage before."""
        number = self.stages.index(stage)
        if self.current_epoch == number * self.epochs_per_stage and number > 0:
            self._load_weights(self._best_checkpoint(number - 1))
            self.optimizer.state.clear()
            self._best_ema = None  # of predictions by parts that had not learned yet
        changed = False
        for name, part in self.unwrapped_network.named_children():
            learns = self._learns(name, stage)
            for parameter in part.parameters():
                changed |= parameter.requires_grad != learns
                parameter.requires_grad_(learns)
        if changed and self.is_ddp:  # DDP waits for the gradients of what could learn when it began
            self.network = DistributedDataParallel(
                self.network.module, device_ids=[self.local_rank]
            )
        self._stage = stage
        if len(self.stages) > 1:
            self.print_to_log_file(f"stage '{stage.name}': {', '.join(stage.trained)} learn")

    def on_epoch_end(self) -> None:
        """Log the terms of the loss, keep the best state of each stage; then as nnU-Net."""
        for phase, means in (("train", self._train_terms), ("val", self._val_terms)):
            terms = means.pop()
            log_terms(self.logger, phase, terms, self.current_epoch)
            listed = ", ".join(f"{name} {value:.4f}" for name, value in terms.items())
            self.print_to_log_file(f"{phase} terms: {listed}")
        if self.local_rank == 0:
            history = history_of_terms(self.logger)
            write_csv(Path(self.output_folder), history)
            plot_terms(Path(self.output_folder), history)
        if self.stages:
            number = self.current_epoch // self.epochs_per_stage
            if kept_is_best(self._scores_of_stage(number)):
                self.save_checkpoint(str(self._best_checkpoint(number)))
        super().on_epoch_end()

    def validation_scores(self, stage: Stage) -> list[float]:
        """One number per finished epoch of the whole training, higher is better: online Dice.

        nnU-Net's own ``checkpoint_best.pth`` follows a moving average of it, which starts at the
        first epoch's and lags; the papers speak of the best checkpoint.
        """
        return self.logger.local_logger.my_fantastic_logging["mean_fg_dice"]

    def _scores_of_stage(self, number: int) -> list[float]:
        first = number * self.epochs_per_stage
        return self.validation_scores(self.stages[number])[first : first + self.epochs_per_stage]

    def on_train_end(self) -> None:
        """Go back to the best checkpoint of the last stage, which then is the final one."""
        if self.stages:
            self._load_weights(self._best_checkpoint(len(self.stages) - 1))
        super().on_train_end()

    def save_checkpoint(self, filename: str) -> None:
        """nnU-Net's, written beside the old checkpoint and renamed: a kill leaves one of the two.

        nnU-Net writes in place, so that a kill or a full disk in the middle leaves a torn file, and
        a training that cannot go on.
        """
        if self.local_rank != 0 or self.disable_checkpointing:
            super().save_checkpoint(filename)  # writes nothing, and logs why
            return
        path = Path(filename)
        remove_leftovers(path.parent)
        with atomic_file(path) as temporary:
            super().save_checkpoint(str(temporary))

    def _best_checkpoint(self, number: int) -> Path:
        return Path(self.output_folder) / f"checkpoint_best_{self.stages[number].name}.pth"

    def _load_weights(self, path: Path) -> None:
        if self.is_ddp:
            dist.barrier()  # rank 0 may still be writing
        if not path.is_file():  # nnU-Net's --disable_checkpointing
            return
        self.print_to_log_file(f"weights of {path.name}")
        with torch.serialization.safe_globals(_NUMPY_NUMBERS):
            checkpoint = torch.load(path, map_location=self.device, weights_only=True)
        self.unwrapped_network.load_state_dict(checkpoint["network_weights"])
