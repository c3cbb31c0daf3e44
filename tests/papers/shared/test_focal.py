"""The focal loss against numpy and by hand."""

import math

import numpy as np
import pytest
import torch

from nnunetv2_strokesynth.papers.shared.focal import focal_loss_per_pixel

SHAPE = (3, 5, 7)
HALF_TYPES = [torch.float16, torch.bfloat16]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def focal_by_hand(z, lesion, gamma):
    p = 1 / (1 + np.exp(-z))
    p_true = np.where(lesion > 0, p, 1 - p)
    return -((1 - p_true) ** gamma) * np.log(p_true)


def test_hand_value():
    """Lesion probabilities of 1/4 on a lesion pixel and on a healthy one."""
    logits = torch.full((1, 1, 2), -math.log(3.0))
    loss = focal_loss_per_pixel(logits, torch.tensor([[[1, 0]]]), gamma=1.0)
    assert loss.flatten().tolist() == pytest.approx([0.75 * math.log(4), 0.25 * math.log(4 / 3)])
    expected = (0.75 * math.log(4) + 0.25 * math.log(4 / 3)) / 2
    assert loss.mean().item() == pytest.approx(expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 2.5])
def test_equals_numpy(rng, gamma):
    z, lesion = rng.normal(scale=3, size=SHAPE), rng.integers(0, 2, SHAPE)
    found = focal_loss_per_pixel(torch.from_numpy(z), torch.from_numpy(lesion), gamma)
    np.testing.assert_allclose(found.numpy(), focal_by_hand(z, lesion, gamma))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("z", [-1e4, -120.0, 120.0, 1e4])
def test_certain_predictions_are_finite_and_exact(z, gamma):
    logits = torch.tensor([z, z]).requires_grad_()
    loss = focal_loss_per_pixel(logits, torch.tensor([0, 1]), gamma)
    torch.testing.assert_close(loss, torch.tensor([max(z, 0.0), max(-z, 0.0)]))
    loss.sum().backward()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("dtype", HALF_TYPES)
def test_half_precision_input_is_computed_in_float32(dtype):
    torch.manual_seed(0)
    logits = (4 * torch.randn(4, 256, 256)).to(dtype)
    labels = (torch.rand(4, 256, 256) > 0.7).long()
    expected = focal_loss_per_pixel(logits.double(), labels, 1.0)
    with torch.autocast("cpu", dtype=dtype):
        found = focal_loss_per_pixel(logits, labels, 1.0)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4)
