"""``Clerigues2019Trainer``: Clerigues et al. 2019 and the rows of their Table 1.

A small network learns on balanced 64x64 patches of five modalities and their mirror images, and
training stops early. In prediction, it averages three passes with dropout.

Data: ``strokesynth convert isles2018 ... --preset clerigues2019``. Training: ``nnUNetv2_train
DATASET 2d_patch64 FOLD -tr Clerigues2019Trainer``; the trainer adds that configuration to the plans
itself.
"""

from __future__ import annotations

from pathlib import Path

import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.transforms import with_targets
from nnunetv2_strokesynth.io.atomic import write_json
from nnunetv2_strokesynth.io.text_files import read_json_object
from nnunetv2_strokesynth.papers.clerigues2019.asymmetric_unet import AsymmetricResidualUNet
from nnunetv2_strokesynth.papers.clerigues2019.balanced_patches import (
    BalancedPatches,
    RepeatedPatches,
)
from nnunetv2_strokesynth.papers.clerigues2019.loss import clerigues2019_loss
from nnunetv2_strokesynth.papers.clerigues2019.monte_carlo import MonteCarloSegmenter
from nnunetv2_strokesynth.papers.shared.drop_schedule import DropSchedule
from nnunetv2_strokesynth.papers.shared.staged_trainer import StagedTrainer
from nnunetv2_strokesynth.papers.shared.stages import SEGMENTATION, Stage
from nnunetv2_strokesynth.trainers.environment import BASE_FEATURES
from nnunetv2_strokesynth.trainers.loss_log import history_of_terms

_BOTH_SIDES = PRESETS["clerigues2019"].names
_ONE_SIDE = _BOTH_SIDES[: len(_BOTH_SIDES) // 2]


class Clerigues2019Trainer(StagedTrainer):
    """Clerigues et al. 2019, Table 1, last row: single network + RT + SM + UF.

    Balanced patches in batches of 64, generalised Dice plus cross entropy, Adadelta, at most 100
    epochs of 4000 patches per scan. Training stops when the sum of L1 and error rate on the
    validation patches has not fallen for 10 epochs. ``checkpoint_final.pth`` holds the best epoch.

    Attributes:
        inputs: names of the channels that the network sees.
        patch_side: of the patches, in pixels.
        patches_per_case: in an epoch.
        segmentation_terms: of the loss.
        stopping_terms: the training stops by their sum on the validation patches.
        n_passes: with dropout, averaged in prediction; 0: one pass without dropout.
    """

    preset = "clerigues2019"
    one_lesion = True  # patches are centred on it or on healthy tissue
    inputs = _BOTH_SIDES
    base_features = 8
    configuration = "2d_patch64"
    patch_side = 64
    paper_batch_size = 64
    patches_per_case = 4000
    segmentation_terms = ("L_ce", "L_gd")
    stopping_terms = ("l1", "error_rate")
    n_passes = 3
    learning_rate = 1.0  # Adadelta sets its own steps
    default_epochs = 100
    stages = (SEGMENTATION,)
    patience = 10

    @classmethod
    def check_suitable(cls, plans: dict, configuration: str, dataset_json: dict) -> None:
        """The configuration must be the trainer's own, which it adds to the plans."""
        if configuration != cls.configuration:
            raise ValueError(
                f"{cls.__name__} works on patches of {cls.patch_side} x {cls.patch_side} pixels: "
                f"name the configuration {cls.configuration} in place of {configuration}. It "
                "needs no planning or preprocessing beyond that of 2d"
            )
        super().check_suitable(cls._with_patches(plans), configuration, dataset_json)

    @classmethod
    def _own_plans(cls, plans: dict, configuration: str) -> dict:
        return super()._own_plans(cls._with_patches(plans), configuration)

    @classmethod
    def _with_patches(cls, plans: dict) -> dict:
        """The plans with one more configuration: the data of 2d in patches."""
        patches = {"inherits_from": "2d", "patch_size": [cls.patch_side, cls.patch_side]}
        configurations = {**plans["configurations"], cls.configuration: patches}
        return {**plans, "configurations": configurations}

    def on_train_start(self) -> None:
        """Adds the configuration to nnU-Net's plans, where its other commands look for it."""
        plans_file = Path(self.preprocessed_dataset_folder_base) / (
            f"{self.plans_manager.plans_name}.json"
        )
        plans = read_json_object(plans_file, way_out="plan and preprocess again")
        if self.local_rank == 0 and self.configuration not in plans["configurations"]:
            write_json(plans_file, self._with_patches(plans))
            self.print_to_log_file(
                f"added the configuration {self.configuration} to {plans_file}: the data of 2d in "
                f"patches of {self.patch_side} x {self.patch_side} pixels"
            )
        super().on_train_start()

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The network on its inputs. It averages passes with dropout in prediction."""
        cls._check_inputs(configuration_manager, num_input_channels)
        width = configuration_manager.configuration[BASE_FEATURES]
        return MonteCarloSegmenter(
            AsymmetricResidualUNet(len(cls.inputs), num_output_channels, width),
            PRESETS[cls.preset].index(*cls.inputs),
            n_passes=cls.n_passes,
            return_heads=enable_deep_supervision,
        )

    def _build_loss(self) -> nn.Module:
        return clerigues2019_loss(self.segmentation_terms, self.stopping_terms)

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, DropSchedule]:
        """Adadelta at a constant rate, with the released code's decay of the averages."""
        optimizer = torch.optim.Adadelta(self.network.parameters(), lr=self.initial_lr, rho=0.95)
        return optimizer, DropSchedule(optimizer, self.initial_lr, self.num_epochs, drops=())

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self):
        """No rotation and no mirroring, in training or prediction: the hemispheres are inputs."""
        rotation, dummy_2d, _, _ = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        self.inference_allowed_mirroring_axes = None
        return rotation, dummy_2d, self.configuration_manager.patch_size, None

    @classmethod
    def _elastic_deformation(cls) -> BasicTransform:
        """Elastic deformation with alpha = 2.5 and sigma = 0.12 of Simard et al. 2003.

        Choice: the paper gives the two numbers without units. We read them as at most 2.5 pixels,
        smoothed over 0.12 of the patch.
        """
        return SpatialTransform(
            (cls.patch_side, cls.patch_side),
            patch_center_dist_from_border=0,
            random_crop=False,
            p_elastic_deform=1,
            elastic_deform_scale=(0.12, 0.12),
            elastic_deform_magnitude=(2.5, 2.5),
        )

    @classmethod
    def get_training_transforms(cls, *args, **kwargs):
        """Elastic deformation of repeated patches and nothing else, as the paper has it."""
        return cls._transforms(RepeatedPatches(cls._elastic_deformation()), **kwargs)

    @classmethod
    def get_validation_transforms(cls, *args, **kwargs):
        """No augmentation."""
        return cls._transforms(RepeatedPatches(), **kwargs)

    @classmethod
    def _transforms(cls, first: BasicTransform, **kwargs):
        options = ("is_cascaded", "foreground_labels", "regions", "ignore_label")
        plain = nnUNetTrainer.get_validation_transforms(
            None, **{name: kwargs[name] for name in options if name in kwargs}
        )
        return with_targets(plain, cls._pack_targets(), has_dwi=False, first=[first])

    def _prepared(self, train, val):
        """Balanced patches. The loader centres each one on the voxel that was drawn for it."""
        self.oversample_foreground_percent = 1.0
        n_train, n_val = (
            self.patches_per_case * len(dataset.identifiers) for dataset in (train, val)
        )
        self._set_epoch_length(n_train, n_val, "patches")
        return tuple(
            BalancedPatches(dataset, self.patch_side, self.patches_per_case)
            for dataset in (train, val)
        )

    def validation_scores(self, stage: Stage) -> list[float]:
        """Minus the sum of the terms that decide when to stop."""
        history = history_of_terms(self.logger)
        columns = (history.get(f"val/{name}", []) for name in self.stopping_terms)
        return [-sum(values) for values in zip(*columns, strict=True)]


