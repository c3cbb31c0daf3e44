"""A mixin: from which probability on a voxel is lesion is found on validation scans.

The threshold is kept in the weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial

import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from torch import nn

from nnunetv2_strokesynth.io.progress import progress
from nnunetv2_strokesynth.trainers.nnunet_host import NNUNetHost

# Added to the lesion's logit: -1.5 asks for a probability of 0.82, 5 for one of 0.007.
SHIFTS = np.arange(-1.5, 5.01, 0.25)
TOLERANCE = 0.01  # of Dice: a smaller gain is no reason to go further from one half


def dice_by_shift(margin: np.ndarray, lesion: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Dice of the voxels with ``margin + shift > 0``, for every shift.

    Args:
        margin: logit of the lesion minus that of the background, any shape.
        lesion: bool, the same shape.
        shifts: (S,).

    Returns:
        (S,); 1 where neither the scan nor the prediction has a lesion.
    """
    inside, everywhere = np.sort(margin[lesion]), np.sort(margin, axis=None)
    overlap = inside.size - np.searchsorted(inside, -shifts, side="right")
    predicted = everywhere.size - np.searchsorted(everywhere, -shifts, side="right")
    total = predicted + inside.size
    return np.where(total > 0, 2 * overlap / np.maximum(total, 1), 1.0)


def best_shift(dice: np.ndarray, shifts: np.ndarray, tolerance: float = TOLERANCE) -> float:
    """The smallest shift whose mean Dice is within the tolerance of the best.

    Args:
        dice: (scans, S).
        shifts: (S,), 0 among them.
        tolerance: of the mean Dice. On few scans, the last bit of Dice is mostly chance, and it
            costs distance: doubtful spots far away come in.
    """
    mean = dice.mean(axis=0)
    good = shifts[mean >= mean.max() - tolerance]
    return float(good[np.abs(good).argmin()])


class ThresholdCalibration(NNUNetHost):
    """Mixin: after training, the network is calibrated to the threshold with the best Dice.

    nnU-Net takes the class with the highest logit, so a voxel is lesion from a probability of one
    half on. That minimises the error rate. The best Dice needs a lower threshold, about half of the
    Dice that can be reached. Besides, a network trained on few scans gives lesions in new scans too
    low a probability. So one number is added to the bias of the lesion's last layer after training
    (of every kind of lesion, where there are several): the one with the best mean Dice over the
    fold's validation scans, lesions of all kinds together. It is part of the weights, so
    prediction and ensembles need not know of it. The Dice of those validation scans is flattered a
    little. The mixin stands to the left of the trainer's base.
    """

    def on_train_end(self) -> None:
        """Calibrates, then ends as nnU-Net does, which writes ``checkpoint_final.pth``."""
        self._calibrate_threshold()
        super().on_train_end()

    def _last_layer(self) -> nn.Module:
        """The layer whose output is the logits, of a U-Net or of the segmenter among several."""
        network = self.unwrapped_network
        return getattr(network, "segmenter", network).decoder.seg_layers[-1]

    def _calibrate_threshold(self) -> None:
        training, validation = self.do_split()
        if set(training) & set(validation) or not validation:
            self.print_to_log_file(
                "threshold calibration: the fold has no validation scans of its own, "
                "the threshold stays at 0.5"
            )
            return
        shift = self._on_first_rank(partial(self._found_shift, validation))
        with torch.no_grad():
            self._last_layer().bias[1:] += shift

    def _found_shift(self, validation: list[str]) -> float:
        dice = np.stack([*self._validation_dice(validation)])
        shift = best_shift(dice, SHIFTS)
        chosen, as_trained = (dice[:, s == SHIFTS].mean() for s in (shift, 0.0))
        self.print_to_log_file(
            "threshold calibration: lesion from a probability of "
            f"{1 / (1 + math.exp(shift)):.2f} on "
            f"(Dice of {len(validation)} validation scans {as_trained:.3f} -> {chosen:.3f})"
        )
        return shift

    def _validation_dice(self, case_ids: list[str]) -> Iterable[np.ndarray]:
        """``dice_by_shift`` of every scan, predicted and measured as preprocessed."""
        self.set_deep_supervision_enabled(False)
        self.network.eval()
        predictor = nnUNetPredictor(device=self.device, verbose=False, allow_tqdm=False)
        predictor.manual_initialization(
            self.unwrapped_network,
            self.plans_manager,
            self.configuration_manager,
            None,
            self.dataset_json,
            type(self).__name__,
            self.inference_allowed_mirroring_axes,
        )
        scans = self.dataset_class(self.preprocessed_dataset_folder, case_ids)
        for case_id in progress(scans.identifiers, desc="threshold calibration", unit="scan"):
            image, labels, *_ = scans.load_case(case_id)
            logits = predictor.predict_sliding_window_return_logits(torch.from_numpy(image[:]))
            margin = (logits[1:].amax(dim=0) - logits[0]).float().cpu().numpy()
            label = labels[:][0]
            counted = label != self.label_manager.ignore_label  # all, where there is no such label
            yield dice_by_shift(margin[counted], label[counted] > 0, SHIFTS)
        self.set_deep_supervision_enabled(True)
