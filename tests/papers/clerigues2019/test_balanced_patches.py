"""Half of the patches on lesion, half on healthy tissue, drawn for nnU-Net's loader."""

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform

from nnunetv2_strokesynth.papers.clerigues2019.balanced_patches import (
    BalancedPatches,
    RepeatedPatches,
)


class Cases:
    """One scan of 3 slices: outside -1, brain 0, a lesion of 4 x 5 pixels in slice 1."""

    identifiers = ("a",)

    def __init__(self):
        self.labels = np.full((1, 3, 100, 90), -1, np.int16)
        self.labels[:, :, 10:80, 10:70] = 0
        self.labels[0, 1, 40:44, 30:35] = 1

    def load_case(self, case_id):
        image = np.random.default_rng(0).normal(size=(2, 3, 100, 90)).astype(np.float32)
        return image, self.labels, None, {"class_locations": {1: "all"}, "spacing": 1}


def draw(dataset, n):
    stacks = [dataset.load_case("a") for _ in range(n)]
    centres = np.array([p["class_locations"][1][0, 1:] for _, _, _, p in stacks])
    marks = np.array([stack[:, 1, 5:6, 5:6][-1, 0, 0] for stack, *_ in stacks])
    return centres, marks


def test_half_are_near_the_lesion_half_are_healthy():
    np.random.seed(0)  # noqa: NPY002  (nnU-Net draws from it)
    dataset = BalancedPatches(Cases(), patch_side=16, patches_per_case=40)
    centres, marks = draw(dataset, 2000)
    z, y, x = centres.T
    # A patch of 16 contains the pixels from centre - 8 to centre + 7.
    rows = (y - 8 <= 43) & (y + 7 >= 40)
    columns = (x - 8 <= 34) & (x + 7 >= 30)
    contains = (z == 1) & rows & columns
    # The share of healthy voxels whose patch happens to contain lesion pixels.
    chance = (1 / 3) * (19 * 20 - 20) / (70 * 60)
    assert contains.mean() == pytest.approx(0.5 + 0.5 * chance, abs=0.035)
    labels = Cases().labels[0]
    inside = labels[tuple(centres[~contains].T)]
    assert (inside == 0).all(), "healthy patches are centred on brain without lesion"
    assert set(z) == {0, 1, 2}


def test_every_lesion_voxel_stays_in_its_patch_and_offsets_reach_half_a_patch():
    np.random.seed(0)  # noqa: NPY002  (nnU-Net draws from it)
    dataset = BalancedPatches(Cases(), patch_side=16, patches_per_case=40)
    voxels = dataset_voxels(dataset)
    only_lesion = voxels._replace(healthy=voxels.healthy[:0])
    dataset._voxels["a"] = only_lesion
    centres, _ = draw(dataset, 1000)
    z, y, x = centres.T
    assert (z == 1).all()
    assert y.min() == 40 - 7 and y.max() == 43 + 8
    assert x.min() == 30 - 7 and x.max() == 34 + 8


def dataset_voxels(dataset):
    dataset.load_case("a")
    return dataset._voxels["a"]


@pytest.mark.parametrize(("patches", "share"), [(20, 0.0), (40, 0.0), (80, 0.5), (200, 0.8)])
def test_share_of_repeated_lesion_patches(patches, share):
    """20 lesion voxels serve 20 patches; of more, the rest are repeats (half of all patches)."""
    np.random.seed(1)  # noqa: NPY002  (nnU-Net draws from it)
    dataset = BalancedPatches(Cases(), patch_side=16, patches_per_case=patches)
    _, marks = draw(dataset, 3000)
    assert set(marks) <= {0.0, 1.0}
    assert marks.mean() == pytest.approx(0.5 * share, abs=0.03)


def test_image_and_other_properties_are_untouched():
    dataset = BalancedPatches(Cases(), patch_side=16)
    stack, labels, previous, properties = dataset["a"]
    assert stack.shape == (3, 3, 100, 90) and previous is None and properties["spacing"] == 1
    whole = stack[:, 0:3, 0:100, 0:90]
    np.testing.assert_array_equal(whole[:2], Cases().load_case("a")[0])
    assert labels.shape == (1, 3, 100, 90)


def test_a_scan_without_lesion_gives_healthy_patches():
    cases = Cases()
    cases.labels[cases.labels == 1] = 0
    centres, marks = draw(BalancedPatches(cases, patch_side=16), 50)
    assert (cases.labels[0][tuple(centres.T)] == 0).all() and not marks.any()


class AddOne(BasicTransform):
    def _apply_to_image(self, img, **params):
        return img + 1


def test_only_marked_patches_are_deformed_and_the_mark_goes():
    image = torch.zeros(3, 4, 4)
    transform = RepeatedPatches(AddOne())
    assert torch.equal(transform(image=image)["image"], torch.zeros(2, 4, 4))
    image[-1] = 1
    assert torch.equal(transform(image=image)["image"], torch.ones(2, 4, 4))
    assert torch.equal(RepeatedPatches()(image=image)["image"], torch.zeros(2, 4, 4))
