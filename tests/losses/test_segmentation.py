"""Eq. 12 to 14 of Wang et al. 2020 against numpy and by hand."""

import math

import numpy as np
import pytest
import torch

from nnunetv2_strokesynth.losses.segmentation import (
    SegmentationLoss,
    generalized_dice_loss,
    hardness_aware_dice_loss,
    weighted_cross_entropy,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def tensor(values) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values))


def random_probs(rng, shape) -> np.ndarray:
    values = rng.random(shape) + 0.01
    return values / values.sum(axis=1, keepdims=True)


def random_onehot(rng, shape) -> np.ndarray:
    labels = rng.integers(0, shape[1], (shape[0], *shape[2:]))
    return np.moveaxis(np.eye(shape[1])[labels], -1, 1)


# Eq. 12: weighted cross entropy


def test_weighted_cross_entropy_equals_numpy(rng):
    logits = 3 * rng.standard_normal((2, 3, 4, 5))
    labels = rng.integers(0, 3, (2, 4, 5))
    weight = rng.random((2, 4, 5)) + 0.5
    numerator = 0.0
    for b, y, x in np.ndindex(labels.shape):
        scores = np.exp(logits[b, :, y, x])
        numerator -= weight[b, y, x] * math.log(scores[labels[b, y, x]] / scores.sum())
    found = weighted_cross_entropy(tensor(logits), tensor(labels), tensor(weight))
    assert found.item() == pytest.approx(numerator / weight.sum(), rel=1e-10)


def test_weighted_cross_entropy_hand_values():
    labels = torch.tensor([[[0, 1]]])
    logits = torch.zeros(1, 2, 1, 2)
    weight = torch.tensor([[[0.5, 1.5]]])
    assert weighted_cross_entropy(logits, labels, weight).item() == pytest.approx(math.log(2))
    # Right by far on the first pixel; odds of 1 to 3 on the second, which has 3/4 of the weight.
    logits = torch.tensor([[[[50.0, math.log(3.0)]], [[0.0, 0.0]]]])
    expected = 0.75 * math.log(4)
    assert weighted_cross_entropy(logits, labels, weight).item() == pytest.approx(expected)


# Eq. 13 and 14: generalised Dice, hardness-aware


def generalized_dice_by_loops(probs: np.ndarray, onehot: np.ndarray) -> float:
    numerator = denominator = 0.0
    for c in range(probs.shape[1]):
        m = 1 / onehot[:, c].sum() ** 2
        numerator += m * (onehot[:, c] * probs[:, c]).sum()
        denominator += m * (onehot[:, c] + probs[:, c]).sum()
    return 1 - 2 * numerator / denominator


@pytest.mark.parametrize("shape", [(2, 2, 7, 6), (3, 4, 5, 5), (2, 2, 3, 4, 5)])
def test_dice_losses_equal_numpy(rng, shape):
    probs, onehot = random_probs(rng, shape), random_onehot(rng, shape)
    expected = generalized_dice_by_loops(probs, onehot)
    found = generalized_dice_loss(tensor(probs), tensor(onehot))
    assert found.item() == pytest.approx(expected, rel=1e-10)
    found = hardness_aware_dice_loss(tensor(probs), tensor(onehot))
    assert found.item() == pytest.approx(-math.log(1 - expected), rel=1e-10)


def test_generalized_dice_hand_value():
    """Three background pixels and one of lesion; m = 1/9 and 1."""
    onehot = torch.tensor([[[[1.0, 1, 1, 0]], [[0.0, 0, 0, 1]]]])
    lesion = torch.tensor([[[[0.0, 0, 0.5, 0.5]]]])
    probs = torch.cat((1 - lesion, lesion), dim=1)
    expected = 1 - 2 * (2.5 / 9 + 0.5) / (6 / 9 + 2)
    assert generalized_dice_loss(probs, onehot).item() == pytest.approx(expected)


def test_absent_class_takes_the_largest_weight_of_the_others():
    """Four background pixels, lesion probability 1/4 everywhere: both m are 1/16."""
    onehot = torch.tensor([1.0, 0.0])[None, :, None, None].expand(1, 2, 2, 2)
    probs = torch.tensor([0.75, 0.25])[None, :, None, None].expand(1, 2, 2, 2)
    expected = 1 - 2 * 3 / ((4 + 3) + (0 + 1))
    assert generalized_dice_loss(probs, onehot).item() == pytest.approx(expected)


def test_absent_class_among_three():
    """Classes of 1 and 3 pixels and an absent one, which takes m = 1 and not 1/9."""
    onehot = torch.tensor([[[[1.0, 0, 0, 0]], [[0.0, 1, 1, 1]], [[0.0, 0, 0, 0]]]])
    probs = torch.full((1, 3, 1, 4), 1 / 3)
    expected = 1 - 2 * (1 / 3 + 1 / 9) / ((1 + 4 / 3) + (3 + 4 / 3) / 9 + 4 / 3)
    assert generalized_dice_loss(probs, onehot).item() == pytest.approx(expected)


