import numpy as np
import pytest
import torch
from scipy.signal import correlate
from torch import nn

from nnunetv2_strokesynth.papers.wang2020.r2unet import (
    R2UNet,
    RecurrentConv,
    RecurrentResidualBlock,
)


@pytest.mark.parametrize("steps", [0, 2])
def test_parameter_count_as_in_table_3(steps):
    """The recurrences share their weights: the count does not depend on them."""
    with torch.device("meta"):
        count = sum(p.numel() for p in R2UNet(4, 2, steps=steps).parameters())
    assert count == 39_091_522
    assert f"{count / 1e6:.2f}" == "39.09"


def test_shape_is_kept_and_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    network = R2UNet(3, 2, base_features=4)
    out = network(torch.randn(2, 3, 48, 32))
    assert out.shape == (2, 2, 48, 32)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def conv_norm_relu(x: np.ndarray, layer: nn.Sequential) -> np.ndarray:
    """Batch statistics, straight from the definitions, in float64."""
    conv, norm = layer[0], layer[1]
    weight = conv.weight.detach().numpy()
    y = np.concatenate(
        [
            correlate(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), kernel[None], mode="valid")
            for kernel in weight
        ],
        axis=1,
    )
    y += conv.bias.detach().numpy()[:, None, None]
    y = (y - y.mean((0, 2, 3), keepdims=True)) / np.sqrt(y.var((0, 2, 3), keepdims=True) + 1e-5)
    scale, shift = (p.detach().numpy()[:, None, None] for p in (norm.weight, norm.bias))
    return np.maximum(y * scale + shift, 0)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_recurrence_equals_the_formula(steps):
    torch.manual_seed(0)
    layer = RecurrentConv(3, steps).double()
    nn.init.normal_(layer.layer[1].weight)
    nn.init.normal_(layer.layer[1].bias)
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    expected = conv_norm_relu(x.numpy(), layer.layer)
    for _ in range(steps):
        expected = conv_norm_relu(x.numpy() + expected, layer.layer)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, atol=1e-10)


def test_one_convolution_runs_three_times():
    layer = RecurrentConv(2, steps=2)
    assert sum(isinstance(m, nn.Conv2d) for m in layer.modules()) == 1
    calls = []
    layer.layer[0].register_forward_hook(lambda m, args, out: calls.append(m))
    layer(torch.randn(1, 2, 4, 4))
    assert len(calls) == 3


def test_block_adds_its_projected_input():
    """Scale and shift of the last norm at zero leave the 1x1 convolution alone."""
    torch.manual_seed(0)
    block = RecurrentResidualBlock(2, 3, steps=2)
    nn.init.zeros_(block.recurrent[1].layer[1].weight)
    nn.init.zeros_(block.recurrent[1].layer[1].bias)
    x = torch.randn(2, 2, 4, 4)
    expected = torch.einsum("bcyx,oc->boyx", x, block.project.weight[:, :, 0, 0])
    torch.testing.assert_close(block(x), expected + block.project.bias[:, None, None])


@pytest.mark.parametrize("level", range(4))
def test_every_skip_reaches_the_output(level):
    """Without anything from below, the decoder block sees its skip alone."""
    torch.manual_seed(0)
    network = R2UNet(1, 1, base_features=4).eval()
    with torch.no_grad():
        norm = network.up[3 - level][2]
        norm.weight.zero_()
        norm.bias.zero_()
    plain, other = torch.randn(2, 1, 1, 32, 32)
    assert (network(plain) - network(other)).abs().max() > 1e-6


@pytest.mark.parametrize("size", [(40, 32), (32, 17)])
def test_size_that_is_no_multiple_of_16_is_refused(size):
    with pytest.raises(ValueError, match=rf"multiples of 16, found \({size[0]}, {size[1]}\)"):
        R2UNet(1, 1, base_features=2)(torch.zeros(1, 1, *size))
