"""Whatever a network gives, nnU-Net's sliding window can add it up in half precision."""

from types import SimpleNamespace

import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from torch import nn

from nnunetv2_strokesynth.networks.channel_segmenter import ChannelSegmenter
from nnunetv2_strokesynth.networks.logit_range import (
    LARGEST_LOGIT,
    within_half_precision,
)
from nnunetv2_strokesynth.networks.strokesynth_net import StrokeSynthNet
from nnunetv2_strokesynth.papers.abulnaga2018.pspnet import ChannelPSPNet
from nnunetv2_strokesynth.papers.gomez2023.supervised_segmenter import SupervisedSegmenter


class Exploded(nn.Module):
    """(B, C, Y, X) -> (B, n, Y, X): the first channel, times 1e5, with changing sign."""

    def __init__(self, n: int):
        super().__init__()
        self.n = n

    def forward(self, x):
        return torch.cat([x[:, :1] * 1e5 * (-1) ** k for k in range(self.n)], dim=1)


def exploded_pspnet(return_heads):
    network = ChannelPSPNet((0,), return_heads=return_heads).eval()
    nn.init.constant_(network.head[-1].weight, 0.0)
    network.head[-1].bias.data = torch.tensor([1e5, -1e5])
    return network


NETWORKS = {
    "ChannelSegmenter": lambda heads: ChannelSegmenter(Exploded(2), (0,), return_heads=heads),
    "StrokeSynthNet": lambda heads: StrokeSynthNet(
        None,
        Exploded(1),
        Exploded(2),
        None,
        frame_indices=(),
        generator_indices=(0,),
        return_heads=heads,
    ),
    "SupervisedSegmenter": lambda heads: SupervisedSegmenter(
        lambda x: [Exploded(2)(x)], lambda logits: logits, return_heads=heads
    ),
    "ChannelPSPNet": exploded_pspnet,
}
IMAGE = torch.rand(3, 2, 16, 16, generator=torch.Generator().manual_seed(0)) + 0.5


def predicted(network) -> torch.Tensor:
    """By nnU-Net's predictor with its Gaussian and mirroring, in overlapping tiles of 8 x 8."""
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.configuration_manager = SimpleNamespace(patch_size=(8, 8))
    predictor.label_manager = SimpleNamespace(num_segmentation_heads=2)
    predictor.network, predictor.allowed_mirroring_axes = network, (0, 1)
    return predictor.predict_sliding_window_return_logits(IMAGE)


@pytest.mark.parametrize("name", NETWORKS)
def test_nnunet_can_add_up_an_exploded_networks_tiles(name):
    network = NETWORKS[name](False)
    logits = network(IMAGE.transpose(0, 1)[:, :1])
    assert logits.abs().max() == LARGEST_LOGIT
    found = predicted(network)
    assert torch.isfinite(found).all()
    assert (found[0] > found[1]).all()


def test_nnunet_cannot_without_the_cut():
    with pytest.raises(RuntimeError, match="inf in predicted array"):
        predicted(Exploded(2))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_loss_sees_the_logits_as_they_are(name):
    logits, *_ = NETWORKS[name](True)(IMAGE.transpose(0, 1)[:, :1])
    assert logits.abs().max() > 10 * LARGEST_LOGIT


def test_ordinary_logits_are_untouched():
    logits = torch.linspace(-LARGEST_LOGIT, LARGEST_LOGIT, 41).reshape(1, 1, 41)
    assert torch.equal(within_half_precision(logits), logits)
