import pytest
import torch
from torch import nn

from nnunetv2_strokesynth.papers.wang2020.fcn import FCN


def test_parameter_count_as_in_table_3():
    with torch.device("meta"):
        count = sum(p.numel() for p in FCN(4, 2).parameters())
    assert count == 18_644_322
    assert f"{count / 1e6:.2f}" == "18.64"


def test_layers():
    network = FCN(4, 2, base_features=4)
    convolutions = [m for m in network.encoder.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels // 4 for m in convolutions] == [1, 1, 2, 2, *[4] * 3, *[8] * 6]
    assert not any(isinstance(m, nn.BatchNorm2d) for m in network.encoder.modules())
    assert [block[0].out_channels for block in network.decoder] == [32, 16, 8, 4, 2]
    assert [type(m) for m in network.decoder[0]] == [nn.ConvTranspose2d, nn.ReLU, nn.BatchNorm2d]


def test_shape_is_kept_and_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    network = FCN(3, 2, base_features=4)
    out = network(torch.randn(2, 3, 96, 64))
    assert out.shape == (2, 2, 96, 64)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("level", range(4))
def test_skip_is_the_pooled_map_after_the_norm(level):
    """With the deconvolution above it silenced, what comes in next is the pooled map alone."""
    torch.manual_seed(0)
    network = FCN(1, 1, base_features=4).eval()
    silenced = network.decoder[3 - level]
    with torch.no_grad():
        silenced[0].weight.zero_()
        silenced[0].bias.zero_()
    seen = {}
    network.encoder[level].register_forward_hook(lambda m, args, out: seen.update(pooled=out))
    following = network.decoder[4 - level]
    following.register_forward_pre_hook(lambda m, args: seen.update(following=args[0]))
    network(torch.randn(1, 1, 64, 32))
    assert seen["pooled"].abs().max() > 0
    torch.testing.assert_close(seen["following"], seen["pooled"], rtol=0, atol=0)


def test_output_is_linear():
    torch.manual_seed(0)
    network = FCN(1, 1, base_features=4).eval()
    x = torch.randn(1, 1, 32, 32)
    out = network(x)
    with torch.no_grad():
        network.head.bias.add_(7)
    torch.testing.assert_close(network(x), out + 7)


@pytest.mark.parametrize("size", [(48, 32), (32, 80)])
def test_size_that_is_no_multiple_of_32_is_refused(size):
    with pytest.raises(ValueError, match=rf"multiples of 32, found \({size[0]}, {size[1]}\)"):
        FCN(1, 1, base_features=2)(torch.zeros(1, 1, *size))
