"""Where the midline is, and what lies opposite."""

import numpy as np
import pytest
import torch

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.networks import PSEUDO_DWI, ChannelSegmenter, planned_networks
from nnunetv2_strokesynth.networks.contralateral import beside_mirrored, midline_px

NAMES = PRESETS["wang2020"].names
CBF = NAMES.index("CBF")


def numpy_mirror(image, midline):
    """Pixel by pixel: what stands as far to the other side of the midline."""
    found = np.empty_like(image)
    width = image.shape[-1]
    for column in range(width):
        opposite = int(np.clip(np.round(2 * midline - column), 0, width - 1))
        found[..., column] = image[..., opposite]
    return found


def test_midline_is_the_mean_column_of_the_brain():
    brain = torch.zeros(3, 1, 4, 10)
    brain[0, 0, 1:3, 2:7] = -1.5  # columns 2 to 6
    brain[1, 0, 0, 3] = brain[1, 0, :3, 8] = 1.0  # one pixel at 3, three at 8
    expected = [4.0, (3 + 3 * 8) / 4, 4.5]  # without brain the image's centre
    torch.testing.assert_close(midline_px(brain), torch.tensor(expected))


def test_an_image_without_zeros_is_mirrored_about_its_centre():
    image = torch.randn(2, 3, 5, 7)
    midline = midline_px(torch.ones(2, 1, 5, 7))
    torch.testing.assert_close(beside_mirrored(image, midline)[:, 3:], image.flip(-1))


@pytest.mark.parametrize("midlines", [(4.0, 4.5), (2.2, 7.9)])
def test_mirror_image_equals_the_definition(midlines):
    image = torch.randn(2, 3, 5, 10)
    found = beside_mirrored(image, torch.tensor(midlines))
    assert torch.equal(found[:, :3], image)
    for sample, midline in enumerate(midlines):
        expected = numpy_mirror(image[sample].numpy(), np.float32(midline))
        np.testing.assert_array_equal(found[sample, 3:].numpy(), expected)


def test_a_shifted_brain_has_the_shifted_mirror_image():
    image = torch.zeros(1, 1, 6, 20)
    image[..., 3:12] = torch.rand(1, 1, 6, 9) + 0.5
    shifted = image.roll(4, dims=-1)
    first, second = (beside_mirrored(x, midline_px(x))[:, 1:] for x in (image, shifted))
    assert torch.equal(first.roll(4, dims=-1), second)


def test_gradient_comes_back_to_the_opposite_side():
    image = torch.zeros(1, 1, 1, 5, requires_grad=True)
    beside_mirrored(image, torch.tensor([2.0]))[0, 1, 0, 0].backward()
    assert image.grad.flatten().tolist() == [0, 0, 0, 0, 1]


@pytest.fixture
def scan():
    """One slice with a brain, and the same with another left side."""
    x = torch.randn(1, len(NAMES), 32, 32, generator=torch.Generator().manual_seed(0))
    x[:, CBF, :, :4] = x[:, CBF, :, 28:] = 0.0
    other = x.clone()
    other[..., 4:6] += 3.0
    return x, other


@pytest.mark.parametrize("contralateral", [True, False])
def test_segmenter_sees_the_other_side(architecture, scan, contralateral):
    """The first layer, which reaches one pixel, notices a change thirty pixels away."""
    torch.manual_seed(0)
    network = planned_networks(
        architecture, "wang2020", 2, segmenter_inputs=NAMES, contralateral=contralateral
    )
    assert isinstance(network, ChannelSegmenter)
    seen = []
    network.segmenter.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for x in scan:
        network(x)
    assert seen[0].shape[1] == len(NAMES) * (2 if contralateral else 1)
    changed = (seen[0] != seen[1])[0].any(dim=0).any(dim=0)
    right = [26, 27] if contralateral else []
    assert torch.nonzero(changed).flatten().tolist() == [4, 5, *right]


def test_generator_sees_the_other_side_and_the_feature_last(architecture, scan):
    network = planned_networks(
        architecture,
        "wang2020",
        2,
        segmenter_inputs=(*NAMES, PSEUDO_DWI),
        contralateral=True,
        synthesis_width=0.5,
    )
    seen = []
    network.generator.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    x, _ = scan
    _, feature = network.synthesize(x)
    (inputs,) = seen
    maps = x[:, [NAMES.index(name) for name in ("CBF", "CBV", "MTT", "Tmax", "MIP")]]
    assert torch.equal(inputs[:, :5], maps)
    expected = numpy_mirror(maps[0].numpy(), np.float32(15.5))
    np.testing.assert_array_equal(inputs[0, 5:10].detach().numpy(), expected)
    assert torch.equal(inputs[:, 10:], feature)
