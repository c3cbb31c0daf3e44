"""Gomez 2023: the attention formula, the shape of the network, its heads and what they become."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from nnunetv2_strokesynth.papers.gomez2023.cross_attention_unet import (
    CrossAttention,
    CrossAttentionUNet,
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


def test_attention_equals_the_formula():
    torch.manual_seed(0)
    attention = CrossAttention(4, 3).double()
    skip = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    decoded = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    found = attention(skip, decoded).detach().numpy()
    w_e, w_d, w_s = (
        layer.weight.detach().numpy()[:, :, 0, 0]
        for layer in (attention.w_e, attention.w_d, attention.w_s)
    )
    assert w_e.shape == (2, 4) and w_d.shape == (2, 3) and w_s.shape == (1, 2)
    x_e, x_d = skip.numpy(), decoded.numpy()
    for b, y, x in np.ndindex(2, 5, 6):
        s = np.maximum(w_e @ x_e[b, :, y, x] + w_d @ x_d[b, :, y, x], 0)
        weight = 1 / (1 + np.exp(-(w_s @ s)))
        np.testing.assert_allclose(found[b, :, y, x], weight * x_e[b, :, y, x])
    n_parameters = sum(p.numel() for p in attention.parameters())
    assert n_parameters == w_e.size + w_d.size + w_s.size, "no biases, no norm"


def count_by_hand(in_channels, out_channels, *, attention, n_heads):
    """Parameters with c = 32, layer by layer."""
    widths = [32, 64, 128, 256, 512, 1024]

    def block(width_in, width):
        convolutions = 9 * width_in * width + width + 9 * width * width + width
        return convolutions + 2 * 2 * width  # scale and shift of two batch norms

    n = sum(block(a, b) for a, b in zip([in_channels, *widths[:-1]], widths, strict=True))
    for below, width in zip([1024, 1024, 512, 256, 128, 64], widths[::-1], strict=True):
        n += block(below + width, width)
        if attention:
            n += (width + below) * width // 2 + width // 2
    return n + sum((width + 1) * out_channels for width in widths[:n_heads])


@pytest.mark.parametrize(
    ("out_channels", "attention", "deep_supervision", "expected"),
    [
        (3, True, True, 61_352_386),
        (1, True, True, 61_348_342),
        (3, False, True, 59_779_026),
        (1, False, False, 59_772_993),
    ],
)
def test_parameter_count(out_channels, attention, deep_supervision, expected):
    with torch.device("meta"):
        network = CrossAttentionUNet(
            5, out_channels, attention=attention, deep_supervision=deep_supervision
        )
    n_heads = 6 if deep_supervision else 1
    assert sum(p.numel() for p in network.parameters()) == expected
    assert count_by_hand(5, out_channels, attention=attention, n_heads=n_heads) == expected


def test_levels():
    """Embedding 64 times smaller; each decoder level twice as large as the one below."""
    network = small().eval()
    inputs, outputs = [], []
    for level in network.decoder:
        level.register_forward_pre_hook(lambda module, args: inputs.append(args))
        level.register_forward_hook(lambda module, args, out: outputs.append(out.shape[1:]))
    network(torch.randn(1, 2, 64, 128))
    assert inputs[0][0].shape[1:] == (64, 1, 2)
    widths = [64, 32, 16, 8, 4, 2]
    sizes = [(2 ** (k + 1), 2 ** (k + 2)) for k in range(6)]
    expected = [(width, *size) for width, size in zip(widths, sizes, strict=True)]
    assert outputs == expected
    assert [skip.shape[1:] for _, skip in inputs] == expected


@pytest.mark.parametrize("attention", [True, False])
def test_block_sees_the_refined_skip_and_the_upsampled_map(attention):
    level = small(attention=attention).eval().decoder[2]
    seen = {}
    level.block.register_forward_pre_hook(lambda module, args: seen.update(joined=args[0]))
    torch.manual_seed(1)
    x, skip = torch.randn(1, 32, 3, 4), torch.randn(1, 16, 6, 8)
    level(x, skip)
    up = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    refined = level.attention(skip, up) if attention else skip
    assert attention != torch.equal(refined, skip)
    torch.testing.assert_close(seen["joined"], torch.cat((refined, up), dim=1))


def test_heads_are_full_size_coarse_to_fine():
    """Head k is the thesis's: bilinear interpolation of level k, then a 1x1 convolution."""
    network = small(out_channels=3).eval()
    decoded = []
    for level in network.decoder:
        level.register_forward_hook(lambda module, args, out: decoded.append(out))
    heads = network(torch.randn(2, 2, 64, 64))
    assert len(heads) == 6
    for head, features, found in zip(network.heads, decoded, heads, strict=True):
        resized = F.interpolate(features, size=(64, 64), mode="bilinear", align_corners=False)
        torch.testing.assert_close(found, head(resized), atol=1e-5, rtol=1e-4)


def test_without_deep_supervision_the_finest_head_is_left():
    full, single = small().eval(), small(deep_supervision=False).eval()
    weights = {k: v for k, v in full.state_dict().items() if not k.startswith("heads")}
    finest = {f"heads.0.{name}": getattr(full.heads[-1], name) for name in ("weight", "bias")}
    single.load_state_dict({**weights, **finest})
    x = torch.randn(1, 2, 64, 64)
    (found,) = single(x)
    torch.testing.assert_close(found, full(x)[-1])


@pytest.mark.parametrize(
    "options", [{}, {"attention": False}, {"attention": False, "deep_supervision": False}]
)
def test_every_parameter_gets_a_gradient(options):
    network = small(**options)
    sum(head.square().mean() for head in network(torch.randn(2, 2, 64, 64))).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("size", [(96, 64), (64, 32)])
def test_size_that_is_no_multiple_of_64_is_refused(size):
    with pytest.raises(ValueError, match=rf"multiples of 64, found \({size[0]}, {size[1]}\)"):
        small()(torch.zeros(1, 2, *size))


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
