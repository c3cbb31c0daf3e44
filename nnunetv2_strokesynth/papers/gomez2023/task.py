"""What the network's heads predict: lesion against background, or with the lesion's boundary."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from nnunetv2_strokesynth.papers.gomez2023.lesion_classes import boundary_classes, lesion_classes
from nnunetv2_strokesynth.papers.gomez2023.loss import sigmoid_focal_loss, softmax_cross_entropy
from nnunetv2_strokesynth.papers.gomez2023.supervised_segmenter import from_one_map, merge_boundary


class Task(NamedTuple):
    """What a head predicts.

    Attributes:
        n_maps: maps of each head.
        class_map: bool (Y, X) -> float32 (Y, X), the classes that a head is compared with.
        pixel_loss: logits (B, n_maps, Y, X), classes (B, Y, X) -> (B, Y, X).
        two_class_logits: (B, n_maps, Y, X) -> (B, 2, Y, X).
    """

    n_maps: int
    class_map: Callable[[np.ndarray], np.ndarray]
    pixel_loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    two_class_logits: Callable[[torch.Tensor], torch.Tensor]


BINARY = Task(1, lesion_classes, sigmoid_focal_loss, from_one_map)
WITH_BOUNDARY = Task(3, boundary_classes, softmax_cross_entropy, merge_boundary)
