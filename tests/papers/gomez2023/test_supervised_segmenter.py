"""Gomez 2023: what becomes of the heads inside nnU-Net."""

import numpy as np
import torch

from nnunetv2_strokesynth.papers.gomez2023.cross_attention_unet import CrossAttentionUNet
from nnunetv2_strokesynth.papers.gomez2023.supervised_segmenter import (
    SupervisedSegmenter,
    from_one_map,
    merge_boundary,
)


def small(in_channels=2, out_channels=1, **options):
    torch.manual_seed(0)
    return CrossAttentionUNet(in_channels, out_channels, base_features=2, **options)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_softmax_of_one_map_is_its_sigmoid():
    z = np.random.default_rng(0).normal(scale=4, size=(2, 1, 3, 4))
    found = softmax(from_one_map(torch.from_numpy(z)).numpy())
    np.testing.assert_allclose(found[:, 1], 1 / (1 + np.exp(-z[:, 0])))


def test_merged_probability_is_lesion_plus_boundary():
    logits = np.random.default_rng(0).normal(scale=4, size=(2, 3, 3, 4))
    merged = merge_boundary(torch.from_numpy(logits)).numpy()
    before, after = softmax(logits), softmax(merged)
    assert after.shape == (2, 2, 3, 4)
    np.testing.assert_allclose(after[:, 0], before[:, 0])
    np.testing.assert_allclose(after[:, 1], before[:, 1] + before[:, 2])


def test_merging_large_logits_is_finite():
    merged = merge_boundary(torch.tensor([[[[-1e4]], [[2e4]], [[2e4]]]]))
    torch.testing.assert_close(merged[0, :, 0, 0], torch.tensor([-1e4, 20000.693147]))


def test_segmenter_returns_two_classes_first_and_its_heads_only_in_training():
    network = small(out_channels=3)
    supervised = SupervisedSegmenter(
        network, merge_boundary, input_indices=(3, 1), return_heads=True
    ).eval()
    x = torch.randn(2, 5, 64, 64)
    logits, *heads = supervised(x)
    expected = network(x[:, [3, 1]])
    for found, head in zip(heads, expected, strict=True):
        torch.testing.assert_close(found, head)
    torch.testing.assert_close(logits, merge_boundary(expected[-1]))
    supervised.return_heads = False
    torch.testing.assert_close(supervised(x), logits)


def test_segmenter_without_indices_reads_every_channel():
    network = small(out_channels=1)
    supervised = SupervisedSegmenter(network, from_one_map).eval()
    x = torch.randn(1, 2, 64, 64)
    torch.testing.assert_close(supervised(x)[:, 1:], network(x)[-1])
