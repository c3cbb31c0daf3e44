"""Heads that make a trained network return images in place of logits.

nnU-Net's predictor then does the work (folds, sliding window, mirroring) without a change.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from torch import nn

from nnunetv2_strokesynth.networks.logit_range import within_half_precision
from nnunetv2_strokesynth.trainers.nnunet_host import not_compiled


class _Head(nn.Module):
    """A trained network that returns images in place of logits.

    Attributes:
        outputs: names of the images, keys of ``IMAGE_FOLDERS``, in the order of its channels.
    """

    outputs: tuple[str, ...]

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def load_state_dict(self, state_dict: dict, *args, **kwargs):
        """The wrapped network's: nnU-Net's predictor loads one fold after the other through it."""
        return self.network.load_state_dict(state_dict, *args, **kwargs)


class SynthesisHead(_Head):
    """A trained network seen as ``image (B, C, Y, X) -> pseudo-DWI and feature (B, 2, Y, X)``.

    A network without an extractor gives the pseudo-DWI alone, (B, 1, Y, X).
    """

    def __init__(self, network: nn.Module):
        super().__init__(network)
        has_feature = getattr(network, "extractor", None) is not None
        self.outputs = ("pseudo_dwi", "feature") if has_feature else ("pseudo_dwi",)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        heads = [head for head in self.network.synthesize(image) if head is not None]
        return torch.cat(heads, dim=1)


class LesionHead(_Head):
    """A trained network seen as ``image (B, C, Y, X) -> logits and pseudo-DWI (B, K + 1, Y, X)``.

    The logits are those of the network itself, and one pass gives both.
    """

    outputs = ("pseudo_dwi",)

    def __init__(self, network: nn.Module):
        super().__init__(network)
        self.with_heads = not_compiled(network)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.with_heads.return_heads = True
        try:
            logits, pseudo_dwi, *_ = self.network(image)
        finally:
            self.with_heads.return_heads = False
        return torch.cat((within_half_precision(logits), pseudo_dwi), dim=1)


class UncertaintyHead(_Head):
    """A trained ``MonteCarloSegmenter`` seen as ``image (B, C, Y, X) -> uncertainty (B, 1, Y, X)``.

    The uncertainty is the standard deviation of the lesion's probability between the passes with
    dropout, 0 to 0.5; nnU-Net's predictor averages it over tiles (with equal weights) and folds.
    """

    outputs = ("uncertainty",)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        lesion = 1 - self.network.sample_probabilities(image)[:, :, :1]
        return lesion.std(dim=0, correction=0)


class _Heads(NamedTuple):
    """What nnU-Net's sliding window asks of a label manager: how many channels come out."""

    num_segmentation_heads: int


def attach_head(predictor: nnUNetPredictor, *, uncertainty: bool = False) -> None:
    """Make a loaded predictor return images in place of the segmentation.

    Args:
        predictor: with a trained model in it.
        uncertainty: the uncertainty in place of the pseudo-DWI.

    Raises:
        ValueError: a trainer without a generator, such as nnU-Net's own; without dropout in
            prediction, for the uncertainty.
    """
    head = (_uncertainty_head if uncertainty else _synthesis_head)(predictor)
    predictor.label_manager = _Heads(len(head.outputs))
    predictor.network = head


@contextmanager
def lesion_and_pseudo_dwi(predictor: nnUNetPredictor) -> Iterator[int]:
    """Within the context, a predictor returns the pseudo-DWI as one more channel after the logits.

    Yields:
        The number of logits.
    """
    network, labels = predictor.network, predictor.label_manager
    n_logits = labels.num_segmentation_heads
    predictor.network, predictor.label_manager = LesionHead(network), _Heads(n_logits + 1)
    try:
        yield n_logits
    finally:
        predictor.network, predictor.label_manager = network, labels


def _synthesis_head(predictor: nnUNetPredictor) -> SynthesisHead:
    if not hasattr(predictor.network, "synthesize"):
        raise ValueError(
            f"{predictor.trainer_name} has no generator, so there is no pseudo-DWI to write; "
            "use a model trained with StrokeSynthTrainer"
        )
    return SynthesisHead(predictor.network)


def _uncertainty_head(predictor: nnUNetPredictor) -> UncertaintyHead:
    if getattr(predictor.network, "n_passes", 0) < 2:
        raise ValueError(
            f"{predictor.trainer_name} does not predict with dropout, so there is no uncertainty "
            "to write; use a model trained with Clerigues2019Trainer"
        )
    return UncertaintyHead(predictor.network)
