"""Abulnaga & Rubin 2018, Eq. 2 to 5, against numpy."""

import math

import numpy as np
import pytest
import torch

from nnunetv2_strokesynth.papers.abulnaga2018.loss import (
    BalancedCrossEntropy,
    FocalLoss,
    balanced_cross_entropy,
    lesion_fraction,
)
from nnunetv2_strokesynth.papers.shared.segmentation_terms import segmentation_loss

SHAPES = [(3, 2, 8, 9), (1, 2, 3, 6, 7)]


def make_batch(shape, dtype=torch.float64):
    torch.manual_seed(0)
    logits = 3 * torch.randn(shape, dtype=dtype)
    labels = (torch.rand(shape[0], 1, *shape[2:]) > 0.7).to(torch.int16)
    return logits, [labels, torch.ones(labels.shape)]


def probabilities(logits: torch.Tensor) -> np.ndarray:
    exponentials = np.exp(logits.double().numpy())
    return exponentials[:, 1] / exponentials.sum(axis=1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.5])
def test_focal_loss_equals_equation_5(shape, gamma):
    logits, target = make_batch(shape)
    p, y = probabilities(logits), target[0][:, 0].numpy()
    expected = -y * (1 - p) ** gamma * np.log(p) - (1 - y) * p**gamma * np.log(1 - p)
    loss = FocalLoss(gamma)
    assert loss((logits,), target).item() == pytest.approx(expected.mean(), rel=1e-9)
    assert loss.terms["L_s"].item() == pytest.approx(expected.mean(), rel=1e-9)
    assert not loss.terms["L_s"].requires_grad


@pytest.mark.parametrize("shape", SHAPES)
def test_gamma_0_is_the_cross_entropy(shape):
    logits, target = make_batch(shape)
    p, y = probabilities(logits), target[0][:, 0].numpy()
    expected = (-y * np.log(p) - (1 - y) * np.log(1 - p)).mean()  # Eq. 2 and 3
    assert FocalLoss(0.0)(logits, target).item() == pytest.approx(expected, rel=1e-9)
    assert segmentation_loss(("L_ce",))(logits, target).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("w", [0.0, 0.05, 0.5, 0.97, 1.0])
def test_balanced_cross_entropy_equals_equation_4(shape, w):
    logits, target = make_batch(shape)
    p, y = probabilities(logits), target[0][:, 0].numpy()
    expected = (-w * y * np.log(p) - (1 - w) * (1 - y) * np.log(1 - p)).mean()
    loss = BalancedCrossEntropy(w)
    assert loss((logits,), target).item() == pytest.approx(expected, rel=1e-9)
    assert loss.terms["L_s"].item() == pytest.approx(expected, rel=1e-9)


def test_balanced_cross_entropy_hand_value():
    lesion_logit = torch.tensor([math.log(3.0), 0.0])  # p = 3/4 and 1/2
    labels = torch.tensor([1, 0])
    expected = (0.9 * math.log(4 / 3) + 0.1 * math.log(2)) / 2
    assert balanced_cross_entropy(lesion_logit, labels, 0.9).item() == pytest.approx(expected)


def test_one_minus_the_lesions_share_balances_the_classes():
    """With p = 1/2 everywhere, all lesion pixels together cost what all others cost."""
    labels = torch.zeros(1000)
    labels[:37] = 1
    w = 1 - lesion_fraction([labels.numpy()])
    costs = [balanced_cross_entropy(torch.zeros(n), torch.full((n,), y), w).item() * n
             for n, y in ((37, 1), (963, 0))]  # fmt: skip
    assert costs[0] == pytest.approx(costs[1], rel=1e-5)


@pytest.mark.parametrize("w", [-0.1, 1.1, float("nan")])
def test_weight_outside_0_and_1_is_refused(w):
    with pytest.raises(ValueError, match=f"between 0 and 1, found {w}"):
        balanced_cross_entropy(torch.zeros(2), torch.zeros(2), w)


def test_lesion_fraction_counts_labelled_voxels_of_all_scans_alike():
    first = np.array([[[-1, 0, 1], [0, 0, 0]]], dtype=np.int16)
    second = np.array([[[1, -1, -1]]], dtype=np.int16)
    assert lesion_fraction([first, second]) == 2 / 6
    assert lesion_fraction([first]) == 1 / 5
    assert math.isnan(lesion_fraction([np.full((2, 2), -1)]))


@pytest.mark.parametrize("loss", [FocalLoss(), FocalLoss(0.0), BalancedCrossEntropy(0.98)])
def test_certain_and_wrong_predictions_still_learn(loss):
    logits = torch.tensor([[[[200.0, -200.0]], [[-200.0, 200.0]]]], requires_grad=True)
    labels = torch.tensor([[[[1, 0]]]], dtype=torch.int16)
    value = loss((logits,), [labels])
    value.backward()
    assert value.isfinite() and logits.grad.isfinite().all()
    assert (logits.grad[0, 1, 0, 0] < 0) and (logits.grad[0, 1, 0, 1] > 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("loss", [FocalLoss(), BalancedCrossEntropy(0.98)])
def test_half_precision_input_is_computed_in_float32(dtype, loss):
    logits, target = make_batch((2, 2, 64, 64), torch.float32)
    logits = logits.to(dtype)
    expected = loss((logits.double(),), target)
    with torch.autocast("cpu", dtype=dtype):
        found = loss((logits,), target)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
