import numpy as np
import pytest
import torch
from torch import nn

from nnunetv2_strokesynth.papers.abulnaga2018.pspnet import (
    ChannelPSPNet,
    Initialiser,
    PSPNet,
    PyramidPooling,
    dilated_resnet50,
)

# (width, blocks) of the four stages of He et al. 2016, Table 1, 50 layers.
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def conv_norm(width_in: int, width: int, kernel: int) -> int:
    return kernel**2 * width_in * width + 2 * width


def resnet50_count() -> int:
    count, width_in = conv_norm(3, 64, 7), 64
    for width, n_blocks in STAGES:
        count += conv_norm(width_in, 4 * width, 1)  # the projection of the first block
        for _ in range(n_blocks):
            count += conv_norm(width_in, width, 1) + conv_norm(width, width, 3)
            count += conv_norm(width, 4 * width, 1)
            width_in = 4 * width
    return count


def test_parameter_count_of_each_part():
    with torch.device("meta"):
        network = PSPNet()
    assert {name: n_parameters(part) for name, part in network.named_children()} == {
        "initialiser": 2 * 5 + 5 * 3,
        "backbone": resnet50_count(),
        "pyramid": 4 * conv_norm(2048, 512, 1),
        "head": conv_norm(4096, 512, 3) + 512 * 2 + 2,
    }
    assert n_parameters(network) == 46_582_875


def test_backbone_keeps_an_eighth_of_the_sides():
    with torch.device("meta"):
        backbone = dilated_resnet50()
        assert backbone(torch.empty(2, 3, 256, 192)).shape == (2, 2048, 32, 24)
    dilations = {
        name: {m.dilation[0] for m in stage.modules() if isinstance(m, nn.Conv2d)}
        for name, stage in backbone.named_children()
    }
    # The block that would have been strided keeps the dilation of the stage before it.
    assert dilations["layer2"] == {1} and dilations["layer3"] == {1, 2}
    assert dilations["layer4"] == {1, 2, 4}


def test_initialiser_equals_equation_1():
    rng = np.random.default_rng(0)
    x = rng.normal(3, 2, (4, 5, 6, 7))
    layer = Initialiser(5).double()
    scale, shift, kernel = rng.normal(size=5), rng.normal(size=5), rng.normal(size=(3, 5))
    with torch.no_grad():
        layer[0].weight.copy_(torch.from_numpy(scale))
        layer[0].bias.copy_(torch.from_numpy(shift))
        layer[1].weight.copy_(torch.from_numpy(kernel)[:, :, None, None])
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    standard = (x - mean[:, None, None]) / np.sqrt(var + 1e-5)[:, None, None]
    normalised = scale[:, None, None] * standard + shift[:, None, None]
    expected = np.einsum("oc,bcyx->boyx", kernel, normalised)
    np.testing.assert_allclose(layer(torch.from_numpy(x)).detach().numpy(), expected, atol=1e-10)
    assert layer[1].bias is None


def pooled(x: np.ndarray, side: int) -> np.ndarray:
    out = np.empty((*x.shape[:2], side, side))
    for i, j in np.ndindex(side, side):
        rows, columns = (
            slice(int(np.floor(k * n / side)), int(np.ceil((k + 1) * n / side)))
            for k, n in ((i, x.shape[2]), (j, x.shape[3]))
        )
        out[:, :, i, j] = x[:, :, rows, columns].mean(axis=(2, 3))
    return out


def enlarged(x: np.ndarray, sides: tuple[int, int]) -> np.ndarray:
    """Bilinear between pixel centres, the edge values continued."""
    for axis, side in zip((2, 3), sides, strict=True):
        n = x.shape[axis]
        position = np.clip((np.arange(side) + 0.5) * n / side - 0.5, 0, n - 1)
        low = np.floor(position).astype(int)
        high = np.minimum(low + 1, n - 1)
        shape = [-1 if k == axis else 1 for k in range(4)]
        share = (position - low).reshape(shape)
        x = np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share
    return x


def test_pyramid_equals_numpy():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(2, 4, 7, 8))
    torch.manual_seed(0)
    layer = PyramidPooling(4, 3).double().eval()
    expected = [x]
    for branch, side in zip(layer.branches, (1, 2, 3, 6), strict=True):
        convolution, norm, _ = branch[1]
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
        weight = convolution.weight.detach().numpy()[:, :, 0, 0]
        y = np.einsum("oc,bcyx->boyx", weight, pooled(x, side))
        mean, var = norm.running_mean.numpy(), norm.running_var.numpy()
        y = (y - mean[:, None, None]) / np.sqrt(var + norm.eps)[:, None, None]
        expected.append(enlarged(np.maximum(y, 0), (7, 8)))
    found = layer(torch.from_numpy(x)).detach().numpy()
    assert found.shape == (2, 4 + 4 * 3, 7, 8)
    np.testing.assert_allclose(found, np.concatenate(expected, axis=1), atol=1e-10)


def test_shape_is_kept_and_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    network = PSPNet()
    out = network(torch.randn(2, 5, 24, 16))
    assert out.shape == (2, 2, 24, 16)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_a_training_batch_of_one_is_refused_and_predicts():
    network = PSPNet()
    x = torch.randn(1, 5, 16, 16)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        network(x)
    assert network.eval()(x).isfinite().all()


def test_it_sees_its_channels_in_their_order():
    torch.manual_seed(0)
    indices = (0, 4, 1, 2, 3)
    network = ChannelPSPNet(indices).eval()
    x = torch.randn(1, 7, 16, 16)
    changed = x.repeat(7, 1, 1, 1)
    changed[range(7), range(7)] += 1
    with torch.no_grad():
        logits = network(x)
        seen = [not torch.allclose(other, logits[0], atol=1e-6) for other in network(changed)]
    assert seen == [True] * 5 + [False] * 2
    received = {}
    network.initialiser.register_forward_hook(lambda m, args, out: received.update(x=args[0]))
    network.return_heads = True
    with torch.no_grad():
        heads = network(x)
    assert isinstance(heads, tuple) and len(heads) == 1
    torch.testing.assert_close(heads[0], logits)
    assert torch.equal(received["x"], x[:, list(indices)])


@pytest.mark.parametrize("size", [(20, 16), (16, 12)])
def test_size_that_is_no_multiple_of_8_is_refused(size):
    with torch.device("meta"):
        network = PSPNet()
        with pytest.raises(ValueError, match=rf"multiples of 8, found \({size[0]}, {size[1]}\)"):
            network(torch.empty(2, 5, *size))
