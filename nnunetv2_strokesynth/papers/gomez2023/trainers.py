"""``Gomez2023Trainer``: Gomez 2023's cross-attention U-Net on CT and MRI, and its ablations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn
from torch.optim import Optimizer

from nnunetv2_strokesynth.channels import PERFUSION_MAPS, PRESETS, check_subset
from nnunetv2_strokesynth.dataloading.transforms import PackTargets, with_targets
from nnunetv2_strokesynth.papers.gomez2023.augmentation import gomez2023_augmentation
from nnunetv2_strokesynth.papers.gomez2023.cross_attention_unet import CrossAttentionUNet
from nnunetv2_strokesynth.papers.gomez2023.loss import HEAD_WEIGHTS, Gomez2023Loss
from nnunetv2_strokesynth.papers.gomez2023.supervised_segmenter import SupervisedSegmenter
from nnunetv2_strokesynth.papers.gomez2023.task import BINARY, WITH_BOUNDARY
from nnunetv2_strokesynth.papers.gomez2023.warm_up_cosine import WarmUpCosineSchedule
from nnunetv2_strokesynth.papers.shared.paper_trainer import PaperTrainer
from nnunetv2_strokesynth.trainers.environment import BASE_FEATURES

_MAX_ROTATION = math.radians(7)
_WEIGHT_DECAY = 1e-5


class Gomez2023Trainer(PaperTrainer):
    """Gomez 2023, Table 2, U-Net + CW + DS + Att with the auxiliary class (CT, ISLES 2018).

    Reads CT, CBF, CBV, MTT and Tmax; AdamW with learning rate 0.005 and weight decay 1e-5, 600
    epochs of one pass over the slices, batches of 32, the weights of the last epoch.
    ``docs/reference/fidelity.md`` lists departures.

    Attributes:
        inputs: names of the channels that the network sees; None: every channel of the data set.
        task: what the heads predict.
        class_weights: of background, lesion and boundary; ones: without class weight maps.
        deep_supervision: six heads, or the finest one.
        attention: whether cross-attention refines the skips.
    """

    preset = "wang2020"
    one_lesion = True
    inputs: Sequence[str] | None = ("CT", *PERFUSION_MAPS)
    task = WITH_BOUNDARY
    class_weights: Sequence[float] = (0.7, 2.0, 7.0)
    deep_supervision = True
    attention = True
    base_features = 32
    paper_batch_size = 32
    side_multiple = 64
    learning_rate = 5e-3
    default_epochs = 600
    one_pass_epochs = True

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The network of the row, as wide as ``strokesynth_base_features`` in the plans says.

        Raises:
            ValueError: the configuration is 3-D, the number of channels is not the preset's, or the
                data set has other labels than background and lesion.
        """
        cls._check_inputs(configuration_manager, num_input_channels)
        cls._check_classes(num_output_channels)
        indices = None if cls.inputs is None else PRESETS[cls.preset].index(*cls.inputs)
        segmenter = CrossAttentionUNet(
            num_input_channels if indices is None else len(indices),
            cls.task.n_maps,
            configuration_manager.configuration[BASE_FEATURES],
            attention=cls.attention,
            deep_supervision=cls.deep_supervision,
        )
        return SupervisedSegmenter(
            segmenter,
            cls.task.two_class_logits,
            input_indices=indices,
            return_heads=enable_deep_supervision,
        )

    def _build_loss(self) -> nn.Module:
        head_weights = HEAD_WEIGHTS if self.deep_supervision else (1.0,)
        return Gomez2023Loss(self.task.pixel_loss, self.class_weights, head_weights)

    def configure_optimizers(self) -> tuple[Optimizer, WarmUpCosineSchedule]:
        """AdamW and the schedule of section 5.2."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self.initial_lr, weight_decay=_WEIGHT_DECAY
        )
        return optimizer, WarmUpCosineSchedule(optimizer, self.initial_lr, self.num_epochs)

    @classmethod
    def _pack_targets(cls) -> PackTargets:
        return PackTargets(cls.task.class_map)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self):
        """nnU-Net's mirroring, rotations of up to 7 degrees, and patches large enough for them.

        Departure: predictions are averaged over mirrored images, too, as by nnU-Net.
        """
        _, dummy_2d, _, mirror_axes = (
            super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        )
        rotation = (-_MAX_ROTATION, _MAX_ROTATION)
        no_scaling = (1.0, 1.0)
        initial_patch_size = get_patch_size(
            self.configuration_manager.patch_size, rotation, rotation, rotation, no_scaling
        )
        return rotation, dummy_2d, initial_patch_size, mirror_axes

    @classmethod
    def get_training_transforms(
        cls,
        patch_size: Sequence[int],
        rotation_for_DA: tuple[float, float],
        deep_supervision_scales: None,
        mirror_axes: tuple[int, ...],
        do_dummy_2d_data_aug: bool,
        use_mask_for_norm: Sequence[bool] | None = None,
        **_: object,
    ) -> ComposeTransforms:
        """The thesis's augmentation with the list of targets."""
        augmentation = gomez2023_augmentation(
            patch_size, rotation_for_DA, mirror_axes, use_mask_for_norm
        )
        return with_targets(augmentation, cls._pack_targets(), has_dwi=False)


