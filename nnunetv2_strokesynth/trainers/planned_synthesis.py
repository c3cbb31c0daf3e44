"""``PlannedSynthesisTrainer``: extractor, generator and segmenter as nnU-Net plans them."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.dataloading.dwi_scaling import BRAIN
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import NOTHING, PLANS_KEY
from nnunetv2_strokesynth.dataloading.targets import TARGETS_RAW_FOLDER
from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder
from nnunetv2_strokesynth.networks.strokesynth_net import (
    PAPERS_GENERATOR_INPUTS,
    PSEUDO_DWI,
    planned_networks,
)
from nnunetv2_strokesynth.trainers.earlier_checkpoint import SYNTHESIS_KEY
from nnunetv2_strokesynth.trainers.separate_brakes import RatedSchedule
from nnunetv2_strokesynth.trainers.synthesis_trainer import SynthesisTrainer


class ContextKind(NamedTuple):
    """How the context encoder of the contextual term is trained.

    Attributes:
        learns: False keeps its random weights.
        rectify_last: see ``ContextEncoder``.
        spread_weight, relative: see ``JointLoss``.
    """

    learns: bool
    rectify_last: bool
    spread_weight: float
    relative: bool


# "paper": trained with everything else, by which it becomes a constant within an epoch. "frozen":
# random weights, and distances in units of the spread between DWIs, which is small. "spread":
# trained, and its vectors kept apart by ``context_collapse``.
CONTEXT_ENCODERS = {
    "paper": ContextKind(learns=True, rectify_last=True, spread_weight=0.0, relative=False),
    "frozen": ContextKind(learns=False, rectify_last=True, spread_weight=0.0, relative=True),
    "spread": ContextKind(learns=True, rectify_last=False, spread_weight=1.0, relative=False),
}


class NetworkParts(NamedTuple):
    """What may differ between versions: see the trainer's attributes of the same names."""

    segmenter_norm: type[nn.Module] | None
    synthesis_norm: type[nn.Module] | None
    generator_inputs: tuple[str, ...]


class PlannedSynthesisTrainer(SynthesisTrainer):
    """Wang et al. 2020 with topology and recipe from nnU-Net's plans.

    Extractor, generator and segmenter take features, strides and kernel sizes from the plans. The
    segmenter has squeeze-and-excitation. The loss is the paper's (Eq. 15). The target is scaled by
    the brain. The gradient of L_s does not reach generator and extractor, which learn the DWI alone
    and at a rate of their own. Without any DWI among the training cases, the three networks learn
    by L_s alone.

    Attributes:
        segmenter_inputs: names of channels; ``PSEUDO_DWI`` last is the generator's output.
        generator_inputs: names of channels that the generator sees beside the extractor's feature.
        segmenter_norm, synthesis_norm: normalisation classes; None takes the plans'.
        synthesis_width: factor on the plans' features in the generator; the extractor has half.
        context_encoder: a key of ``CONTEXT_ENCODERS``.
    """

    knows_ignore_label = True
    _has_no_dwi = False  # known when the cases are loaded
    preset = "wang2020"
    dwi_scale = BRAIN
    segmenter_inputs: tuple[str, ...] = (*PRESETS["wang2020"].names, PSEUDO_DWI)
    generator_inputs: tuple[str, ...] = PAPERS_GENERATOR_INPUTS
    segmenter_norm: type[nn.Module] | None = None
    synthesis_norm: type[nn.Module] | None = None
    synthesis_width = 0.5
    segmentation_gradient = 0.0
    synthesis_warmup = 0.0
    # At nnU-Net's rate, made for cross entropy and Dice, the pseudo-DWI shows no anatomy.
    synthesis_rate = 30.0
    context_encoder = "paper"
    alpha = 1.0
    beta = 1.0
    gamma = 1.2
    foreground_weight = 1.5
    decay_px = 50.0

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net inspects this signature)
    ):
        if PSEUDO_DWI in self.segmenter_inputs:
            plans = copy.deepcopy(plans)
            norm = "plans" if self.synthesis_norm is None else self.synthesis_norm.__name__
            synthesis = {"norm": norm, "generator_inputs": list(self.generator_inputs)}
            plans["configurations"][configuration][SYNTHESIS_KEY] = synthesis
        super().__init__(plans, configuration, fold, dataset_json, device)

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
            ValueError: the configuration is 3-D, or the number of channels is not the preset's.
        """
        cls._check_inputs(configuration_manager, num_input_channels)
        parts = cls._parts(configuration_manager.configuration)
        return planned_networks(
            configuration_manager.configuration["architecture"],
            cls.preset,
            num_output_channels,
            segmenter_inputs=cls.segmenter_inputs,
            generator_inputs=parts.generator_inputs,
            synthesis_width=cls.synthesis_width,
            synthesis_norm=parts.synthesis_norm,
            segmenter_norm=parts.segmenter_norm,
            segmentation_gradient=cls.segmentation_gradient,
            with_context_encoder=cls.uses_dwi,
            make_context_encoder=cls._context_encoder,
            return_heads=enable_deep_supervision,
        )

    @classmethod
    def _parts(cls, configuration: dict) -> NetworkParts:
        """Hook: what the networks of a model are made of, for its configuration in the plans."""
        del configuration
        return NetworkParts(cls.segmenter_norm, cls.synthesis_norm, cls.generator_inputs)

    @classmethod
    def _context_encoder(cls) -> ContextEncoder:
        kind = CONTEXT_ENCODERS[cls.context_encoder]
        return ContextEncoder(rectify_last=kind.rectify_last).requires_grad_(kind.learns)

    def _context_options(self) -> dict[str, Any]:
        kind = CONTEXT_ENCODERS[self.context_encoder]
        return {"spread_weight": kind.spread_weight, "relative_context": kind.relative}

    def _without_any_dwi(self, n_cases: int) -> None:
        """Trains the three networks by L_s alone, end to end, after a warning of three lines.

        The model's plans keep that it has learned no DWI. Extractor and generator then learn at the
        segmenter's rate: theirs is made for the losses of the synthesis.
        """
        folder = self._raw_targets_folder() or TARGETS_RAW_FOLDER
        for line in (
            f"none of the {n_cases} training cases of fold {self.fold} has a DWI: the three "
            "networks learn by L_s alone, and what the generator makes is no pseudo-DWI",
            "StrokeSynthTrainer_NoDWI trains the segmenter alone, on all channels, in less time",
            "StrokeSynthTrainer_FineTune with -pretrained_weights starts from a model that learned "
            f"from DWIs, as of ISLES 2024; or put DWIs, named like the labels, into {folder}: "
            "`strokesynth outline` makes use of scans with a DWI and no outline, too",
        ):
            self.print_to_log_file(f"WARNING: {line}")
        self._has_no_dwi = True
        if isinstance(self.lr_scheduler, RatedSchedule):
            self.lr_scheduler.all_alike()
        own = self.plans_manager.plans["configurations"][self.configuration_name]
        own[PLANS_KEY]["learned"] = NOTHING

    def _rate(self, part: str) -> float:
        return 1.0 if self._has_no_dwi else super()._rate(part)

    def _segmentation_gradient(self) -> float:
        return 1.0 if self._has_no_dwi else super()._segmentation_gradient()
