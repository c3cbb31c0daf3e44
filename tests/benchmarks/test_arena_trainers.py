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


def test_mixed_halves_are_two_samples_on_two_sides_of_a_line(candidates):
    torch.manual_seed(0)
    number = torch.arange(1.0, 9)[:, None, None, None].expand(8, 1, 32, 32)
    data, (labels, weight) = candidates.mixed_halves(
        torch.cat((number, 10 * number), dim=1), [number.to(torch.int16), -number], 1.0
    )
    assert torch.equal(data[:, 1:], 10 * data[:, :1])
    assert torch.equal(labels.float(), data[:, :1]) and torch.equal(weight, -data[:, :1])
    columns, rows = np.meshgrid(np.linspace(-0.5, 0.5, 32), np.linspace(-0.5, 0.5, 32))
    n_mixed = 0
    for sample, own in zip(data[:, 0].numpy(), range(1, 9), strict=True):
        other = sample != own
        assert len(np.unique(sample[other])) <= 1
        if other.any():
            n_mixed += 1
            # A straight line parts the two: least squares finds it almost without an error.
            terms = np.stack([rows.ravel(), columns.ravel(), np.ones(rows.size)], axis=1)
            line = np.linalg.lstsq(terms, 2.0 * other.ravel() - 1, rcond=None)[0]
            assert ((terms @ line > 0) == other.ravel()).mean() > 0.9
    assert n_mixed >= 4


def test_no_sample_is_mixed_at_a_probability_of_0(candidates):
    data, labels = torch.rand(4, 3, 8, 8), torch.rand(4, 1, 8, 8)
    mixed, (same,) = candidates.mixed_halves(data, [labels], 0.0)
    assert torch.equal(mixed, data) and torch.equal(same, labels)


def test_voxel_features_know_no_neighbours_and_no_level(candidates):
    torch.manual_seed(0)
    features = candidates.BesideVoxelFeatures(3, features=16)
    image = torch.randn(1, 3, 6, 6)
    found = features(image)
    assert torch.equal(found[:, :3], image) and found.shape[1] == 3 + 16
    changed = image.clone()
    changed[..., 2:, :] += 5
    assert torch.equal(features(changed)[..., :2, :], found[..., :2, :])


def test_gentle_augmentation_drops_what_changes_units(candidates):
    transforms = candidates.StrokeSynthTrainer_NoDWI.get_training_transforms(
        (32, 32), (-0.5, 0.5), None, (1,), False
    ).transforms
    dropped = [t for t in transforms if candidates._changes_units(t)]
    names = sorted(type(t.transform).__name__ for t in dropped)
    expected = ["ContrastTransform", "GammaTransform", "GammaTransform"]
    assert names == [*expected, "MultiplicativeBrightnessTransform"]
