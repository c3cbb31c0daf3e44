"""Clerigues et al. 2019: the published parameter counts, the layout, and sampled dropout."""

import numpy as np
import pytest
import torch
from torch import nn

from nnunetv2_strokesynth.papers.clerigues2019.asymmetric_unet import (
    AlphaDropout,
    AsymmetricResidualUNet,
    Down,
    ResidualBlock,
)


def n_parameters(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(("n_inputs", "published"), [(5, 592_250), (10, 592_610)])
def test_published_number_of_parameters(n_inputs, published):
    assert n_parameters(AsymmetricResidualUNet(n_inputs, 2)) == published


def test_three_quarters_of_the_parameters_are_in_the_encoder():
    network = AsymmetricResidualUNet(10, 2)
    encoder = sum(n_parameters(part) for part in (network.stem, network.encoder, network.down))
    assert encoder / n_parameters(network) == pytest.approx(0.75, abs=0.02)


def test_latent_space_of_a_patch_is_128_maps_of_4x4():
    network = AsymmetricResidualUNet(5, 2).eval()
    seen = []
    network.encoder[-1].register_forward_hook(lambda m, i, o: seen.append(tuple(o.shape)))
    assert network(torch.zeros(1, 5, 64, 64)).shape == (1, 2, 64, 64)
    assert seen == [(1, 128, 4, 4)]


def test_sides_must_be_multiples_of_16():
    with pytest.raises(ValueError, match="multiples of 16"):
        AsymmetricResidualUNet(5, 2)(torch.zeros(1, 5, 64, 56))


def test_residual_block_against_numpy():
    """One channel, weights by hand: y = x + b + w * prelu((x - mean) / sqrt(var + 1e-3))."""
    block = ResidualBlock(1, 1).double().eval()
    norm, prelu, convolution = block.layers
    with torch.no_grad():
        norm.running_mean.fill_(0.5)
        norm.running_var.fill_(4.0)
        prelu.weight.fill_(0.25)
        convolution.weight.zero_()
        convolution.weight[0, 0, 1, 2] = 3.0  # the pixel to the right
        convolution.bias.fill_(0.1)
    x = np.random.default_rng(0).normal(size=(6, 6))
    z = (x - 0.5) / np.sqrt(4.0 + 1e-3)
    z = np.where(z > 0, z, 0.25 * z)
    expected = x + 0.1
    expected[:, :-1] += 3 * z[:, 1:]
    found = block(torch.from_numpy(x)[None, None])[0, 0].detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_down_puts_the_pooled_features_beside_the_convolved_ones():
    down = Down(2).eval()
    x = torch.randn(1, 2, 8, 8)
    y = down(x)
    assert y.shape == (1, 4, 4, 4)
    pooled = x.numpy().reshape(1, 2, 4, 2, 4, 2).max(axis=(3, 5))
    np.testing.assert_array_equal(y[:, :2].detach().numpy(), pooled)


def _blocks_with(network, kind):
    where = [name for name, m in network.named_modules() if isinstance(m, kind)]
    return [name.split(".")[:2] for name in where]


def test_training_drops_feature_maps_in_the_three_deepest_encoder_levels_only():
    network = AsymmetricResidualUNet(5, 2)
    deepest = [["encoder", str(k)] for k in (2, 3, 4)]
    assert _blocks_with(network, nn.Dropout2d) == deepest
    assert all(m.p == 0.2 for m in network.modules() if isinstance(m, nn.Dropout2d))
    # conv, dropout, norm, PReLU, conv: the order of the released code.
    kinds = [type(layer).__name__ for layer in network.encoder[4].layers]
    assert kinds[2:6] == ["Conv2d", "Dropout2d", "BatchNorm2d", "PReLU"]


def test_prediction_drops_values_there_and_in_the_two_deepest_decoder_levels():
    where = _blocks_with(AsymmetricResidualUNet(5, 2), AlphaDropout)
    assert where == [["encoder", str(k)] for k in (2, 3, 4)] + [["decoder", "0"], ["decoder", "1"]]


def test_norms_are_the_released_codes():
    norms = [m for m in AsymmetricResidualUNet(5, 2).modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms and all((m.eps, m.momentum) == (1e-3, 0.01) for m in norms)


def test_alpha_dropout_gives_the_two_values_of_pytorchs():
    dropout = AlphaDropout().eval()
    x = torch.ones(1, 4, 100, 100, dtype=torch.float64)
    assert torch.equal(dropout(x), x)
    dropout.rate, dropout.generator = 0.1, torch.Generator().manual_seed(3)
    y = dropout(x)
    torch.manual_seed(0)
    pytorchs = nn.functional.alpha_dropout(x, 0.1, training=True)
    np.testing.assert_allclose(np.unique(y), np.unique(pytorchs), rtol=1e-6)
    assert (y == y.min()).double().mean() == pytest.approx(0.1, abs=0.01)
    assert torch.equal(dropout.train()(x), x)


def test_alpha_dropout_keeps_mean_and_variance():
    dropout = AlphaDropout().eval()
    dropout.rate, dropout.generator = 0.1, torch.Generator().manual_seed(3)
    x = torch.randn(1, 4, 200, 200, generator=torch.Generator().manual_seed(1))
    y = dropout(x)
    assert y.mean() == pytest.approx(0, abs=0.02) and y.var() == pytest.approx(1, abs=0.02)


def test_sampling_ends_with_its_block():
    network = AsymmetricResidualUNet(5, 2, 4).eval()
    x = torch.randn(1, 5, 32, 32)
    plain = network(x)
    with network.sampling(0.5, torch.Generator().manual_seed(0)):
        assert not torch.equal(network(x), plain)
    assert torch.equal(network(x), plain)
