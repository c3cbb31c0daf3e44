import pytest
import torch
from torch import nn

from nnunetv2_strokesynth.papers.shared.unet import UNet
from nnunetv2_strokesynth.papers.wang2020.resunet import ResidualBlock, ResUNet


def n_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_parameter_count():
    """That of the U-Net plus a 1x1 convolution with bias and a norm per block."""
    widths = [64, 128, 256, 512, 1024]
    down = [(4, 64), (64, 128), (128, 256), (256, 512), (512, 1024)]
    up = [(2 * width, width) for width in widths[:-1]]
    shortcuts = sum(width_in * width + 3 * width for width_in, width in down + up)
    with torch.device("meta"):
        assert n_parameters(ResUNet(4, 2)) == 32_445_890 == n_parameters(UNet(4, 2)) + shortcuts


def test_shape_is_kept_and_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    network = ResUNet(3, 2, base_features=4)
    out = network(torch.randn(2, 3, 48, 32))
    assert out.shape == (2, 2, 48, 32)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("silenced", ["body", "shortcut"])
def test_block_sums_both_paths_before_the_relu(silenced):
    """A path whose last norm gives -0.5 everywhere lowers the other one before the ReLU."""
    torch.manual_seed(0)
    block = ResidualBlock(2, 3)
    norm = getattr(block, silenced)[-1]
    nn.init.zeros_(norm.weight)
    nn.init.constant_(norm.bias, -0.5)
    other = block.body if silenced == "shortcut" else block.shortcut
    x = torch.randn(2, 2, 6, 4)
    torch.testing.assert_close(block(x), (other(x) - 0.5).clamp(min=0))


@pytest.mark.parametrize("level", range(4))
def test_every_skip_reaches_the_output(level):
    """Without anything from below, the decoder block sees its skip alone."""
    torch.manual_seed(0)
    network = ResUNet(1, 1, base_features=4).eval()
    with torch.no_grad():
        up = network.up[3 - level]
        up.weight.zero_()
        up.bias.zero_()
    plain, other = torch.randn(2, 1, 1, 32, 32)
    assert (network(plain) - network(other)).abs().max() > 1e-6


@pytest.mark.parametrize("size", [(40, 32), (32, 17)])
def test_size_that_is_no_multiple_of_16_is_refused(size):
    with pytest.raises(ValueError, match=rf"multiples of 16, found \({size[0]}, {size[1]}\)"):
        ResUNet(1, 1, base_features=2)(torch.zeros(1, 1, *size))
