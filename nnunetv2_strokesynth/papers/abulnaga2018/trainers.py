"""``Abulnaga2018Trainer``: Abulnaga & Rubin 2018, PSPNet with focal loss, and its comparators.

One class per bar of the paper's Fig. 3. ``Abulnaga2018Trainer`` starts from random weights, and
``Abulnaga2018Trainer_Pretrained``, the paper's system, from learned ones. The paper's ensemble is
the mean of the probabilities of ``_Pretrained`` and ``_PretrainedCE``, five folds each.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import torch
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.transforms import with_targets
from nnunetv2_strokesynth.networks.channel_segmenter import ChannelSegmenter
from nnunetv2_strokesynth.papers.abulnaga2018.augmentation import InPlaneAffine, covering_sides
from nnunetv2_strokesynth.papers.abulnaga2018.loss import (
    BalancedCrossEntropy,
    FocalLoss,
    lesion_fraction,
)
from nnunetv2_strokesynth.papers.abulnaga2018.plateau_schedule import PlateauSchedule
from nnunetv2_strokesynth.papers.abulnaga2018.pretrained import TORCHVISION, load_backbone
from nnunetv2_strokesynth.papers.abulnaga2018.pretraining_record import (
    check_record,
    write_record,
)
from nnunetv2_strokesynth.papers.abulnaga2018.pspnet import ChannelPSPNet
from nnunetv2_strokesynth.papers.abulnaga2018.unet3d import UNet3d
from nnunetv2_strokesynth.papers.abulnaga2018.vnet import VNet
from nnunetv2_strokesynth.papers.shared.staged_trainer import StagedTrainer
from nnunetv2_strokesynth.papers.shared.stages import SEGMENTATION, Stage
from nnunetv2_strokesynth.papers.shared.unet import UNet
from nnunetv2_strokesynth.trainers.environment import BASE_FEATURES, PRETRAINED

INPUTS = ("CT", "Tmax", "CBF", "CBV", "MTT")
_NEW_PARTS = ("initialiser", "pyramid", "head")
NEW_LAYERS = Stage("new_layers", _NEW_PARTS, True, False, False)
ALL_LAYERS = Stage("all_layers", (*_NEW_PARTS, "backbone"), True, False, False)


class Abulnaga2018Trainer(StagedTrainer):
    """Abulnaga & Rubin 2018: PSPNet with focal loss, gamma 1.

    RMSprop, batches of 8 slices. The learning rate drops to a tenth after 20 epochs without a
    better online Dice on validation, and the training ends after 50; the best epoch is kept. All
    layers learn from random weights.

    Choices where the paper is silent: 1e-4 from random weights as well, and in the comparators (at
    1e-3 the V-Net's first steps diverge, and the 3-D U-Net does not learn on the phantom); at most
    200 epochs in each stage, which the paper says of U-Net and V-Net; PyTorch's default
    initialisation.

    Attributes:
        starts_pretrained: whether the backbone starts from learned weights.
        new_layers_lr: learning rate of the first stage with pretrained weights.
        segmenter: called with input channels, output channels and base features; None: the PSPNet.
        gamma: of Eq. 5; 0 makes the focal loss the cross entropy, Eq. 2.
    """

    preset = "wang2020"
    one_lesion = True  # the losses read the logit of one lesion
    paper_batch_size = 8
    side_multiple = 8
    learning_rate = 1e-4
    starts_pretrained = False
    new_layers_lr = 1e-2
    default_epochs = 200
    patience = 50
    one_pass_epochs = True
    stages: tuple[Stage, ...] = (ALL_LAYERS,)
    segmenter: Callable[[int, int, int], nn.Module] | None = None
    gamma = 1.0

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net inspects this signature)
    ):
        self.pretrained = None
        if self.starts_pretrained:
            self.pretrained = os.environ.get(PRETRAINED) or TORCHVISION
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.oversample_foreground_percent = 0.0

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The PSPNet with random weights, or the comparator as wide as the plans say."""
        cls._check_inputs(configuration_manager, num_input_channels)
        indices = PRESETS[cls.preset].index(*INPUTS)
        if cls.segmenter is None:
            return ChannelPSPNet(indices, num_output_channels, return_heads=enable_deep_supervision)
        features = configuration_manager.configuration[BASE_FEATURES]
        return ChannelSegmenter(
            cls.segmenter(len(indices), num_output_channels, features),
            indices,
            return_heads=enable_deep_supervision,
        )

    def _build_loss(self) -> nn.Module:
        return FocalLoss(self.gamma)

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, PlateauSchedule]:
        """RMSprop and the schedule of section 4.6."""
        optimizer = torch.optim.RMSprop(self.network.parameters(), lr=self.initial_lr)
        rates = [self.new_layers_lr if s is NEW_LAYERS else self.initial_lr for s in self.stages]
        schedule = PlateauSchedule(
            optimizer,
            lambda: self.validation_scores(self.stages[-1]),
            initial_lrs=rates,
            epochs_per_stage=self.epochs_per_stage,
        )
        return optimizer, schedule

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self):
        """The paper's augmentation, in the plane, on a larger crop so that nothing is cut off.

        Departure: predictions are averaged over flipped images, too, as by nnU-Net.
        """
        *depth, rows, columns = self.configuration_manager.patch_size
        in_plane = (len(depth), len(depth) + 1)
        self.inference_allowed_mirroring_axes = in_plane
        return None, False, [*depth, *covering_sides((rows, columns))], in_plane

    @classmethod
    def get_training_transforms(
        cls,
        patch_size,
        rotation_for_DA,
        deep_supervision_scales,
        mirror_axes,
        do_dummy_2d_data_aug,
        use_mask_for_norm=None,
        **_,
    ) -> ComposeTransforms:
        """Section 4.1 in place of nnU-Net's augmentation: rotation, shift, scale, flips."""
        masked = [index for index, masked in enumerate(use_mask_for_norm or ()) if masked]
        augmentation = ComposeTransforms(
            [
                InPlaneAffine(patch_size),
                MirrorTransform(mirror_axes),
                MaskImageTransform(masked),
                RemoveLabelTansform(-1, 0),
            ]
        )
        return with_targets(augmentation, cls._pack_targets(), has_dwi=cls.uses_dwi)

    def get_tr_and_val_datasets(self):
        """The data sets of every trainer. In 3-D, an epoch is one pass over the scans."""
        train, val = super().get_tr_and_val_datasets()
        if self.n_dimensions == 3:
            self._set_epoch_length(len(train.identifiers), len(val.identifiers), "scans")
        return train, val

    def on_train_start(self) -> None:
        """Loads the backbone's weights if the training starts anew, then starts as nnU-Net does."""
        if not self.was_initialized:
            self.initialize()
        if self.segmenter is None:
            self._start_from_pretrained()
        super().on_train_start()

    def _start_from_pretrained(self) -> None:
        folder = Path(self.output_folder)
        if self.current_epoch > 0:
            check_record(folder, self.pretrained)
            return
        if self.pretrained is None:
            self.print_to_log_file("random weights in the backbone")
        else:
            scratch = type(self).__name__.replace("_Pretrained", "_").removesuffix("_")
            unset = f"train {scratch}, which starts from random weights"
            path = load_backbone(self.unwrapped_network, self.pretrained, unset=unset)
            self.print_to_log_file(f"weights of the backbone from {path}")
        if self.local_rank == 0:
            write_record(folder, self.pretrained)


