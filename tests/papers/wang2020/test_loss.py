"""The synthesis losses of Table 1 against numpy, and how the joint loss combines them."""

import math

import numpy as np
import pytest
import torch
from loss_batches import SIZE, make_batch
from no_waiting import NoWaiting
from torch import nn

from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder
from nnunetv2_strokesynth.papers.shared.segmentation_terms import segmentation_loss
from nnunetv2_strokesynth.papers.wang2020.discriminator import MultiScaleDiscriminator
from nnunetv2_strokesynth.papers.wang2020.loss import (
    Wang2020Loss,
    context_l2_per_sample,
    l1_per_sample,
    l2_per_sample,
    lsgan_per_sample,
    plain_context_distance_per_sample,
    plain_weighted_l2_per_sample,
)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def tensor(values) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values))


def test_pixel_losses_equal_numpy(rng):
    pred, target, weight = rng.random((3, 2, 1, 6, 7))
    error = (pred - target).reshape(2, -1)
    np.testing.assert_allclose(
        l1_per_sample(tensor(pred), tensor(target), tensor(weight)), np.abs(error).mean(1)
    )
    np.testing.assert_allclose(
        l2_per_sample(tensor(pred), tensor(target), tensor(weight)),
        np.sqrt((error**2).mean(1) + 1e-8),
    )


def test_plain_norms_equal_numpy(rng):
    pred, target, weight = rng.random((3, 2, 1, 6, 7))
    norms = [np.linalg.norm(error) for error in weight * (pred - target)]
    found = plain_weighted_l2_per_sample(tensor(pred), tensor(target), tensor(weight))
    np.testing.assert_allclose(found, norms, rtol=1e-6)
    a, b = rng.random((2, 3, 16))
    found = plain_context_distance_per_sample(tensor(a), tensor(b))
    np.testing.assert_allclose(found, [np.linalg.norm(d, 1) for d in a - b])


def _share_of_synthesis(pixel: str, context: str) -> float:
    """How much larger the gradient of L_g at the pseudo-DWI is than that of the pixels' mean."""
    pred, target = torch.rand(2, 1, 1, 256, 256)
    pred.requires_grad_()
    term = Wang2020Loss(None, pixel=pixel, context=context)._pixel(
        pred, target, torch.ones_like(target)
    )
    (gradient,) = torch.autograd.grad(term.sum(), pred)
    return gradient.norm().item()


def test_plain_norm_weighs_256_times_more_in_a_slice_of_256_by_256():
    torch.manual_seed(0)
    ours = _share_of_synthesis("w-L2", "l_h1")
    torch.manual_seed(0)
    assert _share_of_synthesis("w-L2 norm", "l_h1 norm") == pytest.approx(256 * ours, rel=1e-5)


def test_context_l2_equals_numpy(rng):
    a, b = rng.random((2, 3, 16))
    expected = np.sqrt(((a - b) ** 2).mean(1) + 1e-8)
    np.testing.assert_allclose(context_l2_per_sample(tensor(a), tensor(b)), expected)


def test_least_squares_gan_equals_numpy(rng):
    scales = [rng.normal(size=(2, 1, 5, 6)), rng.normal(size=(2, 1, 3, 3))]
    for goal in (0.0, 1.0):
        expected = np.mean([((s - goal) ** 2).mean((1, 2, 3)) for s in scales], axis=0)
        np.testing.assert_allclose(lsgan_per_sample([tensor(s) for s in scales], goal), expected)


