import pytest
import torch
from torch import nn

from nnunetv2_strokesynth.papers.abulnaga2018.unet3d import UNet3d

PUBLISHED = 19_069_955  # Cicek et al. 2016, section 2


def n_parameters(network: nn.Module, *, with_norms: bool = True) -> int:
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm3d)]
    n_all = sum(p.numel() for p in network.parameters())
    return n_all - (0 if with_norms else sum(2 * norm.num_features for norm in norms))


def test_parameter_count_as_published():
    with torch.device("meta"):
        assert n_parameters(UNet3d(3, 3, scale=(2, 2, 2)), with_norms=False) == PUBLISHED


def test_parameter_count_with_in_plane_scales():
    with torch.device("meta"):
        network = UNet3d(5, 2)
        cubic = UNet3d(5, 2, scale=(2, 2, 2))
    assert n_parameters(network) == 17_700_034
    # Each up-convolution has half the weights; nothing else differs.
    up_weights = 8 * (512**2 + 256**2 + 128**2)
    assert n_parameters(cubic) - n_parameters(network) == up_weights // 2


def test_features_of_each_level():
    with torch.device("meta"):
        network = UNet3d(5, 2)
    widths = [[layer[0].out_channels for layer in block] for block in network.encoder]
    assert widths == [[32, 64], [64, 128], [128, 256], [256, 512]]
    assert [block[0][0].in_channels for block in network.decoder] == [768, 384, 192]
    assert [up.kernel_size for up in network.up] == [up.stride for up in network.up]


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_few_slices_are_kept_and_every_parameter_gets_a_gradient(depth):
    torch.manual_seed(0)
    network = UNet3d(3, 2, base_features=4)
    seen = []
    network.encoder[-1].register_forward_hook(lambda m, args, out: seen.append(out.shape[2:]))
    out = network(torch.randn(1, 3, depth, 24, 32))
    assert out.shape == (1, 2, depth, 24, 32)
    assert seen == [(depth, 3, 4)]
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_slices_influence_their_neighbours():
    torch.manual_seed(0)
    network = UNet3d(1, 1, base_features=4).eval().double()
    x = torch.randn(1, 1, 3, 16, 16, dtype=torch.float64)
    changed = x.clone()
    changed[:, :, 0] += 1
    assert not torch.allclose(network(x)[:, :, 1], network(changed)[:, :, 1])


def test_output_is_linear():
    torch.manual_seed(0)
    network = UNet3d(1, 1, base_features=4).eval()
    x = torch.randn(1, 1, 2, 16, 16)
    out = network(x)
    with torch.no_grad():
        network.head.bias.add_(7)
    torch.testing.assert_close(network(x), out + 7)


@pytest.mark.parametrize("size", [(20, 16), (16, 12)])
def test_size_that_is_no_multiple_of_8_is_refused(size):
    with pytest.raises(ValueError, match=rf"multiples of 8, found \({size[0]}, {size[1]}\)"):
        UNet3d(1, 1, base_features=2)(torch.zeros(1, 1, 2, *size))
