import pytest
import torch
from torch import nn

from nnunetv2_strokesynth.papers.abulnaga2018.vnet import ResidualStage, VNet


def conv(width_in: int, width: int, volume: int) -> int:
    return volume * width_in * width + width


def stage(width: int, n_convs: int) -> int:
    return n_convs * (conv(width, width, 27) + width)  # a PReLU for each


def test_parameter_count():
    encoder = sum(stage(w, n) for w, n in ((32, 2), (64, 3), (128, 3), (256, 3)))
    first = conv(5, 16, 27) + 16 + conv(5, 16, 1)  # convolution, PReLU, shortcut
    down = sum(conv(w, 2 * w, 4) + 2 * w for w in (16, 32, 64, 128))
    up = sum(conv(w_in, w, 4) + w for w_in, w in ((256, 128), (256, 64), (128, 32), (64, 16)))
    decoder = sum(stage(w, n) for w, n in ((256, 3), (128, 3), (64, 2), (32, 1)))
    with torch.device("meta"):
        found = sum(p.numel() for p in VNet(5, 2).parameters())
    assert found == first + encoder + down + up + decoder + conv(32, 2, 1) == 14_307_346


def test_kernels_of_abulnaga_and_rubin():
    with torch.device("meta"):
        network = VNet(5, 2)
    resampling = [*(block[0] for block in network.down), *(block[0] for block in network.up)]
    assert {(layer.kernel_size, layer.stride) for layer in resampling} == {((1, 2, 2), (1, 2, 2))}
    assert [type(layer) for layer in resampling] == [nn.Conv3d] * 4 + [nn.ConvTranspose3d] * 4
    for block in [*network.encoder, *network.decoder]:
        kernels = {m.kernel_size for m in block.body if isinstance(m, nn.Conv3d)}
        assert kernels == {(3, 3, 3)}


def test_residual_stage_adds_its_input():
    torch.manual_seed(0)
    block = ResidualStage(4, 4, 3).double()
    x = torch.randn(1, 4, 2, 5, 6, dtype=torch.float64)
    expected = block.body(x) + x
    expected = torch.where(expected > 0, expected, 0.25 * expected)  # PReLU as it begins
    torch.testing.assert_close(block(x), expected)
    kinds = [type(layer) for layer in block.body]
    assert kinds == [nn.Conv3d, nn.PReLU, nn.Conv3d, nn.PReLU, nn.Conv3d]


def test_skips_join_equal_levels():
    """A decoder stage receives the encoder's features first, then as many up-sampled ones."""
    torch.manual_seed(0)
    network = VNet(3, 2, base_features=2)
    encoded, received = [], []
    for block in network.encoder:
        block.register_forward_hook(lambda m, args, out: encoded.append(out))
    for block in network.decoder:
        block.register_forward_hook(lambda m, args, out: received.append(args[0]))
    network(torch.randn(1, 3, 2, 32, 16))
    assert [x.shape[1] for x in encoded] == [2, 4, 8, 16, 32]
    for skip, joined in zip(encoded[-2::-1], received, strict=True):
        assert joined.shape[1] == 2 * skip.shape[1]
        assert torch.equal(joined[:, : skip.shape[1]], skip)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_few_slices_are_kept_and_every_parameter_gets_a_gradient(depth):
    torch.manual_seed(0)
    network = VNet(3, 2, base_features=4)
    out = network(torch.randn(1, 3, depth, 32, 16))
    assert out.shape == (1, 2, depth, 32, 16)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_output_is_linear():
    torch.manual_seed(0)
    network = VNet(1, 1, base_features=4).eval()
    x = torch.randn(1, 1, 2, 16, 16)
    out = network(x)
    with torch.no_grad():
        network.head.bias.add_(7)
    torch.testing.assert_close(network(x), out + 7)


@pytest.mark.parametrize("size", [(24, 16), (16, 40)])
def test_size_that_is_no_multiple_of_16_is_refused(size):
    with pytest.raises(ValueError, match=rf"multiples of 16, found \({size[0]}, {size[1]}\)"):
        VNet(1, 1, base_features=2)(torch.zeros(1, 1, 2, *size))
