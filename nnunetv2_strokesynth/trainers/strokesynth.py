"""``StrokeSynthTrainer``: extractor, generator and segmenter trained end to end inside nnU-Net.

The network returns ``(logits, pseudo_dwi, feature)`` while it trains, the loader returns ``[labels,
dwi, weight]``; ``stroke_trainer.py`` says how that fits into nnU-Net.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.paired_dataset import PairedDataset
from nnunetv2_strokesynth.dataloading.targets import (
    TARGETS_RAW_FOLDER,
    prepare_targets,
    targets_folder,
)
from nnunetv2_strokesynth.dataloading.transforms import (
    PackTargets,
    blurred_lesion,
)
from nnunetv2_strokesynth.losses.joint import JointLoss
from nnunetv2_strokesynth.losses.lesion_weight_map import lesion_weight_map
from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.networks.strokesynth_net import (
    PSEUDO_DWI,
    planned_networks,
)
from nnunetv2_strokesynth.trainers.environment import apply_overrides
from nnunetv2_strokesynth.trainers.fixed_intensities import PhysicalUnits
from nnunetv2_strokesynth.trainers.limited_rotation import UprightHeads
from nnunetv2_strokesynth.trainers.stroke_trainer import StrokeTrainer


class StrokeSynthTrainer(StrokeTrainer):
    """Wang et al. 2020 with topology and recipe from nnU-Net's plans, and what data asked for.

    Extractor, generator and segmenter take features, strides and kernel sizes from the plans; the
    segmenter has squeeze-and-excitation. The loss is the paper's (Eq. 15). Every training case may
    have a DWI in ``targetsTr/``; one without contributes L_s only.

    What differs from the paper, each point measured in ``docs/results-phantom.md``: the segmenter
    sees all channels beside the pseudo-DWI; L_s stays out of generator and extractor, which learn
    the DWI alone; the generator is half as wide as the plans say, the extractor a quarter; HU and
    seconds are not z-scored; batch norm in place of switchable norm; heads stay upright in
    augmentation; the decision serves Dice.
    """

    preset = "wang2020"
    uses_dwi = True
    physical_units = PhysicalUnits.physical_units
    upright_deg = UprightHeads.upright_deg
    moves_decision = True
    segmenter_inputs: tuple[str, ...] = (*PRESETS["wang2020"].names, PSEUDO_DWI)
    # Instance norm, the plans', takes away how bright or late a slice is on the whole.
    segmenter_norm: type[nn.Module] | None = nn.BatchNorm2d
    synthesis_norm: type[nn.Module] | None = nn.BatchNorm2d
    synthesis_width = 0.5
    end_to_end = False
    # Weights of L_g(I_g, I_d) and L_g(F_h, I_d), Eq. 15; the paper's are 1. The segmenter gets no
    # gradient of them, so they are the learning rate of generator and extractor: nnU-Net's, made
    # for cross-entropy and Dice, leaves the pseudo-DWI without anatomy.
    alpha = 30.0
    beta = 30.0
    gamma = 1.2  # weight of the contextual term, Eq. 6
    foreground_weight = 1.5  # w of Eq. 9
    decay_px = 50.0  # D of Eq. 9
    surrogate_sigma_px: float | None = None  # of a blurred lesion that stands in for the DWI

    @classmethod
    def build_network_architecture(
        cls,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        num_input_channels: int,
        num_output_channels: int,
        enable_deep_supervision: bool = True,
    ) -> nn.Module:
        """The three networks and the context encoder.

        Args:
            enable_deep_supervision: True in training: the network then returns the tuple of heads.

        Raises:
            ValueError: a 3-D configuration, or another number of channels than the preset's.
        """
        cls._check_inputs(configuration_manager, num_input_channels)
        return planned_networks(
            configuration_manager.configuration["architecture"],
            cls.preset,
            num_output_channels,
            segmenter_inputs=cls.segmenter_inputs,
            synthesis_width=cls.synthesis_width,
            synthesis_norm=cls.synthesis_norm,
            segmenter_norm=cls.segmenter_norm,
            end_to_end=cls.end_to_end,
            with_context_encoder=cls.uses_dwi,
            return_heads=enable_deep_supervision,
        )

    def _build_loss(self) -> nn.Module:
        if not self.uses_dwi and self.surrogate_sigma_px is None:
            return SegmentationLoss()
        return JointLoss(
            self.unwrapped_network.context_encoder,
            alpha=self.alpha,
            beta=self.beta,
            gamma=self.gamma,
        )

    @classmethod
    def _pack_targets(cls) -> PackTargets:
        sigma_px = cls.surrogate_sigma_px
        return PackTargets(
            partial(lesion_weight_map, w=cls.foreground_weight, decay_px=cls.decay_px),
            None if sigma_px is None else partial(blurred_lesion, sigma_px=sigma_px),
        )

    def _last_layer(self) -> nn.Module:
        return self.unwrapped_network.segmenter.decoder.seg_layers[-1]

    def _prepared(self, train, val):
        """Each case with its DWI; ``ValueError`` if no training case of this fold has one."""
        if not self.uses_dwi:
            return train, val
        cases = [
            *train.identifiers,
            *(key for key in val.identifiers if key not in train.identifiers),
        ]
        with_dwi = self._prepare_targets(cases)
        n_train = sum(case_id in with_dwi for case_id in train.identifiers)
        if n_train == 0:
            raise ValueError(
                f"{type(self).__name__} learns to synthesise the DWI, but none of the "
                f"{len(train.identifiers)} training cases of fold {self.fold} has one in "
                f"{self._raw_targets_folder() or TARGETS_RAW_FOLDER}. Put DWI volumes there "
                f"(named like the labels) or train StrokeSynthTrainer_NoDWI, which needs none."
            )
        self.print_to_log_file(f"{n_train} of {len(train.identifiers)} training cases have a DWI")
        folder = targets_folder(self.preprocessed_dataset_folder)
        return PairedDataset(train, folder, with_dwi), PairedDataset(val, folder, with_dwi)

    def _raw_targets_folder(self) -> Path | None:
        raw_folder = self._raw_folder()
        folder = None if raw_folder is None else raw_folder / TARGETS_RAW_FOLDER
        return folder if folder is not None and folder.is_dir() else None

    def _prepare_targets(self, case_ids: list[str]) -> list[str]:
        return self._on_first_rank(
            partial(
                prepare_targets,
                self._raw_targets_folder(),
                Path(self.preprocessed_dataset_folder),
                case_ids,
                self.plans_manager,
                self.configuration_manager,
                self.dataset_json["file_ending"],
            )
        )


class StrokeSynthTrainer_NoDWI(StrokeSynthTrainer):
    """The segmenter alone, trained by L_s: for data without a DWI.

    Without a DWI, extractor and generator are further layers that learn from the same few lesions:
    on the phantom they cost time and gained nothing.
    """

    uses_dwi = False
    segmenter_inputs = PRESETS["wang2020"].names


class StrokeSynthTrainer_FineTune(StrokeSynthTrainer):
    """The three networks with L_s alone and a tenth of nnU-Net's rate: ``-pretrained_weights``.

    The weights come from ``StrokeSynthTrainer`` on a data set that has DWIs. nnU-Net's own rate,
    0.01, is meant for random weights and would undo much of them.
    """

    uses_dwi = False
    end_to_end = True
    learning_rate = 0.001


class StrokeSynthTrainer_Surrogate(StrokeSynthTrainer):
    """The three networks; the generator learns a blurred lesion where there is no DWI.

    The extractor and the generator get a gradient (L_g without the contextual term) although the
    data have no DWI. What ``strokesynth synthesize`` writes is then a map of the lesion and no
    image of the brain.
    """

    uses_dwi = False
    surrogate_sigma_px = 2.0


class StrokeSynthTrainer_Stock(nnUNetTrainer):
    """nnU-Net's own trainer on all channels, nothing changed: for comparisons of equal length.

    It differs from ``nnUNetTrainer`` in one point: it honours ``strokesynth_num_epochs`` and the
    other two variables of that kind.
    """

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net inspects this signature)
    ):
        super().__init__(plans, configuration, fold, dataset_json, device)
        apply_overrides(self)