def test_false_positives_cost_where_there_is_no_lesion():
    onehot = torch.tensor([1.0, 0.0])[None, :, None, None].expand(1, 2, 4, 4)
    lesion = torch.full((1, 1, 4, 4), 0.1, requires_grad=True)
    hardness_aware_dice_loss(torch.cat((1 - lesion, lesion), dim=1), onehot).backward()
    assert (lesion.grad > 0).all()


def test_perfect_prediction_costs_nothing(rng):
    onehot = tensor(random_onehot(rng, (2, 2, 8, 8)))
    assert generalized_dice_loss(onehot, onehot).item() == pytest.approx(0, abs=1e-12)
    assert hardness_aware_dice_loss(onehot, onehot).item() == pytest.approx(0, abs=1e-12)


def test_total_miss_is_clamped(rng):
    onehot = tensor(random_onehot(rng, (2, 2, 8, 8)))
    probs = onehot.flip(1).requires_grad_()
    loss = hardness_aware_dice_loss(probs, onehot)
    loss.backward()
    assert loss.item() == pytest.approx(-math.log(1e-6))
    assert probs.grad.isfinite().all()


def test_dice_of_a_small_lesion_in_a_large_batch():
    """Ten lesion pixels in eight slices of 512 x 512: 1 - L_GD is 1e-5, from volumes of 2e6."""
    onehot = torch.zeros(8, 2, 512, 512)
    onehot[:, 0] = 1
    onehot[0, :, 0, :10] = torch.tensor([0.0, 1.0])[:, None]
    n, lesion = 8 * 512**2, 10
    m_background, m_lesion = 1 / (n - lesion) ** 2, 1 / lesion**2
    dice = (m_background * (n - lesion) + m_lesion * lesion) / (
        m_background * (n - lesion + n / 2) + m_lesion * (lesion + n / 2)
    )
    found = hardness_aware_dice_loss(torch.full_like(onehot, 0.5), onehot)
    assert found.item() == pytest.approx(-math.log(dice), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_input_is_computed_in_float32(dtype):
    torch.manual_seed(0)
    logits = (4 * torch.randn(4, 2, 256, 256)).to(dtype)
    labels = (torch.rand(4, 256, 256) > 0.7).long()
    onehot = torch.stack((1 - labels, labels), dim=1)
    probs = logits.float().softmax(dim=1).to(dtype)
    weight = torch.ones(4, 256, 256)

    def losses(cast):
        return torch.stack(
            (
                weighted_cross_entropy(cast(logits), labels, weight),
                generalized_dice_loss(cast(probs), onehot),
                hardness_aware_dice_loss(cast(probs), onehot),
            )
        )

    expected = losses(lambda x: x.double())
    with torch.autocast("cpu", dtype=dtype):
        found = losses(lambda x: x)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4)


def _weighed_loss(logits, labels, weight, *, ignore_label=None, scan_weights=None, soft=None):
    loss = SegmentationLoss()
    loss.ignore_label, loss.scan_weights = ignore_label, scan_weights
    loss.soft_labels = soft is not None
    further = [] if soft is None else [soft[:, None]]
    return loss(logits, [labels[:, None], *further, weight[:, None]])


