"""What the arena's candidates compute that the package does not."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

CANDIDATES = Path(__file__).parents[2] / "benchmarks" / "arena" / "candidates"


@pytest.fixture(scope="module")
def candidates():
    spec = importlib.util.spec_from_file_location("candidates", CANDIDATES / "arena_trainers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numpy_mirror(image, midline):
    """Pixel by pixel: what stands as far to the other side of the midline."""
    found = np.empty_like(image)
    width = image.shape[-1]
    for column in range(width):
        opposite = int(np.clip(np.round(2 * midline - column), 0, width - 1))
        found[..., column] = image[..., opposite]
    return found


def test_midline_is_the_mean_column_of_the_brain(candidates):
    image = torch.ones(3, 2, 4, 10)
    image[:, 1] = 0.0
    image[0, 1, 1:3, 2:7] = -1.5  # columns 2 to 6
    image[1, 1, 0, 3] = image[1, 1, :3, 8] = 1.0  # one pixel at 3, three at 8
    expected = [4.0, (3 + 3 * 8) / 4, 4.5]  # without brain the image's centre
    found = candidates.BesideMirrored(1).midline_px(image)
    torch.testing.assert_close(found, torch.tensor(expected))


def test_mirror_image_equals_the_definition(candidates):
    image = torch.rand(2, 3, 5, 10) + 0.5
    image[0, 1, :, 7:] = 0.0  # brain in columns 0 to 6 and 2 to 9
    image[1, 1, :, :2] = 0.0
    found = candidates.BesideMirrored(1)(image)
    assert torch.equal(found[:, :3], image)
    for sample, midline in enumerate((3.0, 5.5)):
        expected = numpy_mirror(image[sample].numpy(), midline)
        np.testing.assert_array_equal(found[sample, 3:].numpy(), expected)


def test_two_heads_are_one_networks_outputs(candidates):
    unet = nn.Conv2d(4, 3, 1)
    network = candidates.TwoHeads(unet, 2, return_heads=True)
    image = torch.randn(1, 4, 5, 6)
    logits, pseudo_dwi, feature = network(image)
    assert torch.equal(torch.cat((logits, pseudo_dwi), dim=1), unet(image))
    assert (logits.shape[1], feature) == (2, None)
    network.return_heads = False
    assert torch.equal(network(image), logits)
