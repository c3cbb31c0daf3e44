"""The loss of Clerigues et al. 2019 and the terms that decide when a training stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss, SegmentationTerm
from nnunetv2_strokesynth.papers.shared.segmentation_terms import PAPER_TERMS

# The paper stops a training by the sum of l1 and error_rate on the validation patches.
_TERMS: Mapping[str, SegmentationTerm] = {
    **PAPER_TERMS,
    "l1": lambda batch: (batch.probs - batch.onehot).abs().mean(),
    "error_rate": lambda batch: (batch.probs.argmax(dim=1) != batch.labels).float().mean(),
}


def clerigues2019_loss(summands: Sequence[str], stopping: Sequence[str]) -> SegmentationLoss:
    """The sum of some terms; further ones are logged, and decide when the training stops.

    Args:
        summands: keys of ``PAPER_TERMS``; the paper's are ``L_ce`` and ``L_gd``.
        stopping: ``l1``, ``error_rate`` or keys of ``PAPER_TERMS``. ``l1`` is the mean absolute
            difference of probabilities and labels, ``error_rate`` the share of pixels whose most
            probable class is wrong; both lie between 0 and 1.
    """
    return SegmentationLoss(
        {name: _TERMS[name] for name in summands},
        watched={name: _TERMS[name] for name in stopping},
    )
