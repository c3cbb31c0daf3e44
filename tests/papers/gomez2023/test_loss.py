"""Gomez 2023: class weight maps, both pixel losses and deep supervision against numpy."""

import math

import numpy as np
import pytest
import torch

from nnunetv2_strokesynth.papers.gomez2023.loss import (
    Gomez2023Loss,
    class_weight_map,
    sigmoid_focal_loss,
    softmax_cross_entropy,
)

SHAPE = (3, 5, 7)
SHARES = (0.03, 0.045, 0.05, 0.125, 0.25, 0.5)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def focal_by_hand(z, lesion, gamma):
    p = 1 / (1 + np.exp(-z))
    p_true = np.where(lesion > 0, p, 1 - p)
    return -((1 - p_true) ** gamma) * np.log(p_true)


def cross_entropy_by_hand(logits, classes):
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    losses = np.empty(classes.shape)
    for b, y, x in np.ndindex(classes.shape):
        losses[b, y, x] = -log_probs[b, int(classes[b, y, x]), y, x]
    return losses


def batch(rng, n_maps, n_classes, n_heads=6):
    """Output tuple and target list in float64; the first output must not matter."""
    heads = rng.normal(size=(n_heads, SHAPE[0], n_maps, *SHAPE[1:]))
    classes = rng.integers(0, n_classes, SHAPE)
    labels = torch.from_numpy(classes > 0)[:, None]
    output = (torch.full((SHAPE[0], 2, *SHAPE[1:]), torch.nan), *torch.from_numpy(heads))
    return output, [labels, torch.from_numpy(classes)[:, None].float()], heads, classes


def test_sigmoid_focal_loss_has_a_gamma_of_two(rng):
    z, lesion = rng.normal(size=SHAPE), rng.integers(0, 2, SHAPE)
    found = sigmoid_focal_loss(torch.from_numpy(z)[:, None], torch.from_numpy(lesion))
    np.testing.assert_allclose(found.numpy(), focal_by_hand(z, lesion, 2.0))
    half = sigmoid_focal_loss(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1))
    assert half.item() == pytest.approx(0.25 * math.log(2))


def test_class_weight_map():
    classes = torch.tensor([[[0.0, 1.0], [2.0, 0.0]]])
    expected = torch.tensor([[[0.7, 2.0], [7.0, 0.7]]])
    torch.testing.assert_close(class_weight_map(classes, (0.7, 2.0, 7.0)), expected)


@pytest.mark.parametrize(
    ("pixel_loss", "n_maps", "weights"),
    [
        (softmax_cross_entropy, 3, (0.7, 2.0, 7.0)),
        (softmax_cross_entropy, 3, (1.0, 1.0, 1.0)),
        (sigmoid_focal_loss, 1, (0.3, 0.7)),
    ],
)
def test_loss_equals_numpy(rng, pixel_loss, n_maps, weights):
    output, target, heads, classes = batch(rng, n_maps, len(weights))
    loss = Gomez2023Loss(pixel_loss, weights)
    value = loss(output, target)
    weight = np.array(weights)[classes]
    by_head = []
    for logits in heads:
        if n_maps == 1:
            pixels = focal_by_hand(logits[:, 0], classes, 2.0)
        else:
            pixels = cross_entropy_by_hand(logits, classes)
        by_head.append((weight * pixels).sum() / classes.size)
    expected = sum(share * head for share, head in zip(SHARES, by_head, strict=True))
    assert value.item() == pytest.approx(expected)
    terms = {name: term.item() for name, term in loss.terms.items()}
    assert terms.pop("L_total") == pytest.approx(expected)
    assert terms == pytest.approx({f"L_{k + 1}": head for k, head in enumerate(by_head)})


def test_a_single_head_has_weight_one(rng):
    output, target, heads, classes = batch(rng, 3, 3, n_heads=1)
    value = Gomez2023Loss(softmax_cross_entropy, (1.0, 1.0, 1.0), (1.0,))(output, target)
    assert value.item() == pytest.approx(cross_entropy_by_hand(heads[0], classes).mean())


def test_every_head_is_trained_and_the_finest_most(rng):
    output, target, *_ = batch(rng, 1, 2)
    output = (output[0], *(output[1].clone().requires_grad_() for _ in range(6)))
    Gomez2023Loss(sigmoid_focal_loss, (0.3, 0.7))(output, target).backward()
    norms = [head.grad.norm().item() for head in output[1:]]
    assert norms == pytest.approx([share / 0.5 * norms[-1] for share in SHARES])


def test_half_precision_is_computed_in_float32(rng):
    for pixel_loss, n_maps, weights in (
        (softmax_cross_entropy, 3, (0.7, 2.0, 7.0)),
        (sigmoid_focal_loss, 1, (0.3, 0.7)),
    ):
        output, target, *_ = batch(rng, n_maps, len(weights))
        half = tuple(head.half() for head in output)
        loss = Gomez2023Loss(pixel_loss, weights)
        value = loss(half, target)
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(loss([h.double() for h in half], target).item())


def test_as_many_heads_as_weights_are_needed(rng):
    output, target, *_ = batch(rng, 1, 2, n_heads=5)
    with pytest.raises(ValueError, match="weighs 6 heads, the network returned 5"):
        Gomez2023Loss(sigmoid_focal_loss, (0.3, 0.7))(output, target)