def _scans(n=3):
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(n, 2, 6, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    labels = (torch.rand(n, 6, 5, generator=generator) > 0.6).to(torch.int16)
    return logits, labels, 0.5 + torch.rand(n, 6, 5, generator=generator, dtype=torch.float64)


def test_scan_weights_against_numpy():
    """Eq. 12 to 14 with every sum over voxels weighted by the voxel's scan."""
    logits, labels, weight = _scans()
    shares = np.array([1.0, 0.25, 0.6])
    found = _weighed_loss(logits, labels, weight, scan_weights=torch.tensor(shares))
    z, y, a = logits.detach().numpy(), labels.numpy(), weight.numpy()
    probs = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    s = np.broadcast_to(shares[:, None, None], y.shape)
    own = np.where(y == 1, probs[:, 1], probs[:, 0])
    wce = (a * s * -np.log(own)).sum() / (a * s).sum()
    top = bottom = 0.0
    for c in (0, 1):
        volume = (s * (y == c)).sum()
        top += (s * (y == c) * probs[:, c]).sum() / volume**2
        bottom += (volume + (s * probs[:, c]).sum()) / volume**2
    assert found.item() == pytest.approx(wce - np.log(2 * top / bottom), rel=1e-9)


def test_a_scan_of_almost_no_weight_is_almost_not_there():
    logits, labels, weight = _scans()
    shares = torch.tensor([1.0, 1.0, 1e-9])
    found = _weighed_loss(logits, labels, weight, scan_weights=shares)
    without = _weighed_loss(logits[:2], labels[:2], weight[:2])
    assert found.item() == pytest.approx(without.item(), rel=1e-6)


def test_equal_weights_change_nothing():
    logits, labels, weight = _scans()
    found = _weighed_loss(logits, labels, weight, scan_weights=torch.full((3,), 0.3))
    assert found.item() == pytest.approx(_weighed_loss(logits, labels, weight).item(), rel=1e-6)


@pytest.mark.parametrize("scan_weights", [None, torch.tensor([1.0, 0.5, 0.7])])
def test_ignored_voxels_might_as_well_not_be_there(scan_weights):
    """The loss is that of the images cut where the ignored columns begin; no gradient there."""
    logits, labels, weight = _scans()
    labels[:, :, 3:] = 2
    found = _weighed_loss(logits, labels, weight, ignore_label=2, scan_weights=scan_weights)
    (gradient,) = torch.autograd.grad(found, logits)
    cut = _weighed_loss(
        logits[..., :3], labels[..., :3], weight[..., :3], scan_weights=scan_weights
    )
    (expected,) = torch.autograd.grad(cut, logits)
    assert found.item() == pytest.approx(cut.item(), rel=1e-9)
    assert not gradient[..., 3:].any()
    torch.testing.assert_close(gradient, expected)


def test_a_batch_that_nobody_has_outlined():
    logits, labels, weight = _scans()
    found = _weighed_loss(logits, torch.full_like(labels, 2), weight, ignore_label=2)
    found.backward()
    assert found.item() == 0 and not logits.grad.any()


IGNORED = [(), (0,), (2,), (0, 1), (0, 1, 2)]


@pytest.mark.parametrize("ignored", IGNORED)
@pytest.mark.parametrize("shares", [(0.0, 1.0, 1.0), (0.0, 0.0, 0.5), (0.0, 0.0, 0.0)])
def test_whatever_of_a_batch_is_outlined_the_loss_is_a_number(ignored, shares):
    """Scans that count 0 and scans that are ignored as a whole, in any mixture."""
    logits, labels, weight = _scans()
    labels[list(ignored)] = 2
    found = _weighed_loss(logits, labels, weight, ignore_label=2, scan_weights=torch.tensor(shares))
    found.backward()
    counts = [k for k, share in enumerate(shares) if share and k not in ignored]
    assert torch.isfinite(found) and torch.isfinite(logits.grad).all()
    assert [k for k in range(3) if logits.grad[k].any()] == counts


def test_the_logged_terms_are_the_same_whatever_is_outlined():
    """Processes of a distributed training add up their terms by position."""
    summands = {"L_wce": lambda batch: batch.logits.mean()}
    loss = SegmentationLoss(summands, watched={"watched": lambda batch: batch.probs.mean()})
    logits, labels, weight = _scans()
    names = []
    for shares in (torch.ones(3), torch.zeros(3)):
        loss.scan_weights = shares
        loss(logits, [labels[:, None], weight[:, None]])
        names.append(list(loss.terms))
    assert names[0] == names[1] == ["L_s", "L_wce", "watched"]


def test_large_logits_in_half_precision_that_nobody_has_outlined():
    """Their sum is above the largest number of float16."""
    logits = torch.full((2, 2, 64, 64), 50.0, dtype=torch.float16, requires_grad=True)
    ones = torch.ones(2, 64, 64)
    found = _weighed_loss(logits, ones, ones, scan_weights=torch.zeros(2))
    found.backward()
    assert found.item() == 0 and not logits.grad.any()


def _soft(labels):
    """Probabilities near the labels; the last scan has none."""
    generator = torch.Generator().manual_seed(6)
    doubt = 0.4 * torch.rand(labels.shape, generator=generator, dtype=torch.float64)
    soft = torch.where(labels == 1, 1 - doubt, doubt)
    soft[-1] = torch.nan
    return soft


def test_soft_labels_against_numpy():
    """Eq. 12 to 14 with a probability in place of 0 and 1; a scan without one keeps its labels."""
    logits, labels, weight = _scans()
    shares, soft = np.array([1.0, 0.25, 0.6]), _soft(labels)
    found = _weighed_loss(logits, labels, weight, scan_weights=torch.tensor(shares), soft=soft)
    z, a = logits.detach().numpy(), weight.numpy()
    lesion = soft.numpy()
    lesion[-1] = labels[-1].numpy()
    target = (1 - lesion, lesion)
    probs = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    s = np.broadcast_to(shares[:, None, None], lesion.shape)
    entropy = -sum(target[c] * np.log(probs[:, c]) for c in (0, 1))
    wce = (a * s * entropy).sum() / (a * s).sum()
    top = bottom = 0.0
    for c in (0, 1):
        volume = (s * target[c]).sum()
        top += (s * target[c] * probs[:, c]).sum() / volume**2
        bottom += (volume + (s * probs[:, c]).sum()) / volume**2
    assert found.item() == pytest.approx(wce - np.log(2 * top / bottom), rel=1e-9)


def test_soft_labels_of_0_and_1_are_the_labels():
    logits, labels, weight = _scans()
    found = _weighed_loss(logits, labels, weight, soft=labels.double())
    assert found.item() == pytest.approx(_weighed_loss(logits, labels, weight).item(), rel=1e-9)


def test_ignored_voxels_have_no_soft_label_either():
    logits, labels, weight = _scans()
    soft = _soft(labels)
    labels[:, :, 3:] = 2
    found = _weighed_loss(logits, labels, weight, ignore_label=2, soft=soft)
    cut = _weighed_loss(logits[..., :3], labels[..., :3], weight[..., :3], soft=soft[..., :3])
    assert found.item() == pytest.approx(cut.item(), rel=1e-9)