@pytest.mark.parametrize(("pixel", "context"), [("L1", "l_h1"), ("L2", "l_h2"), ("w-L2", "l_h2")])
def test_synthesis_terms_by_name(pixel, context):
    output, target = make_batch(without_dwi=(1,))
    encoder = ContextEncoder()
    loss = Wang2020Loss(encoder, beta=0.0, gamma=3.0, pixel=pixel, context=context)
    value = loss(output, target).item()
    _, dwi, weight = target
    expected = []
    for b in (0, 2):
        error = (output[1][b] - dwi[b]).detach().double().numpy()
        a = weight[b].double().numpy() if pixel == "w-L2" else 1.0
        low = np.abs(error).mean() if pixel == "L1" else math.sqrt(((a * error) ** 2).mean())
        with torch.no_grad():
            vectors = (encoder(output[1][b : b + 1]) - encoder(dwi[b : b + 1])).double().numpy()
        high = (
            np.abs(vectors).mean() if context == "l_h1" else math.sqrt((vectors**2).mean() + 1e-8)
        )
        expected.append(low + 3 * high)
    assert value == pytest.approx(loss.terms["L_s"].item() + np.mean(expected), rel=1e-4)


def test_weights_of_zero_leave_terms_in_the_log_and_out_of_the_gradient():
    """A stage of its own for the synthesis, then one for the segmentation."""
    output, target = make_batch()
    loss = Wang2020Loss(ContextEncoder())
    loss.segmentation_weight, loss.beta = 0.0, 0.0
    loss(output, target).backward()
    assert output[0].grad is None and (output[2].grad == 0).all()
    assert (output[1].grad != 0).any()
    assert "L_s" in loss.terms and "feature_pixel" in loss.terms

    output, target = make_batch()
    loss.segmentation_weight, loss.alpha = 1.0, 0.0
    assert loss(output, target).item() == loss.terms["L_s"].item()


class Constant(nn.Module):
    """A discriminator with one parameter: scores its input's last channel times a factor."""

    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x):
        return [self.factor * x[:, -1:]]


def test_both_sides_of_the_gan_get_their_own_gradient():
    """With D(x) = f x: generator dL/dI = 2 f (f I - 1) / n, discriminator as computed by hand."""
    (logits, pseudo_dwi, _), target = make_batch(without_dwi=(2,))
    condition = torch.rand(3, 4, SIZE, SIZE)
    discriminator = Constant(0.7)
    loss = Wang2020Loss(None, pixel=None, discriminator=discriminator)
    loss.segmentation_weight = 0.0
    loss((logits, pseudo_dwi, None, condition), target).backward()
    f, fake, real = 0.7, pseudo_dwi.detach()[:2], target[1][:2]
    assert (pseudo_dwi.grad[2] == 0).all()
    expected = 2 * f * (f * fake - 1) / fake.numel()
    torch.testing.assert_close(pseudo_dwi.grad[:2], expected)
    by_hand = ((f * real - 1) * real + f * fake * fake).mean()
    torch.testing.assert_close(discriminator.factor.grad, by_hand)
    assert loss.terms["adversarial"].item() == pytest.approx(((f * fake - 1) ** 2).mean().item())


def test_the_real_discriminator_learns_through_the_joint_loss():
    output, target = make_batch()
    discriminator = MultiScaleDiscriminator(5, 4)
    loss = Wang2020Loss(None, pixel="L2", discriminator=discriminator)
    loss((*output[:2], None, torch.rand(3, 4, SIZE, SIZE)), target).backward()
    assert all(p.grad.isfinite().all() for p in discriminator.parameters())
    assert any((p.grad != 0).any() for p in discriminator.parameters())
    assert {"adversarial", "discriminator", "synthesis_pixel"} <= set(loss.terms)


@pytest.mark.parametrize("without_dwi", [(), (1,), (0, 1, 2)])
@pytest.mark.parametrize("discriminator", [False, True])
def test_nothing_in_the_losses_waits_for_the_gpu(without_dwi, discriminator):
    output, target = make_batch(without_dwi=without_dwi)
    critic = MultiScaleDiscriminator(2, 4) if discriminator else None
    condition = (torch.rand(3, 1, SIZE, SIZE),) if discriminator else ()
    segmentation = segmentation_loss(("L_wce", "L_hgd", "L_dice", "L_gd", "L_ce"))
    loss = Wang2020Loss(ContextEncoder(), segmentation=segmentation, discriminator=critic)
    with NoWaiting():
        loss((*output, *condition), target).backward()
    assert all(torch.isfinite(value.grad).all() for value in output)