class Abulnaga2018Trainer_CE(Abulnaga2018Trainer):
    """Fig. 3, PSPNet from random weights with cross entropy."""

    gamma = 0.0


class Abulnaga2018Trainer_Pretrained(Abulnaga2018Trainer):
    """Fig. 3 and Table 1, the paper's system: PSPNet from learned weights with focal loss.

    The new layers learn first, at 1e-2 and with the backbone frozen, then all layers at 1e-4. The
    weights are those that ``strokesynth_pretrained`` names, or torchvision's in PyTorch's local
    cache; nothing is downloaded.
    """

    starts_pretrained = True
    stages = (NEW_LAYERS, ALL_LAYERS)


class Abulnaga2018Trainer_PretrainedCE(Abulnaga2018Trainer_Pretrained):
    """Fig. 3 and Table 1, PSPNet from learned weights with cross entropy."""

    gamma = 0.0


class _WeightedCrossEntropy(Abulnaga2018Trainer):
    """The weighted cross entropy of Eq. 4.

    Departure: the paper's w is the share of lesion in the training set, which in Eq. 4 would make
    lesions count for next to nothing. Ours is 1 minus that share, so that lesion and background
    weigh the same in total.

    Attributes:
        weight_as_printed: whether w is the lesion's share.
    """

    weight_as_printed = False

    def _build_loss(self) -> nn.Module:
        case_ids, _ = self.do_split()
        dataset = self.dataset_class(self.preprocessed_dataset_folder, case_ids)
        share = lesion_fraction(dataset.load_case(case_id)[1][:] for case_id in case_ids)
        if not 0 < share < 1:
            raise ValueError(
                f"{type(self).__name__} weighs lesion against background, but {share:.0%} of the "
                f"voxels in the {len(case_ids)} training scans of fold {self.fold} are lesion. "
                "Check the labels and splits_final.json."
            )
        weight = share if self.weight_as_printed else 1 - share
        self.print_to_log_file(f"{share:.5f} of the training voxels are lesion: w = {weight}")
        return BalancedCrossEntropy(weight)


