"""``StrokeSynthTrainer_Wang2020``: the paper's networks and the paper's recipe inside nnU-Net.

Every ablation of Tables 1 to 5 is a subclass in ``wang2020_tables.py`` that changes some of the
attributes below. What nnU-Net keeps doing: folds, loading, augmentation, AMP, gradient clipping,
checkpoints, sliding window, mirroring, export.
"""

from __future__ import annotations

import copy
import math
import os
from pathlib import Path

import torch
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.dataloading.one_pass import OnePassDataset
from nnunetv2_strokesynth.losses import JointLoss, SegmentationLoss
from nnunetv2_strokesynth.networks import FEATURE, PSEUDO_DWI, SLNet, wang2020_networks
from nnunetv2_strokesynth.trainers.environment import (
    BASE_FEATURES,
    is_overridden,
    positive_integer,
)
from nnunetv2_strokesynth.trainers.stages import JOINT, DropSchedule, Stage
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer

_SIDE_MULTIPLE = 32  # FCN and context encoder halve the image five times


class StrokeSynthTrainer_Wang2020(StrokeSynthTrainer):
    """Wang et al. 2020 to the letter (Table 5, DWI^{o,l,h}; Table 6).

    U-Nets of 64-1024 features (extractor: half) and SLNet, Xavier initialisation, RMSprop with
    learning rate 0.002, times 0.2 after 180 of 300 epochs, batches of 5 slices, an epoch as long as
    one pass over the training slices, and the checkpoint that was best on the validation scans: it
    is what ``checkpoint_final.pth`` holds after training. ``docs/fidelity.md`` lists departures.
    """

    base_features = 64
    generator_inputs = (*PERFUSION_MAPS, "MIP", FEATURE)
    segmenter_inputs = (PSEUDO_DWI,)
    frames: tuple[str, ...] | None = None  # of the extractor; None: all of the preset
    segmenter = SLNet
    normalise_inputs = False
    segmentation_terms = ("L_wce", "L_hgd")  # Eq. 11
    pixel_term = "w-L2"  # Eq. 7
    context_term = "l_h1"  # Eq. 8; None: no context encoder
    context_length = 16
    two_encoders = False  # Song & Huang 2018: one for the pseudo-DWI, one for the DWI
    adversarial = False
    frozen_context = False
    stages: tuple[Stage, ...] = (JOINT,)
    default_epochs = 300  # of each stage
    lr_drops = (0.6,)  # shares of a stage's epochs: 180 of 300
    lr_warm_up = 0.0

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net inspects this signature)
    ):
        features = self.base_features
        if BASE_FEATURES in os.environ:
            features = positive_integer(BASE_FEATURES)
        plans = paper_plans(plans, configuration, features)
        super().__init__(plans, configuration, fold, dataset_json, device)
        if features != self.base_features:
            self.print_to_log_file(f"base_features = {features} from {BASE_FEATURES}")
        self.initial_lr = 0.002
        self.oversample_foreground_percent = 0.0
        self.epochs_per_stage = (
            self.num_epochs if is_overridden("num_epochs") else self.default_epochs
        )
        self.num_epochs = self.epochs_per_stage * len(self.stages)
        self._stage: Stage | None = None

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The paper's networks, as wide as ``strokesynth_base_features`` in the plans says."""
        cls._check_inputs(configuration_manager, num_input_channels)
        network = wang2020_networks(
            num_output_channels,
            preset=cls.preset,
            generator_inputs=cls.generator_inputs,
            segmenter_inputs=cls.segmenter_inputs,
            frames=cls.frames,
            segmenter=cls.segmenter,
            normalise_inputs=cls.normalise_inputs,
            base_features=configuration_manager.configuration[BASE_FEATURES],
            with_context_encoder=cls.context_term is not None,
            with_discriminator=cls.adversarial,
            with_real_context_encoder=cls.two_encoders,
            context_length=cls.context_length,
            return_synthesis=enable_deep_supervision,
        )
        if cls.frozen_context:
            network.context_encoder.requires_grad_(False)
        return network

    def _build_loss(self) -> nn.Module:
        segmentation = SegmentationLoss(self.segmentation_terms)
        if not self.uses_dwi:
            return segmentation
        return self._joint_loss(self.unwrapped_network, segmentation)

    def _joint_loss(self, network: nn.Module, segmentation: SegmentationLoss) -> nn.Module:
        return JointLoss(
            network.context_encoder,
            gamma=self.gamma,
            segmentation=segmentation,
            pixel=self.pixel_term,
            context=self.context_term or "l_h1",
            discriminator=network.discriminator,
        )

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, DropSchedule]:
        """RMSprop and the schedule of section 4.1."""
        optimizer = torch.optim.RMSprop(self.network.parameters(), lr=self.initial_lr)
        schedule = DropSchedule(
            optimizer,
            self.initial_lr,
            self.epochs_per_stage,
            drops=self.lr_drops,
            warm_up=self.lr_warm_up,
        )
        return optimizer, schedule

    def get_tr_and_val_datasets(self) -> tuple[OnePassDataset, OnePassDataset]:
        """Every slice equally likely; an epoch is as long as one pass over the slices."""
        train, val = (OnePassDataset(dataset) for dataset in super().get_tr_and_val_datasets())
        batch_size = self.configuration_manager.batch_size
        if not is_overridden("num_iterations_per_epoch"):
            self.num_iterations_per_epoch = train.n_batches(batch_size)
        if not is_overridden("num_val_iterations_per_epoch"):
            self.num_val_iterations_per_epoch = val.n_batches(batch_size)
        self.print_to_log_file(
            f"{len(train.identifiers)} training slices, {len(val.identifiers)} for validation: "
            f"{self.num_iterations_per_epoch} and {self.num_val_iterations_per_epoch} batches of "
            f"{batch_size} in an epoch"
        )
        return train, val

    def on_train_epoch_start(self) -> None:
        """Enter the epoch's stage, then as nnU-Net; frozen parts keep their batch statistics."""
        stage = self.stages[min(self.current_epoch // self.epochs_per_stage, len(self.stages) - 1)]
        if stage is not self._stage:
            self._enter(stage)
        super().on_train_epoch_start()
        for name, part in self.unwrapped_network.named_children():
            part.train(name in stage.trained)

    def _enter(self, stage: Stage) -> None:
        """Freeze what the stage does not train; go on from the best state of the stage before."""
        first_epoch = self.stages.index(stage) * self.epochs_per_stage
        if self.current_epoch == first_epoch and first_epoch > 0:
            self._load_weights(self._best_checkpoint(self.stages.index(stage) - 1))
            self.optimizer.state.clear()
            self._best_ema = None  # of predictions by a segmenter that had not learned yet
        changed = False
        for name, part in self.unwrapped_network.named_children():
            learns = name in stage.trained and not (
                name == "context_encoder" and self.frozen_context
            )
            for parameter in part.parameters():
                changed |= parameter.requires_grad != learns
                parameter.requires_grad_(learns)
        if changed and self.is_ddp:  # DDP waits for the gradients of what could learn when it began
            self.network = DistributedDataParallel(
                self.network.module, device_ids=[self.local_rank]
            )
        if isinstance(self.loss, JointLoss):
            self.loss.segmentation_weight = float(stage.segmentation)
            self.loss.alpha = self.alpha if stage.synthesis else 0.0
            self.loss.beta = self.beta if stage.feature else 0.0
        self._stage = stage
        if len(self.stages) > 1:
            self.print_to_log_file(f"stage '{stage.name}': {', '.join(stage.trained)} learn")

    def on_epoch_end(self) -> None:
        """Keep the best state of each stage; then as nnU-Net."""
        number = self.current_epoch // self.epochs_per_stage
        scores = self._validation_scores(self.stages[number])
        if scores[-1] >= max(scores[number * self.epochs_per_stage :]):
            self.save_checkpoint(str(self._best_checkpoint(number)))
        super().on_epoch_end()

    def _validation_scores(self, stage: Stage) -> list[float]:
        """One number per epoch, higher is better: online Dice, or minus the loss of a synthesis.

        nnU-Net's own ``checkpoint_best.pth`` follows a moving average of the Dice, which starts at
        the first epoch's and lags; the paper speaks of the best checkpoint.
        """
        history = self.logger.local_logger.my_fantastic_logging
        if stage.segmentation:
            return history["mean_fg_dice"]
        return [-loss for loss in history["val_losses"]]

    def on_train_end(self) -> None:
        """Go back to the best checkpoint, which then is the final one (section 5 of the paper)."""
        self._load_weights(self._best_checkpoint(len(self.stages) - 1))
        super().on_train_end()

    def _best_checkpoint(self, number: int) -> Path:
        return Path(self.output_folder) / f"checkpoint_best_{self.stages[number].name}.pth"

    def _load_weights(self, path: Path) -> None:
        if self.is_ddp:
            dist.barrier()  # rank 0 may still be writing
        if not path.is_file():  # nnU-Net's --disable_checkpointing
            return
        self.print_to_log_file(f"weights of {path.name}")
        checkpoint = torch.load(path, map_location=self.device, weights_only=False)
        self.unwrapped_network.load_state_dict(checkpoint["network_weights"])


def paper_plans(plans: dict, configuration: str, base_features: int) -> dict:
    """The plans with the paper's batch size and network width; patches that its networks can take.

    nnU-Net stores the plans with the model, so prediction builds the same networks.

    Args:
        plans: nnU-Net's plans; left unchanged.
        configuration: e.g. ``2d``.
        base_features: features at full resolution.
    """
    plans = copy.deepcopy(plans)
    patch_size = PlansManager(plans).get_configuration(configuration).patch_size
    own = plans["configurations"][configuration]
    own["patch_size"] = [_SIDE_MULTIPLE * math.ceil(side / _SIDE_MULTIPLE) for side in patch_size]
    own["batch_size"] = 5
    own[BASE_FEATURES] = base_features
    return plans
