import pytest
import torch
from torch import nn

from nnunetv2_strokesynth.networks.squeeze_excite import SqueezeExcite
from nnunetv2_strokesynth.papers.shared.switchable_norm import SwitchableNorm2d
from nnunetv2_strokesynth.papers.shared.unet import (
    SLNet,
    UNet,
)


def n_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: UNet(4, 2), 31_044_162),
        (lambda: UNet(6, 1, base_features=32), 7_766_849),
        # SE: sum of 2 c^2 + 2 c over 64 .. 1024; SN: six mixing weights in each of 18 norms.
        (lambda: SLNet(4, 2), 31_044_162 + 2_797_440 + 108),
        (lambda: UNet(4, 2, squeeze_excite=True), 31_044_162 + 2_797_440),
        (lambda: UNet(4, 2, norm_op=SwitchableNorm2d), 31_044_162 + 108),
    ],
    ids=["UNet", "extractor", "SLNet", "SLNet w/o SN", "SLNet w/o SE"],
)
def test_parameter_count(build, expected):
    with torch.device("meta"):
        assert n_parameters(build()) == expected


@pytest.mark.parametrize(
    ("build", "millions"),
    [
        (lambda: UNet(4, 2), "31.04"),
        (lambda: SLNet(4, 2), "33.84"),
        (lambda: UNet(4, 2, norm_op=SwitchableNorm2d), "31.04"),
        (lambda: UNet(4, 2, squeeze_excite=True), "33.84"),
    ],
)
def test_parameter_count_as_in_table_4(build, millions):
    with torch.device("meta"):
        assert f"{n_parameters(build()) / 1e6:.2f}" == millions


@pytest.mark.parametrize("cls", [UNet, SLNet])
def test_shape_is_kept_and_every_parameter_gets_a_gradient(cls):
    torch.manual_seed(0)
    network = cls(3, 2, base_features=4)
    out = network(torch.randn(2, 3, 48, 32))
    assert out.shape == (2, 2, 48, 32)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_output_is_linear():
    torch.manual_seed(0)
    network = UNet(1, 1, base_features=4).eval()
    x = torch.randn(1, 1, 32, 32)
    out = network(x)
    with torch.no_grad():
        network.head.bias.add_(7)
    torch.testing.assert_close(network(x), out + 7)


@pytest.mark.parametrize("level", range(4))
def test_every_skip_reaches_the_output(level):
    """Without anything from below, the decoder block sees its skip alone."""
    torch.manual_seed(0)
    network = UNet(1, 1, base_features=4).eval()
    with torch.no_grad():
        up = network.up[3 - level]
        up.weight.zero_()
        up.bias.zero_()
    plain, other = torch.randn(2, 1, 1, 32, 32)
    assert (network(plain) - network(other)).abs().max() > 1e-6


def test_slnet_has_no_batch_norm_and_five_gates():
    network = SLNet(1, 2, base_features=4)
    kinds = [type(module) for module in network.modules()]
    assert nn.BatchNorm2d not in kinds
    assert kinds.count(SwitchableNorm2d) == 18
    widths = [m.squeeze.in_features for m in network.modules() if isinstance(m, SqueezeExcite)]
    assert widths == [4, 8, 16, 32, 64]


@pytest.mark.parametrize("size", [(40, 32), (32, 17)])
def test_size_that_is_no_multiple_of_16_is_refused(size):
    with pytest.raises(ValueError, match=rf"multiples of 16, found \({size[0]}, {size[1]}\)"):
        UNet(1, 1, base_features=2)(torch.zeros(1, 1, *size))


def test_state_dict_round_trip():
    torch.manual_seed(0)
    network, twin = SLNet(1, 2, base_features=4), SLNet(1, 2, base_features=4)
    network(torch.randn(2, 1, 32, 32))
    twin.load_state_dict(network.state_dict())
    x = torch.randn(1, 1, 32, 32)
    torch.testing.assert_close(twin.eval()(x), network.eval()(x))