class Abulnaga2018Trainer_WCE(_WeightedCrossEntropy):
    """PSPNet from random weights with the weighted cross entropy, w = 1 - share of lesion."""


class Abulnaga2018Trainer_PretrainedWCE(_WeightedCrossEntropy, Abulnaga2018Trainer_Pretrained):
    """PSPNet from learned weights with the weighted cross entropy, w = 1 - share of lesion."""


class Abulnaga2018Trainer_PretrainedWCEPrinted(Abulnaga2018Trainer_PretrainedWCE):
    """PSPNet from learned weights with Eq. 4 as printed, w = the share of lesion."""

    weight_as_printed = True


class Abulnaga2018Trainer_UNet2D(Abulnaga2018Trainer):
    """Fig. 3, 2-D U-Net with focal loss."""

    base_features = 64
    side_multiple = 16
    stages = (SEGMENTATION,)
    segmenter = UNet


class Abulnaga2018Trainer_UNet2DCE(Abulnaga2018Trainer_UNet2D):
    """Fig. 3, 2-D U-Net with cross entropy."""

    gamma = 0.0


class Abulnaga2018Trainer_UNet3D(Abulnaga2018Trainer):
    """Fig. 3, 3-D U-Net with focal loss; nnU-Net's configuration 3d_fullres.

    Departure: one patch of nnU-Net's size in a batch, where the paper takes a whole scan.
    """

    configuration = "3d_fullres"
    n_dimensions = 3
    paper_batch_size = 1
    one_pass_epochs = False
    base_features = 64
    side_multiple = 16
    stages = (SEGMENTATION,)
    segmenter = UNet3d


class Abulnaga2018Trainer_UNet3DCE(Abulnaga2018Trainer_UNet3D):
    """Fig. 3, 3-D U-Net with cross entropy; nnU-Net's configuration 3d_fullres."""

    gamma = 0.0


class Abulnaga2018Trainer_VNet(Abulnaga2018Trainer):
    """Fig. 3, V-Net with focal loss; nnU-Net's configuration 3d_fullres."""

    configuration = "3d_fullres"
    n_dimensions = 3
    paper_batch_size = 1
    one_pass_epochs = False
    base_features = 16
    side_multiple = 16
    stages = (SEGMENTATION,)
    segmenter = VNet


class Abulnaga2018Trainer_VNetCE(Abulnaga2018Trainer_VNet):
    """Fig. 3, V-Net with cross entropy; nnU-Net's configuration 3d_fullres."""

    gamma = 0.0
