import math

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from scipy.special import expit

from nnunetv2_strokesynth.losses.functional import (
    context_l1,
    focal_loss,
    generalized_dice_loss,
    hardness_aware_dice_loss,
    lesion_weight_map,
    mean_over_valid,
    weighted_cross_entropy,
    weighted_l2,
    weighted_l2_per_sample,
)

HALF_TYPES = [torch.float16, torch.bfloat16]


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


# Eq. 9: the weight map


def weight_map_by_brute_force(lesion: np.ndarray, w: float, decay_px: float) -> np.ndarray:
    inside = np.argwhere(lesion)
    out = np.empty(lesion.shape)
    for y, x in np.ndindex(lesion.shape):
        if lesion[y, x]:
            out[y, x] = w
            continue
        distance = min(math.hypot(y - yy, x - xx) for yy, xx in inside)
        decayed = math.exp(-distance / decay_px)
        out[y, x] = 0.5 + decayed / (decayed + 1)
    return out


@pytest.mark.parametrize(("w", "decay_px"), [(1.5, 50.0), (3.0, 4.0)])
def test_weight_map_equals_brute_force(rng, w, decay_px):
    lesion = rng.random((13, 17)) > 0.95
    expected = weight_map_by_brute_force(lesion, w, decay_px)
    found = lesion_weight_map(lesion, w, decay_px)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_weight_map_hand_values():
    lesion = np.zeros((8, 8), bool)
    lesion[0, 0] = True
    weight = lesion_weight_map(lesion)
    assert weight[0, 0] == 1.5
    # (3, 4) is 5 px away, and D = 50.
    assert weight[3, 4] == pytest.approx(0.5 + 1 / (1 + math.exp(0.1)))


def test_weight_map_without_lesion_is_one_half():
    assert (lesion_weight_map(np.zeros((4, 5), bool)) == 0.5).all()


def eq9_from_scipys_distances(lesion: np.ndarray, w: float, decay_px: float) -> np.ndarray:
    """In float64, rounded once: root and exponential of every pixel."""
    falling = 0.5 + expit(-distance_transform_edt(~lesion) / decay_px)
    return np.where(lesion, w, falling).astype(np.float32)


@pytest.mark.parametrize("shape", [(64, 96), (1, 50), (3, 1100)])
@pytest.mark.parametrize(("w", "decay_px"), [(1.5, 50.0), (4.0, 7.5)])
def test_looked_up_weights_are_the_computed_ones_to_the_bit(rng, shape, w, decay_px):
    """(3, 1100) is larger than the table of weights is made for."""
    lesion = rng.uniform(size=shape) > 0.98
    lesion[0, 0] = True
    found = lesion_weight_map(lesion, w, decay_px)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, eq9_from_scipys_distances(lesion, w, decay_px))


def test_weight_map_can_be_changed_without_changing_the_next(rng):
    lesion = rng.uniform(size=(20, 20)) > 0.9
    first = lesion_weight_map(lesion)
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(lesion_weight_map(lesion), kept)


def test_weight_map_of_a_stack_is_per_slice(rng):
    stack = rng.random((2, 3, 9, 8)) > 0.9
    stack[1, 2] = False
    found = lesion_weight_map(stack)
    for index in np.ndindex(2, 3):
        np.testing.assert_array_equal(found[index], lesion_weight_map(stack[index]))
    assert (found[1, 2] == 0.5).all()


def test_weight_map_takes_integer_labels():
    labels = np.array([[0, 1], [0, 0]], dtype=np.int16)
    np.testing.assert_array_equal(lesion_weight_map(labels), lesion_weight_map(labels > 0))


@pytest.mark.parametrize(
    ("lesion", "kwargs"),
    [
        (np.zeros(4, bool), {}),
        (np.zeros((4, 4), bool), {"w": 0.9}),
        (np.zeros((4, 4), bool), {"decay_px": 0}),
    ],
)
def test_weight_map_refuses_bad_arguments(lesion, kwargs):
    with pytest.raises(ValueError, match="w >= 1 and decay_px > 0, found"):
        lesion_weight_map(lesion, **kwargs)


# Eq. 7: the low-level term


def test_weighted_l2_equals_numpy(rng):
    pred, target, weight = rng.random((3, 4, 1, 5, 6))
    per_sample = [
        math.sqrt(np.mean((weight[b] * (pred[b] - target[b])) ** 2) + 1e-8) for b in range(4)
    ]
    found = weighted_l2_per_sample(tensor(pred), tensor(target), tensor(weight))
    np.testing.assert_allclose(found.numpy(), per_sample, rtol=1e-12)
    found = weighted_l2(tensor(pred), tensor(target), tensor(weight))
    assert found.item() == pytest.approx(np.mean(per_sample), rel=1e-12)


@pytest.mark.parametrize("size", [4, 64])
def test_weighted_l2_hand_value_at_any_size(size):
    target = torch.rand(2, 1, size, size)
    weight = torch.full_like(target, 1.5)
    assert weighted_l2(target + 0.5, target, weight).item() == pytest.approx(0.75, rel=1e-5)


def test_weighted_l2_of_equal_images_has_a_finite_gradient():
    pred = torch.rand(2, 1, 4, 4, requires_grad=True)
    weighted_l2(pred, pred.detach(), torch.ones(2, 1, 4, 4)).backward()
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


# The focal loss


def test_focal_loss_hand_value():
    probs = torch.tensor([[[0.25, 0.25]]])
    labels = torch.tensor([[[1, 0]]])
    expected = (0.75 * math.log(4) + 0.25 * math.log(4 / 3)) / 2
    assert focal_loss(probs, labels, gamma=1.0).item() == pytest.approx(expected)


def test_focal_loss_equals_numpy(rng):
    probs, labels = rng.random((2, 5, 6)), rng.integers(0, 2, (2, 5, 6))
    p_true = np.where(labels == 1, probs, 1 - probs)
    for gamma in (0.0, 1.0, 2.5):
        expected = np.mean(-((1 - p_true) ** gamma) * np.log(p_true))
        found = focal_loss(tensor(probs), tensor(labels), gamma)
        assert found.item() == pytest.approx(expected, rel=1e-6)


def test_focal_loss_of_certain_predictions_is_finite():
    probs = torch.tensor([[[0.0, 1.0, 0.0, 1.0]]], requires_grad=True)
    labels = torch.tensor([[[0, 1, 1, 0]]])
    loss = focal_loss(probs, labels, gamma=0.5)
    loss.backward()
    assert loss.isfinite() and probs.grad.isfinite().all()


# Half precision


@pytest.mark.parametrize("dtype", HALF_TYPES)
def test_half_precision_input_is_computed_in_float32(dtype):
    torch.manual_seed(0)
    logits = (4 * torch.randn(4, 2, 256, 256)).to(dtype)
    labels = (torch.rand(4, 256, 256) > 0.7).long()
    onehot = torch.stack((1 - labels, labels), dim=1)
    probs = logits.float().softmax(dim=1).to(dtype)
    image, other = torch.rand(2, 4, 1, 256, 256).to(dtype)
    weight = torch.ones(4, 1, 256, 256)

    def losses(cast):
        return torch.stack(
            (
                weighted_l2(cast(image), cast(other), weight),
                weighted_cross_entropy(cast(logits), labels, weight[:, 0]),
                generalized_dice_loss(cast(probs), onehot),
                hardness_aware_dice_loss(cast(probs), onehot),
                focal_loss(cast(probs[:, 1]), labels, 1.0),
            )
        )

    expected = losses(lambda x: x.double())
    with torch.autocast("cpu", dtype=dtype):
        found = losses(lambda x: x)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4)