class Gomez2023Trainer_UNetBinary(Gomez2023Trainer):
    """Table 2, U-Net, binary.

    Choice: the focal loss, as for MRI: the thesis speaks of cross entropy for the multiclass rows.
    """

    task = BINARY
    class_weights = (1.0, 1.0)
    deep_supervision = False
    attention = False


class Gomez2023Trainer_UNetAux(Gomez2023Trainer):
    """Table 2, U-Net, auxiliary class: plain cross entropy over three classes."""

    class_weights = (1.0, 1.0, 1.0)
    deep_supervision = False
    attention = False


class Gomez2023Trainer_CWDSBinary(Gomez2023Trainer):
    """Table 2, U-Net + CW + DS, binary. Choice: MRI's class weights, the only binary ones given."""

    task = BINARY
    class_weights = (0.3, 0.7)
    attention = False


class Gomez2023Trainer_CWDSAux(Gomez2023Trainer):
    """Table 2, U-Net + CW + DS, auxiliary class."""

    attention = False


class Gomez2023Trainer_AttBinary(Gomez2023Trainer):
    """Table 2, U-Net + CW + DS + Att, binary. Choice: MRI's class weights."""

    task = BINARY
    class_weights = (0.3, 0.7)


class Gomez2023Trainer_MRI(Gomez2023Trainer):
    """Table 1 and Fig. 8 and 9, U-Net + CW + DS + Att (MRI, ISLES 2017).

    Reads every channel that the data set has: ADC, rCBF, rCBV, MTT, TTP, Tmax or some of them, as
    ``strokesynth convert isles2017 --channels`` wrote them (best: ADC, TTP, Tmax). The trainers of
    ``mri_subsets.py`` read some maps of a data set that has all six.
    """

    preset = "isles2017"
    inputs = None
    task = BINARY
    class_weights = (0.3, 0.7)

    @classmethod
    def _check_inputs(cls, configuration: ConfigurationManager, num_input_channels: int) -> None:
        # Any number of the preset's channels is accepted; ``_check_channels`` checks their names.
        if cls.inputs is None:
            num_input_channels = len(PRESETS[cls.preset].names)
        super()._check_inputs(configuration, num_input_channels)

    @classmethod
    def _check_channels(cls, channel_names: dict[str, str]) -> None:
        if cls.inputs is not None:
            super()._check_channels(channel_names)
            return
        check_subset(channel_names, cls.preset, cls.__name__)


class Gomez2023Trainer_MRIUNet(Gomez2023Trainer_MRI):
    """Fig. 8 and 9, U-Net."""

    class_weights = (1.0, 1.0)
    deep_supervision = False
    attention = False


class Gomez2023Trainer_MRICW(Gomez2023Trainer_MRI):
    """Fig. 8 and 9, U-Net + CW."""

    deep_supervision = False
    attention = False


class Gomez2023Trainer_MRICWDS(Gomez2023Trainer_MRI):
    """Fig. 8 and 9, U-Net + CW + DS."""

    attention = False
