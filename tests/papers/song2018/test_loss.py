"""Song & Huang 2018, Eq. 1 to 3, against numpy."""

import math

import numpy as np
import pytest
import torch

from nnunetv2_strokesynth.losses.segmentation import SegmentationLoss
from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder
from nnunetv2_strokesynth.papers.song2018.loss import Song2018Loss

SIZE = 32


def make_batch(n=3, without_dwi=()):
    torch.manual_seed(0)
    logits = torch.randn(n, 2, SIZE, SIZE)
    pseudo_dwi, dwi = torch.rand(2, n, 1, SIZE, SIZE)
    feature = torch.randn(n, 1, SIZE, SIZE)
    labels = (torch.rand(n, 1, SIZE, SIZE) > 0.8).to(torch.int16)
    for index in without_dwi:
        dwi[index] = torch.nan
    output = tuple(value.requires_grad_() for value in (logits, pseudo_dwi, feature))
    return output, [labels, dwi, 0.5 + torch.rand(n, 1, SIZE, SIZE)]


@pytest.mark.parametrize("weighted", [True, False])
def test_loss_equals_numpy(weighted):
    output, target = make_batch(without_dwi=(1,))
    torch.manual_seed(1)
    encoders = ContextEncoder(14), ContextEncoder(14)
    segmentation = SegmentationLoss()
    loss = Song2018Loss(*encoders, segmentation=segmentation, weighted=weighted)
    value = loss(output, target)
    labels, dwi, weight = (v.double().numpy() for v in target)
    _, pseudo_dwi, feature = (v.detach().double().numpy() for v in output)
    l_e = np.abs(1 / (1 + np.exp(-feature)) - labels).mean()
    pixel, context = [], []
    for b in (0, 2):
        a = weight[b] if weighted else 1.0
        pixel.append(math.sqrt(((a * (pseudo_dwi[b] - dwi[b])) ** 2).sum()))
        with torch.no_grad():
            f_a = encoders[0](output[1][b : b + 1]).double().numpy()
            f_b = encoders[1](target[1][b : b + 1]).double().numpy()
        assert f_a.shape == (1, 14)
        context.append(math.sqrt(((f_a - f_b) ** 2).sum()))
    l_s = SegmentationLoss()(output, target).item()
    expected = l_e + 0.002 * np.mean(pixel) + 1.2 * np.mean(context) + l_s
    assert value.item() == pytest.approx(expected, rel=1e-4)
    assert loss.terms["feature_lesion"].item() == pytest.approx(l_e, rel=1e-5)
    assert loss.terms["synthesis_pixel"].item() == pytest.approx(np.mean(pixel), rel=1e-5)


def test_each_encoder_sees_its_own_image():
    output, target = make_batch()
    generated, real = ContextEncoder(14), ContextEncoder(14)
    loss = Song2018Loss(generated, real, segmentation=SegmentationLoss())
    loss(output, target).backward()
    assert any((p.grad != 0).any() for p in generated.parameters())
    assert any((p.grad != 0).any() for p in real.parameters())
    assert list(loss.parameters()) == []


def test_batch_without_any_dwi():
    output, target = make_batch(without_dwi=(0, 1, 2))
    encoders = ContextEncoder(14), ContextEncoder(14)
    loss = Song2018Loss(*encoders, segmentation=SegmentationLoss())
    loss(output, target).backward()
    assert (output[1].grad == 0).all() and (output[2].grad != 0).any()
    for encoder in encoders:
        assert all((p.grad == 0).all() for p in encoder.parameters())
    assert loss.terms["synthesis_pixel"].isnan() and loss.terms["feature_lesion"].isfinite()


def test_without_extractor_and_encoders():
    (logits, pseudo_dwi, _), target = make_batch()
    loss = Song2018Loss(None, None, segmentation=SegmentationLoss(), with_extractor=False)
    loss((logits, pseudo_dwi, None), target).backward()
    assert (pseudo_dwi.grad != 0).any()
    assert set(loss.terms) == {"L_s", "L_wce", "L_hgd", "synthesis_pixel"}
