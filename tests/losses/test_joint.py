import math

import numpy as np
import pytest
import torch
from loss_batches import make_batch
from no_waiting import NoWaiting
from torch import nn

from nnunetv2_strokesynth.losses.joint import JointLoss
from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder

SEGMENTATION_TERMS = {"L_s", "L_wce", "L_hgd"}
ALL_TERMS = SEGMENTATION_TERMS | {
    "synthesis_pixel",
    "synthesis_context",
    "feature_pixel",
    "feature_context",
    "context_spread",
}


def segmentation_by_numpy(logits, labels, weight) -> tuple[float, float]:
    """L_WCE and L_HGD, Eq. 12 to 14."""
    scores = np.exp(logits.detach().double().numpy())
    probs = scores / scores.sum(axis=1, keepdims=True)
    y = labels[:, 0].numpy()
    a = weight[:, 0].double().numpy()
    p_true = np.where(y == 1, probs[:, 1], probs[:, 0])
    wce = (a * -np.log(p_true)).sum() / a.sum()
    numerator = denominator = 0.0
    for c in (0, 1):
        m = 1 / (y == c).sum() ** 2
        numerator += m * probs[:, c][y == c].sum()
        denominator += m * ((y == c).sum() + probs[:, c].sum())
    return wce, -math.log(2 * numerator / denominator)


def similarity_by_numpy(encoder, image, dwi, weight, gamma) -> float:
    """L_g, Eq. 6, sample by sample over those that have a DWI."""
    values = []
    for b in range(len(dwi)):
        if dwi[b].isnan().any():
            continue
        error = (weight[b] * (image[b] - dwi[b])).detach().double().numpy()
        pixel = math.sqrt((error**2).mean() + 1e-8)
        with torch.no_grad():
            context = (encoder(image[b : b + 1]) - encoder(dwi[b : b + 1])).double().numpy()
        values.append(pixel + gamma * np.abs(context).mean())
    return float(np.mean(values))


@pytest.mark.parametrize("without_dwi", [(), (1,), (0, 2)])
@pytest.mark.parametrize(("alpha", "beta", "gamma"), [(1.0, 1.0, 1.2), (0.5, 2.0, 30.0)])
def test_joint_loss_equals_numpy(without_dwi, alpha, beta, gamma):
    output, target = make_batch(without_dwi=without_dwi)
    torch.manual_seed(1)
    encoder = ContextEncoder()
    logits, pseudo_dwi, feature = output
    labels, dwi, weight = target
    expected = sum(segmentation_by_numpy(logits, labels, weight))
    expected += alpha * similarity_by_numpy(encoder, pseudo_dwi, dwi, weight, gamma)
    expected += beta * similarity_by_numpy(encoder, feature, dwi, weight, gamma)
    found = JointLoss(encoder, alpha, beta, gamma)(output, target)
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("ignored", [False, True])
def test_the_lesion_factor_weighs_the_lesion_in_the_synthesis_only(ignored):
    output, target = make_batch(without_dwi=(1,))
    labels, dwi, weight = target
    assert (labels == 1).any()
    encoder = ContextEncoder()
    loss = JointLoss(encoder, lesion_factor=4.0)
    if ignored:  # nobody knows what lies there: not the lesion's weight
        labels[:, :, :2] = 2
        loss.segmentation.ignore_label = 2
    found = loss(output, target)
    in_synthesis = torch.where(labels == 1, 4 * weight, weight)
    expected = loss.terms["L_s"].item()
    for image in output[1:]:
        expected += similarity_by_numpy(encoder, image, dwi, in_synthesis, 1.2)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    plain = JointLoss(encoder)
    plain.segmentation.ignore_label = loss.segmentation.ignore_label
    plain(output, target)
    assert loss.terms["L_s"].item() == pytest.approx(plain.terms["L_s"].item(), rel=1e-6)
    assert loss.terms["synthesis_pixel"] > plain.terms["synthesis_pixel"]


def test_the_spread_term_is_added_with_its_weight():
    output, target = make_batch()
    encoder = ContextEncoder()
    without = JointLoss(encoder)(output, target).item()
    loss = JointLoss(encoder, spread_weight=0.5)
    found = loss(output, target)
    found.backward()
    collapse = loss.terms["context_collapse"].item()
    assert collapse > 0 and found.item() == pytest.approx(without + 0.5 * collapse, rel=1e-5)


