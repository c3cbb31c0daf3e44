"""The terms that decide when a training of Clerigues et al. 2019 stops, against numpy."""

import numpy as np
import pytest
import torch
from loss_batches import make_batch
from no_waiting import NoWaiting

from nnunetv2_strokesynth.losses.segmentation import generalized_dice_loss
from nnunetv2_strokesynth.papers.clerigues2019.loss import clerigues2019_loss


def test_stopping_terms_equal_numpy_and_are_no_part_of_the_loss():
    output, target = make_batch()
    loss = clerigues2019_loss(("L_ce", "L_gd"), ("l1", "error_rate"))
    value = loss(output, target)
    probs = output[0].detach().softmax(1)
    p, y = probs.double().numpy(), target[0][:, 0].numpy()
    onehot = np.stack([y == 0, y == 1], 1)
    assert loss.terms["l1"].item() == pytest.approx(np.abs(p - onehot).mean(), rel=1e-5)
    wrong = (p[:, 1] > p[:, 0]) != (y == 1)
    assert loss.terms["error_rate"].item() == pytest.approx(wrong.mean())
    cross_entropy = -np.log(np.where(y == 1, p[:, 1], p[:, 0])).mean()
    dice = generalized_dice_loss(probs, torch.from_numpy(onehot)).item()
    assert value.item() == pytest.approx(cross_entropy + dice, rel=1e-5)
    assert list(loss.terms) == ["L_s", "L_ce", "L_gd", "l1", "error_rate"]
    assert not any(term.requires_grad for term in loss.terms.values())


def test_nothing_in_the_loss_waits_for_the_gpu():
    output, target = make_batch()
    loss = clerigues2019_loss(("L_ce",), ("l1", "error_rate", "L_dice"))
    with NoWaiting():
        loss(output, target).backward()
    assert torch.isfinite(output[0].grad).all()
