"""The means of the loss's terms over an epoch."""

import numpy as np
import torch

from nnunetv2_strokesynth.trainers.loss_log import TermMeans


def test_terms_are_means_over_the_epoch():
    means = TermMeans()
    means.add({"a": torch.tensor(1.0), "b": torch.tensor(0.0)})
    means.add({"a": torch.tensor(4.0), "b": torch.tensor(1.0)})
    assert means.pop() == {"a": 2.5, "b": 0.5}
    assert means.pop() == {}


def test_batches_without_a_dwi_do_not_count():
    means = TermMeans()
    for value in (2.0, float("nan"), 4.0):
        means.add({"synthesis_pixel": torch.tensor(value)})
    assert means.pop() == {"synthesis_pixel": 3.0}
    means.add({"synthesis_pixel": torch.tensor(float("nan"))})
    assert np.isnan(means.pop()["synthesis_pixel"])
