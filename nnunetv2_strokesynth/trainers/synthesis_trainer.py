"""``SynthesisTrainer``: what trainers share whose network learns to synthesise the DWI.

The network returns ``(logits, pseudo_dwi, feature)`` in training and the loader returns ``[labels,
dwi, weight]``. ``stroke_trainer.py`` says how these lists fit into nnU-Net.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from nnunetv2_strokesynth.dataloading.paired_dataset import PairedDataset
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
from nnunetv2_strokesynth.trainers.stroke_trainer import StrokeTrainer


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
    """

    uses_dwi = True
    alpha: float
    beta: float
    gamma: float
    foreground_weight: float
    decay_px: float

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
        )

    @classmethod
    def _weight_map(cls) -> Callable[[np.ndarray], np.ndarray]:
        """Hook: lesion mask (Y, X) -> weights (Y, X) of the pixels in the loss."""
        return partial(lesion_weight_map, w=cls.foreground_weight, decay_px=cls.decay_px)

    @classmethod
    def _pack_targets(cls) -> PackTargets:
        return PackTargets(cls._weight_map())

    def _prepared(self, train, val):
        """Each case with its DWI. ``ValueError`` if no training case of this fold has one."""
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
            )
        )
