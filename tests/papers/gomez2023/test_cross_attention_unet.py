"""Gomez 2023: the shape of the network and its heads."""

import pytest
import torch
from torch.nn import functional as F

from nnunetv2_strokesynth.papers.gomez2023.cross_attention_unet import CrossAttentionUNet


def small(in_channels=2, out_channels=1, **options):
    torch.manual_seed(0)
    return CrossAttentionUNet(in_channels, out_channels, base_features=2, **options)


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
