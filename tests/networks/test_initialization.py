import torch
from torch import nn

from nnunetv2_strokesynth.networks.initialization import xavier_init


def test_xavier_init():
    torch.manual_seed(0)
    convolution = nn.Conv2d(8, 24, 3)
    xavier_init(convolution)
    bound = (6 / (8 * 9 + 24 * 9)) ** 0.5
    assert (convolution.bias == 0).all()
    assert 0.95 * bound < convolution.weight.abs().max() <= bound
    norm = nn.BatchNorm2d(4)
    xavier_init(norm)
    assert (norm.weight == 1).all()