class Clerigues2019Trainer_RTSM(Clerigues2019Trainer):
    """Table 1, Single + RT + SM: without uncertainty filtering."""

    n_passes = 0


class Clerigues2019Trainer_RT(Clerigues2019Trainer):
    """Table 1, Single + RT: without the mirrored modalities."""

    inputs = _ONE_SIDE
    n_passes = 0


class Clerigues2019Trainer_Baseline(Clerigues2019Trainer):
    """Table 1, Baseline: patches of 48 pixels, cross entropy, stopped by the Dice loss.

    Departure: one network of the final layout. The workshop paper had two others in a cascade.
    """

    inputs = _ONE_SIDE
    configuration = "2d_patch48"
    patch_side = 48
    segmentation_terms = ("L_ce",)
    stopping_terms = ("L_dice",)
    n_passes = 0


class Clerigues2019Trainer_Baseline64(Clerigues2019Trainer_Baseline):
    """Section 4.1, the baseline on patches of 64 pixels: 4 % lower Dice in the paper."""

    configuration = "2d_patch64"
    patch_side = 64


class Clerigues2019Trainer_RT16(Clerigues2019Trainer_RT):
    """Section 3.1, Single + RT on the smallest patches that the paper tried, 16 pixels."""

    configuration = "2d_patch16"
    patch_side = 16


class Clerigues2019Trainer_RT32(Clerigues2019Trainer_RT):
    """Section 3.1, Single + RT on patches of 32 pixels."""

    configuration = "2d_patch32"
    patch_side = 32


class Clerigues2019Trainer_RT48(Clerigues2019Trainer_RT):
    """Section 3.1, Single + RT on the baseline's patches of 48 pixels."""

    configuration = "2d_patch48"
    patch_side = 48


class Clerigues2019Trainer_RT96(Clerigues2019Trainer_RT):
    """Section 3.1, Single + RT on the largest patches that the paper tried, 96 pixels."""

    configuration = "2d_patch96"
    patch_side = 96
