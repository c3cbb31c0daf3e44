import math

import pytest
import torch

from nnunetv2_strokesynth.networks.squeeze_excite import SqueezeExcite


@pytest.mark.parametrize("spatial", [(4, 6), (2, 4, 6)])
def test_hand_value(spatial):
    block = SqueezeExcite(2)
    with torch.no_grad():
        block.squeeze.weight.copy_(torch.eye(2))
        block.squeeze.bias.zero_()
        block.excite.weight.copy_(torch.tensor([[0.0, 0.0], [1.0, 5.0]]))
        block.excite.bias.copy_(torch.tensor([0.0, 0.5]))
    x = torch.zeros(1, 2, *spatial)
    # Channel means 1 and -2; ReLU gives 1 and 0; the gates are sigmoid(0) and sigmoid(1 + 0.5).
    x[:, 0, ..., ::2] = 2.0
    x[:, 1] = -2.0
    out = block(x)
    torch.testing.assert_close(out[:, 0], x[:, 0] / 2)
    torch.testing.assert_close(out[:, 1], x[:, 1] / (1 + math.exp(-1.5)))


@pytest.mark.parametrize("channels", [1, 3, 64])
def test_parameter_count(channels):
    count = sum(p.numel() for p in SqueezeExcite(channels).parameters())
    assert count == 2 * channels**2 + 2 * channels


def test_reduction_narrows_the_hidden_layer():
    block = SqueezeExcite(16, reduction=4)
    assert block.squeeze.weight.shape == (4, 16)
    assert block(torch.randn(2, 16, 3, 3)).shape == (2, 16, 3, 3)


def test_samples_are_gated_separately():
    torch.manual_seed(0)
    block = SqueezeExcite(3)
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(block(x)[1:], block(x[1:]))
    gates = block(x) / x
    assert (gates > 0).all() and (gates < 1).all()
    assert not torch.allclose(gates[0], gates[1])
