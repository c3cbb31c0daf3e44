"""The networks of Wang et al. 2020 and Song & Huang 2018: sizes, initialisation, inputs."""

import torch
from torch import nn

from nnunetv2_strokesynth.networks.context_encoder import ContextEncoder
from nnunetv2_strokesynth.papers.shared.synthesis_networks import synthesis_networks
from nnunetv2_strokesynth.papers.shared.unet import SLNet, UNet
from nnunetv2_strokesynth.papers.wang2020.discriminator import MultiScaleDiscriminator


def test_papers_networks_have_the_papers_sizes():
    with torch.device("meta"):
        network = synthesis_networks()
        for part, expected in (
            ("extractor", UNet(6, 1, base_features=32)),
            ("generator", UNet(6, 1)),
            ("segmenter", SLNet(1, 2)),
            ("context_encoder", ContextEncoder()),
        ):
            found = {key: v.shape for key, v in getattr(network, part).state_dict().items()}
            assert found == {key: v.shape for key, v in expected.state_dict().items()}, part


def test_papers_networks_are_xavier_initialised():
    network = synthesis_networks(base_features=8)
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            assert (module.bias == 0).all()
            area = module.weight[0, 0].numel()
            bound = (6 / (area * (module.in_channels + module.out_channels))) ** 0.5
            assert module.weight.abs().max() <= bound


def test_with_a_discriminator_the_generators_channels_come_fourth():
    network = synthesis_networks(
        base_features=4,
        generator_inputs=("CBF", "MIP"),
        discriminator=MultiScaleDiscriminator,
        return_heads=True,
    )
    x = torch.randn(2, 12, 32, 32)
    logits, pseudo_dwi, feature, condition = network(x)
    assert feature is None and torch.equal(condition, x[:, [1, 5]])
    scores = network.discriminator(torch.cat((condition, pseudo_dwi), dim=1))
    assert scores[0].shape[:2] == (2, 1)
    network.return_heads = False
    assert network(x).shape == logits.shape


def test_two_encoders_and_normalised_inputs():
    network = synthesis_networks(
        preset="song2018",
        base_features=4,
        with_real_context_encoder=True,
        context_length=14,
        normalise_inputs=True,
    )
    assert network.context_encoder is not network.real_context_encoder
    assert network.real_context_encoder(torch.rand(1, 1, 32, 32)).shape == (1, 14)
    for part, n_inputs in (("extractor", 11), ("generator", 6), ("segmenter", 1)):
        norm = getattr(network, part)[0]
        assert isinstance(norm, nn.BatchNorm2d) and norm.num_features == n_inputs
        assert not norm.affine
