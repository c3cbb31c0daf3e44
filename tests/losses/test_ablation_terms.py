"""The losses of Tables 1 and 4 against numpy, and how the joint loss combines them."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from nnunetv2_strokesynth.losses.functional import (
    context_l2_per_sample,
    dice_loss,
    generalized_dice_loss,
    hardness_aware_dice_loss,
    l1_per_sample,
    l2_per_sample,
    lsgan_per_sample,
)
from nnunetv2_strokesynth.losses.joint import (
    JointLoss,
    SegmentationLoss,
)
from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder
from nnunetv2_strokesynth.papers.wang2020.discriminator import MultiScaleDiscriminator

SIZE = 32


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def tensor(values) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values))


def make_batch(n=3, without_dwi=()):
    torch.manual_seed(0)
    logits = torch.randn(n, 2, SIZE, SIZE)
    pseudo_dwi, feature, dwi = torch.rand(3, n, 1, SIZE, SIZE)
    labels = (torch.rand(n, 1, SIZE, SIZE) > 0.8).to(torch.int16)
    for index in without_dwi:
        dwi[index] = torch.nan
    output = tuple(value.requires_grad_() for value in (logits, pseudo_dwi, feature))
    return output, [labels, dwi, 0.5 + torch.rand(n, 1, SIZE, SIZE)]


def test_dice_loss_equals_numpy(rng):
    p = rng.random((2, 4, 5))
    y = (rng.random((2, 4, 5)) > 0.6).astype(float)
    expected = 1 - 2 * (p * y).sum() / ((p**2).sum() + (y**2).sum())
    found = dice_loss(tensor(np.stack([1 - p, p], 1)), tensor(np.stack([1 - y, y], 1)))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_dice_loss_by_hand_and_at_the_ends():
    y = torch.tensor([[[0.0, 1.0, 1.0, 0.0]]])[:, 0]
    onehot = torch.stack([1 - y, y], 1)
    assert dice_loss(onehot, onehot).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(1 - onehot, onehot).item() == pytest.approx(1, abs=1e-6)
    half = torch.full_like(onehot, 0.5)  # 2 * (2 * 0.5) / (2 + 4 * 0.25) = 2/3
    assert dice_loss(half, onehot).item() == pytest.approx(1 / 3, rel=1e-5)
    nothing = torch.stack([torch.ones_like(y), torch.zeros_like(y)], 1)
    assert dice_loss(nothing, nothing).item() == pytest.approx(0, abs=1e-6)


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


def test_context_l2_equals_numpy(rng):
    a, b = rng.random((2, 3, 16))
    expected = np.sqrt(((a - b) ** 2).mean(1) + 1e-8)
    np.testing.assert_allclose(context_l2_per_sample(tensor(a), tensor(b)), expected)


def test_least_squares_gan_equals_numpy(rng):
    scales = [rng.normal(size=(2, 1, 5, 6)), rng.normal(size=(2, 1, 3, 3))]
    for goal in (0.0, 1.0):
        expected = np.mean([((s - goal) ** 2).mean((1, 2, 3)) for s in scales], axis=0)
        np.testing.assert_allclose(lsgan_per_sample([tensor(s) for s in scales], goal), expected)


@pytest.mark.parametrize(
    "names", [("L_ce",), ("L_dice",), ("L_gd",), ("L_hgd",), ("L_ce", "L_hgd")]
)
def test_segmentation_loss_sums_the_named_terms(names):
    output, target = make_batch()
    logits, labels = output[0].detach(), target[0][:, 0].long()
    probs = logits.softmax(1)
    onehot = torch.stack([labels == 0, labels == 1], 1).float()
    p_true = np.where(labels == 1, probs[:, 1], probs[:, 0])
    values = {
        "L_ce": -np.log(p_true).mean(),
        "L_dice": dice_loss(probs, onehot).item(),
        "L_gd": generalized_dice_loss(probs, onehot).item(),
        "L_hgd": hardness_aware_dice_loss(probs, onehot).item(),
    }
    loss = SegmentationLoss(names)
    expected = sum(values[name] for name in names)
    assert loss(output, target).item() == pytest.approx(expected, rel=1e-5)
    assert set(loss.terms) == {"L_s", *names}


@pytest.mark.parametrize(("pixel", "context"), [("L1", "l_h1"), ("L2", "l_h2"), ("w-L2", "l_h2")])
def test_synthesis_terms_by_name(pixel, context):
    output, target = make_batch(without_dwi=(1,))
    encoder = ContextEncoder()
    loss = JointLoss(encoder, beta=0.0, gamma=3.0, pixel=pixel, context=context)
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
    loss = JointLoss(ContextEncoder())
    loss.segmentation_weight, loss.beta = 0.0, 0.0
    loss(output, target).backward()
    assert output[0].grad is None and (output[2].grad == 0).all()
    assert (output[1].grad != 0).any()
    assert "L_s" in loss.terms and "feature_pixel" in loss.terms

    output, target = make_batch()
    loss.segmentation_weight, loss.alpha = 1.0, 0.0
    assert loss(output, target).item() == loss.terms["L_s"].item()


def test_without_a_feature():
    (logits, pseudo_dwi, _), target = make_batch()
    loss = JointLoss(ContextEncoder())
    loss((logits, pseudo_dwi, None), target).backward()
    assert "feature_pixel" not in loss.terms and "synthesis_pixel" in loss.terms


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
    loss = JointLoss(None, pixel=None, discriminator=discriminator)
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
    loss = JointLoss(None, pixel="L2", discriminator=discriminator)
    loss((*output[:2], None, torch.rand(3, 4, SIZE, SIZE)), target).backward()
    assert all(p.grad.isfinite().all() for p in discriminator.parameters())
    assert any((p.grad != 0).any() for p in discriminator.parameters())
    assert {"adversarial", "discriminator", "synthesis_pixel"} <= set(loss.terms)
