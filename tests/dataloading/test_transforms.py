"""The DWI moves with the image under spatial transforms and is left alone by the others."""

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from scipy.ndimage import gaussian_filter

from nnunetv2_strokesynth.dataloading.transforms import (
    PackTargets,
    blurred_lesion,
    with_targets,
)
from nnunetv2_strokesynth.losses.lesion_weight_map import lesion_weight_map
from nnunetv2_strokesynth.trainers.strokesynth import (
    StrokeSynthTrainer,
    StrokeSynthTrainer_NoDWI,
    StrokeSynthTrainer_Surrogate,
)

SIZE = 48


def _sample(n_channels=2):
    """Smooth blobs; the DWI equals channel 0, the label is its bright part."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    blob = torch.exp(-(((y - 18) / 7.0) ** 2) - ((x - 29) / 9.0) ** 2)
    image = torch.stack([blob, *(blob * 0.5 + 0.1 * k for k in range(n_channels - 1)), blob])
    return image.float(), (blob > 0.5).to(torch.int16)[None]


def _spatial_only():
    return ComposeTransforms(
        [
            SpatialTransform(
                (SIZE, SIZE),
                patch_center_dist_from_border=0,
                random_crop=False,
                p_elastic_deform=0,
                p_rotation=1,
                rotation=(0.5, 0.6),
                p_scaling=1,
                scaling=(0.8, 0.9),
                border_mode_seg="constant",
                padding_value_seg=-1,
            ),
            MirrorTransform((0, 1)),
        ]
    )


def test_dwi_follows_the_image_exactly():
    image, labels = _sample()
    transforms = with_targets(_spatial_only(), PackTargets(), has_dwi=True)
    result = transforms(image=image.clone(), segmentation=labels.clone())
    _, dwi, _ = result["segmentation"]
    torch.testing.assert_close(dwi[0], result["image"][0])
    assert not torch.allclose(dwi[0], image[-1], atol=0.05)
    assert result["image"].shape[0] == 2


@pytest.mark.parametrize("seed", range(8))
def test_dwi_survives_nnunets_whole_augmentation(seed):
    np.random.seed(seed)  # noqa: NPY002  (batchgenerators draws from the global generator)
    torch.manual_seed(seed)
    image, labels = _sample(n_channels=12)
    transforms = StrokeSynthTrainer.get_training_transforms(
        (SIZE, SIZE), (-3.14, 3.14), None, (0, 1), False, use_mask_for_norm=[True] * 12
    )
    result = transforms(image=image, segmentation=labels)
    moved, dwi, weight = result["segmentation"]
    assert result["image"].shape == (12, SIZE, SIZE)
    assert dwi.min() >= 0 and dwi.max() <= 1.0 + 1e-5, "intensity transforms must not touch it"
    agreement = ((dwi[0] > 0.5) == (moved[0] > 0)).float().mean()
    assert agreement > 0.98
    np.testing.assert_allclose(weight[0].numpy(), lesion_weight_map(moved[0].numpy() > 0))


def test_nan_stays_recognisable_through_the_augmentation():
    image, labels = _sample()
    image[-1] = float("nan")
    transforms = with_targets(_spatial_only(), PackTargets(), has_dwi=True)
    _, dwi, weight = transforms(image=image, segmentation=labels)["segmentation"]
    assert torch.isnan(dwi).any()
    assert torch.isfinite(weight).all()


@pytest.mark.parametrize("has_dwi", [True, False])
def test_soft_labels_follow_the_label(has_dwi):
    image, labels = _sample()
    soft = image[:1] * 0.9
    pack = PackTargets()
    pack.soft_labels = True
    transforms = with_targets(_spatial_only(), pack, has_dwi=has_dwi)
    result = transforms(image=torch.cat([image, soft]), segmentation=labels)
    moved, *dwi, found, weight = result["segmentation"]
    assert len(dwi) == has_dwi and len(result["image"]) == 3 - has_dwi and weight.min() > 0
    torch.testing.assert_close(found[0], 0.9 * result["image"][0])
    assert ((found[0] > 0.45) == (moved[0] > 0)).float().mean() > 0.98


def test_without_dwi_every_channel_is_an_input():
    image, labels = _sample(n_channels=2)
    transforms = StrokeSynthTrainer_NoDWI.get_validation_transforms(None)
    result = transforms(image=image, segmentation=labels)
    assert result["image"].shape[0] == 3
    assert len(result["segmentation"]) == 2
    assert result["segmentation"][1].dtype == torch.float32


def test_weight_map_parameters_come_from_the_trainer():
    class Heavier(StrokeSynthTrainer):
        foreground_weight = 4.0

    image, labels = _sample()
    weight = Heavier.get_validation_transforms(None)(image=image, segmentation=labels)[
        "segmentation"
    ][2]
    assert weight.max() == 4.0


def test_blurred_lesion_by_hand():
    lesion = np.zeros((41, 41), bool)
    lesion[20, 20] = True
    hill = blurred_lesion(lesion, 2.0)
    assert hill.dtype == np.float32
    assert hill[20, 20] == pytest.approx(1 / (2 * np.pi * 2.0**2), rel=0.01)
    assert hill[20, 24] / hill[20, 20] == pytest.approx(np.exp(-(4**2) / (2 * 2.0**2)), rel=0.01)
    assert not blurred_lesion(np.zeros((5, 5), bool), 2.0).any()
    whole = blurred_lesion(np.ones((5, 5), bool), 2.0)
    np.testing.assert_allclose(whole, 1, rtol=1e-5)


def test_surrogate_is_made_of_the_lesion_as_augmented():
    np.random.seed(3)  # noqa: NPY002  (batchgenerators draws from the global generator)
    torch.manual_seed(3)
    image, labels = _sample(n_channels=11)  # and the last one, which is an input here
    transforms = StrokeSynthTrainer_Surrogate.get_training_transforms(
        (SIZE, SIZE), (-3.14, 3.14), None, (0, 1), False, use_mask_for_norm=[True] * 12
    )
    result = transforms(image=image, segmentation=labels)
    moved, surrogate, weight = result["segmentation"]
    assert result["image"].shape == (12, SIZE, SIZE)
    assert surrogate.shape == weight.shape == (1, SIZE, SIZE)
    assert surrogate.dtype == torch.float32
    np.testing.assert_array_equal(
        surrogate[0].numpy(), gaussian_filter((moved[0].numpy() > 0).astype(np.float32), 2.0)
    )
