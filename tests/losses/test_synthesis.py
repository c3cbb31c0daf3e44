"""Eq. 6 to 8 of Wang et al. 2020 against numpy, and samples without a DWI."""

import math

import numpy as np
import pytest
import torch

from nnunetv2_strokesynth.losses.synthesis import (
    context_distance_per_sample,
    encode_context,
    mean_over_valid,
    synthesis_loss,
    weighted_l2_per_sample,
)

HALF_TYPES = [torch.float16, torch.bfloat16]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def tensor(values) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values))


def context_l1(encoder, pred, target) -> torch.Tensor:
    contexts = (encode_context(encoder, image) for image in (pred, target))
    return context_distance_per_sample(*contexts).mean()


# Eq. 6


def test_synthesis_loss_weighs_the_context():
    pixel, context = torch.tensor(0.5), torch.tensor(0.25)
    assert synthesis_loss(pixel, context, gamma=3.0).item() == 0.5 + 3 * 0.25
    assert synthesis_loss(pixel, context).item() == pytest.approx(0.5 + 1.2 * 0.25)
    assert synthesis_loss(pixel).item() == 0.5


# Eq. 7: the low-level term


def test_weighted_l2_equals_numpy(rng):
    pred, target, weight = rng.random((3, 4, 1, 5, 6))
    per_sample = [
        math.sqrt(np.mean((weight[b] * (pred[b] - target[b])) ** 2) + 1e-8) for b in range(4)
    ]
    found = weighted_l2_per_sample(tensor(pred), tensor(target), tensor(weight))
    np.testing.assert_allclose(found.numpy(), per_sample, rtol=1e-12)
    mean = mean_over_valid(found, torch.ones(4, dtype=torch.bool))
    assert mean.item() == pytest.approx(np.mean(per_sample), rel=1e-12)


@pytest.mark.parametrize("size", [4, 64])
def test_weighted_l2_hand_value_at_any_size(size):
    target = torch.rand(2, 1, size, size)
    weight = torch.full_like(target, 1.5)
    found = weighted_l2_per_sample(target + 0.5, target, weight)
    assert found.tolist() == pytest.approx([0.75, 0.75], rel=1e-5)


def test_weighted_l2_of_equal_images_has_a_finite_gradient():
    pred = torch.rand(2, 1, 4, 4, requires_grad=True)
    weighted_l2_per_sample(pred, pred.detach(), torch.ones(2, 1, 4, 4)).mean().backward()
    assert (pred.grad == 0).all()


# Eq. 8: the high-level term


def toy_encoder(image: torch.Tensor) -> torch.Tensor:
    return torch.cat((image.mean(dim=(2, 3)), image.square().sum(dim=(2, 3))), dim=1)


def test_context_l1_equals_numpy(rng):
    pred, target = rng.random((2, 3, 1, 4, 5))

    def encode(image):
        return np.stack((image.mean(axis=(1, 2, 3)), (image**2).sum(axis=(1, 2, 3))), axis=1)

    expected = np.abs(encode(pred) - encode(target)).mean()
    found = context_l1(toy_encoder, tensor(pred), tensor(target))
    assert found.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", HALF_TYPES)
def test_context_encoder_runs_in_float32_under_autocast(dtype):
    encoder = torch.nn.Sequential(torch.nn.Conv2d(1, 16, 4), torch.nn.Flatten())
    # A feature of 1e5 is infinite in float16.
    pred, target = 1e5 * torch.rand(2, 3, 1, 4, 4)
    expected = context_l1(encoder, pred, target)
    with torch.autocast("cpu", dtype=dtype):
        found = context_l1(encoder, pred, target)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)


# Samples without a DWI


def test_mean_over_valid():
    values = torch.tensor([1.0, 10.0, 4.0], requires_grad=True)
    mean = mean_over_valid(values, torch.tensor([True, False, True]))
    mean.backward()
    assert mean.item() == 2.5
    assert values.grad.tolist() == [0.5, 0, 0.5]


def test_mean_over_none_is_zero_with_zero_gradient():
    values = torch.tensor([1.0, torch.nan], requires_grad=True)
    mean = mean_over_valid(values, torch.tensor([False, False]))
    mean.backward()
    assert mean.item() == 0
    assert values.grad.tolist() == [0, 0]


@pytest.mark.parametrize("dtype", HALF_TYPES)
def test_half_precision_input_is_computed_in_float32(dtype):
    torch.manual_seed(0)
    image, other = torch.rand(2, 4, 1, 256, 256).to(dtype)
    weight = torch.ones(4, 1, 256, 256)
    expected = weighted_l2_per_sample(image.double(), other.double(), weight)
    with torch.autocast("cpu", dtype=dtype):
        found = weighted_l2_per_sample(image, other, weight)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4)
