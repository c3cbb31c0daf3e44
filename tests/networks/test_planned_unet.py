import copy

import pytest
import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from torch import nn

from nnunetv2_strokesynth.networks.planned_unet import PlannedImageNet, planned_unet
from nnunetv2_strokesynth.networks.squeeze_excite import SqueezeExcite
from nnunetv2_strokesynth.papers.shared.switchable_norm import SwitchableNorm2d

SIZE = (32, 48)


def stock_network(architecture: dict, in_channels: int, out_channels: int) -> nn.Module:
    return get_network_from_plans(
        architecture["network_class_name"],
        architecture["arch_kwargs"],
        architecture["_kw_requires_import"],
        in_channels,
        out_channels,
        deep_supervision=False,
    )


def test_is_nnunets_network(architecture):
    torch.manual_seed(3)
    ours = planned_unet(architecture, 2, 3)
    torch.manual_seed(3)
    stock = stock_network(architecture, 2, 3)
    x = torch.randn(2, 2, *SIZE)
    assert torch.equal(ours(x), stock(x))
    assert ours(x).shape == (2, 3, *SIZE)


def test_image_net_is_the_same_network_under_other_names(architecture):
    torch.manual_seed(3)
    ours = PlannedImageNet(architecture, 2)
    torch.manual_seed(3)
    stock = planned_unet(architecture, 2, 1)
    x = torch.randn(2, 2, *SIZE)
    assert torch.equal(ours(x), stock(x))
    names = {name: value.shape for name, value in ours.state_dict().items()}
    assert not any(".seg_layers." in name for name in names)
    assert len(names) == len(stock.state_dict())
    assert names["output.weight"] == stock.decoder.seg_layers[-1].weight.shape


@pytest.mark.parametrize("squeeze_excite", [False, True])
def test_every_parameter_gets_a_gradient(architecture, squeeze_excite):
    """DistributedDataParallel fails at the second step otherwise."""
    network = planned_unet(architecture, 2, 1, squeeze_excite=squeeze_excite)
    network(torch.randn(2, 2, *SIZE)).square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_squeeze_excite_follows_each_encoder_stage(architecture):
    torch.manual_seed(0)
    network = planned_unet(architecture, 1, 2, squeeze_excite=True)
    gates = [m for m in network.modules() if isinstance(m, SqueezeExcite)]
    assert [gate.squeeze.in_features for gate in gates] == [4, 8, 16, 16]
    x = torch.randn(1, 1, *SIZE)
    open_output = network(x)
    with torch.no_grad():
        gates[0].excite.bias.fill_(-20)
    assert not torch.allclose(network(x), open_output)


def test_other_norm_replaces_the_plans(architecture):
    network = planned_unet(architecture, 1, 2, norm_op=SwitchableNorm2d)
    kinds = [type(module) for module in network.modules()]
    assert nn.InstanceNorm2d not in kinds
    stock_kinds = [type(module) for module in stock_network(architecture, 1, 2).modules()]
    assert kinds.count(SwitchableNorm2d) == stock_kinds.count(nn.InstanceNorm2d) > 0
    network(torch.randn(2, 1, *SIZE)).mean().backward()


def test_the_plans_norm_kwargs_are_passed_on(architecture):
    architecture = copy.deepcopy(architecture)
    architecture["arch_kwargs"]["norm_op_kwargs"] = {"eps": 0.25}
    network = planned_unet(architecture, 1, 1, norm_op=SwitchableNorm2d)
    found = {m.eps for m in network.modules() if isinstance(m, SwitchableNorm2d)}
    assert found == {0.25}


def test_half_width(architecture):
    network = planned_unet(architecture, 6, 1, width=0.5)
    assert network.encoder.output_channels == [2, 4, 8, 8]
    assert network(torch.randn(1, 6, *SIZE)).shape == (1, 1, *SIZE)


def test_architecture_is_left_unchanged(architecture):
    before = copy.deepcopy(architecture)
    planned_unet(architecture, 1, 1, width=0.5, norm_op=SwitchableNorm2d)
    assert architecture == before
