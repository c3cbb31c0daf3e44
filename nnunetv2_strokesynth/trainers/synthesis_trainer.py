"""``SynthesisTrainer``: what trainers share whose network learns to synthesise the DWI.

The network returns ``(logits, pseudo_dwi, feature)`` in training and the loader returns ``[labels,
dwi, weight]``. ``stroke_trainer.py`` says how these lists fit into nnU-Net.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nnunetv2_strokesynth.channels import PERFUSION_MAPS
from nnunetv2_strokesynth.dataloading.paired_dataset import PairedDataset
from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import (
    REAL_DWI,
    PseudoDwiRecord,
    with_record,
)
from nnunetv2_strokesynth.dataloading.raw_cases import raw_cases
from nnunetv2_strokesynth.dataloading.targets import (
    TARGETS_RAW_FOLDER,
    prepare_targets,
    targets_folder,
)
from nnunetv2_strokesynth.dataloading.transforms import PackTargets
from nnunetv2_strokesynth.losses.joint import JointLoss
from nnunetv2_strokesynth.losses.lesion_weight_map import lesion_weight_map
from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.trainers.nnunet_host import not_compiled
from nnunetv2_strokesynth.trainers.separate_brakes import (
    GRADIENT_NORM,
    RatedSchedule,
    learning_parts,
    split_by_rate,
    training_step,
)
from nnunetv2_strokesynth.trainers.stroke_trainer import StrokeTrainer

SEGMENTER = "segmenter"  # the network's part that makes the logits


class SynthesisTrainer(StrokeTrainer):
    """The base of ``StrokeSynthTrainer`` and of the trainers of Wang et al. and Song & Huang.

    A training case may have a DWI in ``targetsTr/``. A case without one contributes L_s only.
    Subclasses set the attributes: a default here would be shared by our recipe and the papers'.

    Attributes:
        uses_dwi: False where the segmentation is trained alone, on data without a DWI.
        alpha: weight of the pseudo-DWI's loss, Eq. 15 of Wang et al. 2020.
        beta: weight of the extracted feature's loss, Eq. 15.
        gamma: weight of the contextual term, Eq. 6.
        foreground_weight: w of Eq. 9.
        decay_px: D of Eq. 9, in pixels of the patch.
        lesion_factor: factor on the weights of Eq. 9 inside the lesion, in L_g only.
        dwi_scale: the scale of the target, one of ``dwi_scaling.SCALES``.
        segmentation_gradient: how much of the gradient of L_s reaches generator and extractor: 1
            end to end, 0 none, between a share of it.
        synthesis_warmup: share of the epochs at the beginning in which none of it does.
        synthesis_rate: factor on the learning rate of all networks but the segmenter. Their brake
            is as much shorter, so that their longest step stays the same.
        learned_from: what the generator learns from, as ``pseudo_dwi_record`` calls it.
        gradient_norm: the gradient of each network is clipped at this norm (``separate_brakes``).
    """

    uses_dwi = True
    alpha: float
    beta: float
    gamma: float
    foreground_weight: float
    decay_px: float
    lesion_factor = 1.0
    dwi_scale: str
    segmentation_gradient: float
    synthesis_warmup: float
    synthesis_rate: float
    gradient_norm = GRADIENT_NORM
    learned_from = REAL_DWI

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net inspects this signature)
    ):
        record = PseudoDwiRecord.now(self.dwi_scale, self.learned_from)
        plans = with_record(plans, configuration, record)
        super().__init__(plans, configuration, fold, dataset_json, device)

    def configure_optimizers(self):
        """The optimiser and schedule of the base; the synthesis may learn at a rate of its own."""
        optimizer, schedule = super().configure_optimizers()
        network = not_compiled(self.network)  # DDP wraps it later
        rates = {name: self._rate(name) for name, _ in network.named_children()}
        if split_by_rate(optimizer, network, rates):
            return optimizer, RatedSchedule(schedule, optimizer)
        return optimizer, schedule

    def _rate(self, part: str) -> float:
        return 1.0 if part == SEGMENTER else self.synthesis_rate

    def on_train_epoch_start(self) -> None:
        """Sets how much of the gradient of L_s reaches the synthesis in this epoch."""
        super().on_train_epoch_start()
        if hasattr(self.unwrapped_network, "segmentation_gradient"):
            self.unwrapped_network.segmentation_gradient = self._segmentation_gradient()

    def _segmentation_gradient(self) -> float:
        warming_up = self.current_epoch < self.synthesis_warmup * self.num_epochs
        return 0.0 if warming_up else self.segmentation_gradient

    def train_step(self, batch: dict) -> dict:
        """A step with a brake for each network; nnU-Net's where there is only one."""
        parts = learning_parts(self.unwrapped_network)
        if len(parts) < 2:
            return super().train_step(batch)
        norms = {name: self.gradient_norm / self._rate(name) for name in parts}
        outputs = training_step(self, batch, parts, norms)
        self._train_terms.add(self.loss.terms)
        return outputs

    def _build_loss(self) -> nn.Module:
        segmentation = self._segmentation_loss()
        return self._joint_loss(segmentation) if self.uses_dwi else segmentation

    def _segmentation_loss(self) -> SegmentationLoss:
        """Hook: L_s."""
        return SegmentationLoss()

    def _joint_loss(self, segmentation: SegmentationLoss) -> nn.Module:
        """Hook: L_s and the losses of the synthesis."""
        return JointLoss(
            self.unwrapped_network.context_encoder,
            alpha=self.alpha,
            beta=self.beta,
            gamma=self.gamma,
            segmentation=segmentation,
            lesion_factor=self.lesion_factor,
            **self._context_options(),
        )

    def _context_options(self) -> dict[str, Any]:
        """Hook: options of ``JointLoss`` that keep the contextual term alive."""
        return {}

    @classmethod
    def _weight_map(cls) -> Callable[[np.ndarray], np.ndarray]:
        """Hook: lesion mask (Y, X) -> weights (Y, X) of the pixels in the loss."""
        return partial(lesion_weight_map, w=cls.foreground_weight, decay_px=cls.decay_px)

    @classmethod
    def _pack_targets(cls) -> PackTargets:
        return PackTargets(cls._weight_map())

    def _prepared(self, train, val):
        """Each case with its DWI."""
        if not self.uses_dwi:
            return train, val
        cases = [
            *train.identifiers,
            *(key for key in val.identifiers if key not in train.identifiers),
        ]
        with_dwi = self._prepare_targets(cases)
        n_train = sum(case_id in with_dwi for case_id in train.identifiers)
        if n_train == 0:
            self._without_any_dwi(len(train.identifiers))
        self.print_to_log_file(f"{n_train} of {len(train.identifiers)} training cases have a DWI")
        folder = targets_folder(self.preprocessed_dataset_folder, self.dwi_scale)
        return PairedDataset(train, folder, with_dwi), PairedDataset(val, folder, with_dwi)

    def _without_any_dwi(self, n_cases: int) -> None:
        """Hook: no training case of the fold has a DWI.

        Raises:
            ValueError: a trainer of a paper cannot be trained then.
        """
        raise ValueError(
            f"{type(self).__name__} learns to synthesise the DWI, but none of the "
            f"{n_cases} training cases of fold {self.fold} has one in "
            f"{self._raw_targets_folder() or TARGETS_RAW_FOLDER}. Put DWI volumes there "
            f"(named like the labels) or train StrokeSynthTrainer_NoDWI, which needs none."
        )

    def _raw_targets_folder(self) -> Path | None:
        """``targetsTr`` of the raw data set, or None where the raw data are not at hand.

        Where they are, an absent folder means that no case has a DWI any more.
        """
        raw_folder = self._raw_folder()
        folder = None if raw_folder is None else raw_folder / TARGETS_RAW_FOLDER
        if folder is None or folder.is_dir():
            return folder
        return None if raw_cases(raw_folder, self.dataset_json) is None else folder

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
                scale=self.dwi_scale,
                maps=self._raw_maps(),
            )
        )

    def _raw_maps(self) -> dict[str, list[str]]:
        """Case -> the raw files of its perfusion maps; empty where there are none."""
        found = raw_cases(self._raw_folder(), self.dataset_json)
        if found is None:
            return {}
        return self._maps_among({case_id: own.images for case_id, own in found.complete.items()})

    def _maps_among(self, images: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Case -> the files of its perfusion maps among those of all channels."""
        names = self.dataset_json["channel_names"]
        wanted = [int(number) for number, name in names.items() if name in PERFUSION_MAPS]
        return {case_id: [own[channel] for channel in wanted] for case_id, own in images.items()}
