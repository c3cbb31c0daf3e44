"""Eq. 6 to 8 of Wang et al. 2020 against numpy, and samples without a DWI."""

import math

import numpy as np
import pytest
import torch

from nnunetv2_strokesynth.losses.synthesis import (
    batch_contrast,
    context_collapse,
    context_distance_per_sample,
    context_spread,
    contrast_terms,
    encode_context,
    mean_over_valid,
    synthesis_loss,
    weighted_l2_per_sample,
)
from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder

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


# What keeps the context encoder from collapsing


def collapse_by_numpy(context):
    """VICReg's variance and covariance terms of the rows that count, biased moments."""
    deviation = np.sqrt(context.var(axis=0) + 1e-8)
    covariance = np.cov(context.T, bias=True)
    off_diagonal = covariance[~np.eye(context.shape[1], dtype=bool)]
    hinge = np.clip(1 - deviation, 0, None).mean()
    return hinge + (off_diagonal**2).sum() / context.shape[1]


@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
def test_context_collapse_equals_numpy(scale):
    torch.manual_seed(0)
    context = scale * torch.randn(6, 4, dtype=torch.float64)
    valid = torch.tensor([True, True, False, True, True, True])
    context[2] = 1e6  # a sample without a DWI does not count
    found = context_collapse(context, valid)
    assert found.item() == pytest.approx(collapse_by_numpy(context[valid].numpy()), rel=1e-6)


def test_context_collapse_is_largest_for_a_constant_and_zero_for_spread_and_independent_entries():
    valid = torch.ones(4, dtype=torch.bool)
    constant = context_collapse(torch.full((4, 2), 3.0), valid)
    assert constant.item() == pytest.approx(1.0, abs=1e-3)
    independent = torch.tensor([[2.0, 2], [2, -2], [-2, 2], [-2, -2]])
    assert context_collapse(independent, valid).item() == 0
    alike = torch.tensor([[2.0, 2], [-2, -2], [2, 2], [-2, -2]])
    assert context_collapse(alike, valid).item() == pytest.approx(2 * 4**2 / 2)


@pytest.mark.parametrize("n_valid", [0, 1])
def test_context_collapse_of_fewer_than_two_is_zero_with_zero_gradient(n_valid):
    context = torch.randn(3, 4, requires_grad=True)
    valid = torch.arange(3) < n_valid
    found = context_collapse(context, valid)
    found.backward()
    assert found.item() == 0 and not context.grad.any()


def test_descending_the_collapse_term_spreads_an_encoder():
    torch.manual_seed(0)
    images, valid = torch.rand(8, 1, 32, 32), torch.ones(8, dtype=torch.bool)
    encoder = ContextEncoder(rectify_last=False)
    optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)
    before = context_spread(encoder(images), valid).item()
    for _ in range(60):
        optimizer.zero_grad()
        context_collapse(encoder(images), valid).backward()
        optimizer.step()
    assert context_spread(encoder(images), valid).item() > 5 * before


# The contrast of a validation batch


def contrast_by_numpy(image, dwi, labels, valid):
    image, dwi, lesion = (values.numpy()[valid.numpy()] for values in (image, dwi, labels > 0))
    others = image[(dwi > 0.15) & ~lesion]
    return (image[lesion].mean() - others.mean()) / others.std()


def test_contrast_of_a_batch_equals_numpy():
    torch.manual_seed(0)
    image, dwi = torch.rand(2, 4, 1, 8, 8)
    labels = (torch.rand(4, 1, 8, 8) > 0.8).to(torch.int16)
    valid = torch.tensor([True, False, True, True])
    image[1] = torch.nan  # does not count
    found = batch_contrast(image, dwi, labels, valid)
    assert found.item() == pytest.approx(contrast_by_numpy(image, dwi, labels, valid), rel=1e-5)
    brighter = torch.where(labels > 0, image + 1, image)
    assert batch_contrast(brighter, dwi, labels, valid) > found + 1


def test_contrast_without_a_lesion_or_a_dwi_is_nan_and_training_does_not_compute_it():
    image, labels, valid = torch.rand(2, 1, 8, 8), torch.zeros(2, 1, 8, 8), torch.ones(2).bool()
    assert batch_contrast(image, image, labels, valid).isnan()
    assert batch_contrast(image, image, labels + 1, ~valid).isnan()
    assert contrast_terms(image, image, labels, valid) == {}
    with torch.no_grad():
        assert set(contrast_terms(image, image, labels, valid)) == {"contrast", "dwi_contrast"}
