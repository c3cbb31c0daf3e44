"""The augmentation of Gomez 2023: its steps, and what must survive all of them."""

import math

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms

from nnunetv2_strokesynth.papers.gomez2023.augmentation import (
    OpticalDistortion,
    gomez2023_augmentation,
)
from nnunetv2_strokesynth.papers.shared.radial_distortion import distortion_grid

SIZE, PATCH = 80, (64, 64)
ROTATION = (-math.radians(7), math.radians(7))
INTENSITY = ("BrightnessAdditiveTransform", "ContrastTransform")


def sample():
    """A bright lesion with a soft edge; a frame outside the brain mask (-1)."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    blob = torch.exp(-(((y - 34) / 10.0) ** 2) - ((x - 47) / 12.0) ** 2)
    labels = (blob > 0.5).to(torch.int16)[None]
    outside = torch.ones(1, SIZE, SIZE, dtype=torch.bool)
    outside[:, 12:-12, 12:-12] = False
    labels[outside] = -1
    return torch.stack((blob, blob + 1)), labels


def name(step):
    return type(getattr(step, "transform", step)).__name__


def augmented(seed, mask=(True, False), without=()):
    np.random.seed(seed)  # noqa: NPY002  (batchgenerators draws from the global generator)
    torch.manual_seed(seed)
    image, labels = sample()
    steps = gomez2023_augmentation(PATCH, ROTATION, (0, 1), mask).transforms
    transforms = ComposeTransforms([step for step in steps if name(step) not in without])
    return transforms(image=image, segmentation=labels)


def steps(mask=(True,)):
    transforms = gomez2023_augmentation((192, 224), ROTATION, (0, 1), mask).transforms
    return {name(step): getattr(step, "transform", step) for step in transforms}


def test_steps_are_those_of_the_thesis():
    assert list(steps()) == [
        "GridDistortion", "OpticalDistortion", "SpatialTransform", "MirrorTransform",
        "BrightnessAdditiveTransform", "ContrastTransform", "MaskImageTransform",
        "RemoveLabelTransform",
    ]  # fmt: skip
    assert "MaskImageTransform" not in steps(mask=(False,))
    assert "MaskImageTransform" not in steps(mask=None)


def test_rotation_and_elastic_but_no_scaling():
    spatial = steps()["SpatialTransform"]
    assert spatial.rotation == ROTATION and spatial.p_rotation > 0
    assert spatial.p_elastic_deform > 0 and spatial.p_scaling == 0
    assert max(spatial.elastic_deform_magnitude) == pytest.approx(0.025 * 192)
    assert steps()["MirrorTransform"].allowed_axes == (0, 1)


@pytest.mark.parametrize("seed", range(12))
def test_lesion_follows_the_image(seed):
    result = augmented(seed, without=INTENSITY)
    image, labels = result["image"], result["segmentation"]
    assert image.shape == (2, *PATCH) and labels.shape == (1, *PATCH)
    assert set(labels.unique().tolist()) == {0, 1}, "-1 has become background"
    for channel, edge in zip(image, (0.5, 1.5), strict=True):
        agree = (channel > edge) == (labels[0] > 0)
        assert agree.float().mean() > 0.98


@pytest.mark.parametrize("seed", range(12))
def test_intensities_leave_the_lesion_brighter_and_the_labels_alone(seed):
    result, plain = augmented(seed), augmented(seed, without=INTENSITY)
    lesion = result["segmentation"] > 0
    assert torch.equal(result["segmentation"], plain["segmentation"])
    for channel in result["image"]:
        assert channel[lesion[0]].mean() > channel[~lesion[0]].mean() + 0.2


def test_masked_channels_are_zero_outside_the_mask():
    for seed in range(6):
        result = augmented(seed)
        raw = augmented(seed, without=("MaskImageTransform", "RemoveLabelTransform"))
        outside = raw["segmentation"][0] == -1
        masked = torch.where(outside, 0.0, raw["image"][0])
        torch.testing.assert_close(result["image"], torch.stack((masked, raw["image"][1])))
        torch.testing.assert_close(result["segmentation"][0], raw["segmentation"][0].clamp(min=0))


def test_beyond_the_image_counts_as_outside_the_mask():
    labels = torch.ones(1, 21, 21, dtype=torch.int16)
    labels[:, 10, 10] = -1
    grid = distortion_grid((21, 21), 0.5)
    found = OpticalDistortion()._apply_to_segmentation(labels, grid=grid)
    assert found.dtype == torch.int16
    beyond = (grid[0].abs() > 1).any(dim=-1)
    assert beyond.any() and (found[0][beyond] == -1).all()
    assert found[0, 10, 10] == -1 and found[0, 8, 8] == 1


def test_every_step_happens_in_some_sample():
    """Flips move the lesion to all four quadrants; brightness and contrast change the values."""
    quadrants, means, ranges = set(), [], []
    for seed in range(40):
        result = augmented(seed, mask=None)
        y, x = (result["segmentation"][0] > 0).nonzero().float().mean(dim=0).tolist()
        quadrants.add((y > 32, x > 32))
        channel = result["image"][1]
        means.append(channel.mean().item())
        ranges.append((channel.max() - channel.min()).item())
    assert len(quadrants) == 4
    assert max(means) - min(means) > 0.3
    assert max(ranges) - min(ranges) > 0.05


def test_a_scan_smaller_than_the_patch_is_padded_with_outside():
    transforms = gomez2023_augmentation(PATCH, ROTATION, (0, 1), (True, False)).transforms
    spatial = next(step for step in transforms if name(step) == "SpatialTransform")
    labels = torch.ones(1, 40, 40, dtype=torch.int16)
    for seed in range(6):
        np.random.seed(seed)  # noqa: NPY002
        padded = spatial(image=labels.float(), segmentation=labels)["segmentation"][0]
        assert (padded[:4] == -1).all() and (padded[:, -4:] == -1).all()
        assert (padded[20:44, 20:44] == 1).all()