@pytest.mark.parametrize("without_dwi", [(), (1,)])
def test_the_relative_context_term_does_not_depend_on_the_encoders_scale(without_dwi):
    output, target = make_batch(without_dwi=without_dwi)
    encoder = ContextEncoder().requires_grad_(False)
    plain = JointLoss(encoder)
    plain(output, target)
    found = []
    for factor in (1.0, 100.0):
        scaled = lambda image, factor=factor: factor * encoder(image)  # noqa: E731
        loss = JointLoss(scaled, relative_context=True)
        loss(output, target).backward()
        found.append(loss.terms["synthesis_context"].item())
    expected = plain.terms["synthesis_context"] / plain.terms["context_spread"]
    assert found[0] == pytest.approx(expected.item(), rel=1e-4)
    assert found[1] == pytest.approx(found[0], rel=1e-4) and found[0] > 0


@pytest.mark.parametrize("without_dwi", [(0, 1), (0, 1, 2)])
def test_without_two_dwis_the_relative_context_term_is_nothing(without_dwi):
    output, target = make_batch(without_dwi=without_dwi)
    loss = JointLoss(ContextEncoder(), relative_context=True)
    value = loss(output, target)
    value.backward()
    assert value.isfinite() and all(image.grad.isfinite().all() for image in output)
    assert not loss.terms["synthesis_context"] > 0


def test_segmentation_loss_equals_numpy():
    output, target = make_batch()
    loss = SegmentationLoss()
    wce, hgd = segmentation_by_numpy(output[0], target[0], target[2])
    assert loss(output, target).item() == pytest.approx(wce + hgd, rel=1e-5)
    assert loss.terms["L_wce"].item() == pytest.approx(wce, rel=1e-5)
    assert loss.terms["L_hgd"].item() == pytest.approx(hgd, rel=1e-5)


def test_segmentation_loss_takes_lists_with_and_without_dwi():
    (logits, *_), (labels, dwi, weight) = make_batch()
    loss = SegmentationLoss()
    values = {
        loss(logits, [labels, weight]).item(),
        loss([logits], [labels, weight]).item(),
        loss([logits], [labels, dwi, weight]).item(),
        loss(logits, [labels.float(), weight]).item(),
    }
    assert len(values) == 1


def test_logits_alone_give_the_segmentation_loss():
    output, target = make_batch()
    loss = JointLoss(ContextEncoder())
    loss(output, target)
    assert loss(output[0], target).item() == SegmentationLoss()(output[0], target).item()
    assert set(loss.terms) == SEGMENTATION_TERMS


def test_sample_without_dwi_contributes_the_segmentation_only():
    output, target = make_batch(without_dwi=(1,))
    JointLoss(ContextEncoder())(output, target).backward()
    logits, pseudo_dwi, feature = output
    assert all(value.grad.isfinite().all() for value in output)
    assert (logits.grad[1] != 0).any()
    for image in (pseudo_dwi, feature):
        assert (image.grad[1] == 0).all()
        assert (image.grad[0] != 0).any() and (image.grad[2] != 0).any()


def test_batch_without_any_dwi():
    output, target = make_batch(without_dwi=(0, 1, 2))
    encoder = ContextEncoder()
    loss = JointLoss(encoder)
    value = loss(output, target)
    value.backward()
    assert value.item() == loss.terms["L_s"].item()
    assert all((p.grad == 0).all() for p in encoder.parameters())
    assert (output[1].grad == 0).all() and (output[2].grad == 0).all()
    assert {name for name, term in loss.terms.items() if term.isnan()} == {
        "synthesis_pixel",
        "synthesis_context",
        "feature_pixel",
        "feature_context",
        "context_spread",
    }, "such a batch says nothing about the synthesis, and nothing but that"


def test_context_encoder_is_trained_from_both_sides():
    """Phi_c(I_d) is not detached: with I_g = F_h = 0 only it can move the filters."""
    output, target = make_batch()
    with torch.no_grad():
        output[1].zero_()
        output[2].zero_()
    encoder = ContextEncoder()
    JointLoss(encoder)(output, target).backward()
    assert (encoder.layers[0].weight.grad != 0).any()


