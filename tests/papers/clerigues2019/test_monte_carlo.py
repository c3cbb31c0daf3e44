"""The mean over passes with dropout, as nnU-Net's predictor sees it."""

import numpy as np
import pytest
import torch

from nnunetv2_strokesynth.papers.clerigues2019.asymmetric_unet import AsymmetricResidualUNet
from nnunetv2_strokesynth.papers.clerigues2019.monte_carlo import MonteCarloSegmenter


@pytest.fixture
def make():
    def build(**options):
        torch.manual_seed(0)
        network = MonteCarloSegmenter(AsymmetricResidualUNet(2, 2, 4), (2, 0), **options).eval()
        with torch.no_grad():  # an untrained network hardly notices its deepest levels
            for parameter in network.parameters():
                parameter.mul_(1.5)
        return network

    return build


IMAGE = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_prediction_is_the_log_of_the_mean_probability(make):
    network = make()
    probs = network.sample_probabilities(IMAGE)
    assert probs.shape == (3, 2, 2, 32, 32)
    assert not torch.allclose(probs[0], probs[1])
    expected = np.log(np.mean(probs.detach().numpy(), axis=0))
    np.testing.assert_allclose(network(IMAGE).detach().numpy(), expected, atol=1e-5)
    softmax = network(IMAGE).softmax(dim=1)
    torch.testing.assert_close(softmax, probs.mean(dim=0), atol=1e-5, rtol=1e-5)


def test_a_pass_is_the_network_with_sampled_dropout(make):
    network = make(rate=0.3, seed=5)
    with network.segmenter.sampling(0.3, torch.Generator().manual_seed(5)):
        first = network.segmenter(IMAGE[:, [2, 0]]).softmax(dim=1)
    torch.testing.assert_close(network.sample_probabilities(IMAGE)[0], first)


def test_same_seed_same_prediction_whatever_came_before(make):
    network = make()
    before = network(IMAGE)
    torch.rand(7)
    network(IMAGE[:1])
    assert torch.equal(network(IMAGE), before)
    assert not torch.equal(make(seed=1)(IMAGE), before)


def test_no_passes_is_the_plain_network(make):
    network = make(n_passes=0)
    assert torch.equal(network(IMAGE), network.segmenter(IMAGE[:, [2, 0]]))


def test_while_it_trains_it_returns_the_logits_of_one_pass(make):
    network = make(return_heads=True)
    (logits,) = network(IMAGE)
    assert torch.equal(logits, network.segmenter(IMAGE[:, [2, 0]]))