def test_terms():
    output, target = make_batch(without_dwi=(0,))
    loss = JointLoss(ContextEncoder(), alpha=2.0, beta=3.0, gamma=1.5)
    value = loss(output, target)
    terms = loss.terms
    assert set(terms) == ALL_TERMS
    assert not any(term.requires_grad or term.ndim for term in terms.values())
    recombined = (
        terms["L_wce"]
        + terms["L_hgd"]
        + 2 * (terms["synthesis_pixel"] + 1.5 * terms["synthesis_context"])
        + 3 * (terms["feature_pixel"] + 1.5 * terms["feature_context"])
    )
    torch.testing.assert_close(recombined, value.detach())


def test_context_spread():
    output, target = make_batch(n=4, without_dwi=(2,))
    encoder = ContextEncoder()
    loss = JointLoss(encoder)
    loss(output, target)
    with torch.no_grad():
        contexts = encoder(target[1][[0, 1, 3]]).double().numpy()
    assert contexts.std() > 0
    expected = contexts.std(axis=0).mean()
    assert loss.terms["context_spread"].item() == pytest.approx(expected, rel=1e-3)
    target[1] = target[1][:1].expand(4, -1, -1, -1)
    loss(output, target)
    assert loss.terms["context_spread"].item() < 1e-6


def test_context_encoder_stays_the_networks():
    encoder = ContextEncoder()
    loss = JointLoss(encoder)
    assert list(loss.parameters()) == []
    assert loss.state_dict() == {}
    network = nn.ModuleDict({"context_encoder": encoder})
    network.double()
    output, target = make_batch()
    wide = [value.detach().double() for value in output]
    assert loss(wide, [value.double() for value in target]).dtype == torch.float64


def test_without_context_encoder_the_pixel_terms_remain():
    output, target = make_batch()
    loss = JointLoss(None)
    value = loss(output, target)
    with_encoder = JointLoss(ContextEncoder(), gamma=0.0)
    assert value.item() == pytest.approx(with_encoder(output, target).item())
    assert set(loss.terms) == SEGMENTATION_TERMS | {"synthesis_pixel", "feature_pixel"}


def test_weights_of_zero_leave_terms_in_the_log_and_out_of_the_gradient():
    output, target = make_batch()
    loss = JointLoss(ContextEncoder())
    loss.beta = 0.0
    loss(output, target).backward()
    assert (output[2].grad == 0).all() and (output[1].grad != 0).any()
    assert "feature_pixel" in loss.terms

    output, target = make_batch()
    loss.alpha = 0.0
    assert loss(output, target).item() == loss.terms["L_s"].item()


def test_without_a_feature():
    (logits, pseudo_dwi, _), target = make_batch()
    loss = JointLoss(ContextEncoder())
    loss((logits, pseudo_dwi, None), target).backward()
    assert "feature_pixel" not in loss.terms and "synthesis_pixel" in loss.terms


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast(dtype):
    """Outputs in half precision, as a network under autocast returns them."""
    output, target = make_batch(without_dwi=(1,))
    encoder = ContextEncoder()
    loss = JointLoss(encoder)
    half = [value.detach().to(dtype).requires_grad_() for value in output]
    expected = loss([value.detach().float() for value in half], target)
    with torch.autocast("cpu", dtype=dtype):
        value = loss(half, target)
    value.backward()
    torch.testing.assert_close(value, expected)
    assert all(x.grad.isfinite().all() for x in half)
    assert all(p.grad.isfinite().all() for p in encoder.parameters())


@pytest.mark.parametrize("without_dwi", [(), (1,), (0, 1, 2)])
def test_nothing_in_the_losses_waits_for_the_gpu(without_dwi):
    output, target = make_batch(without_dwi=without_dwi)
    loss = JointLoss(ContextEncoder())
    with NoWaiting():
        loss(output, target).backward()
    assert all(torch.isfinite(value.grad).all() for value in output)


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.sum() > 0),
        lambda x: float(x[0]),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: x.unique(),
    ],
)
def test_waiting_would_be_noticed(wait):
    x = torch.rand(4)
    with NoWaiting(), pytest.raises(AssertionError, match="waits for the GPU"):
        wait(x)
