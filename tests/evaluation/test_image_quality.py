from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from nnunetv2_strokesynth.evaluation.image_quality import (
    local_region,
    mean_ssim,
    psnr,
    ssim_map,
)

SHAPE = (2, 24, 30)


def ssim(dwi, pseudo_dwi, mask=None) -> float:
    return mean_ssim(ssim_map(dwi, pseudo_dwi), mask)


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    dwi = generator.uniform(size=SHAPE)
    return dwi, np.clip(dwi + 0.1 * generator.normal(size=SHAPE), -0.2, 1.2)


def test_psnr_of_a_constant_error():
    dwi = np.full(SHAPE, 0.5)
    assert psnr(dwi, dwi + 0.1) == pytest.approx(20.0)
    assert psnr(dwi, dwi - 0.01) == pytest.approx(40.0)


def test_psnr_within_a_mask_sees_only_the_mask():
    dwi, pseudo = np.zeros(SHAPE), np.zeros(SHAPE)
    mask = np.zeros(SHAPE, dtype=bool)
    mask[1, 3:5, 4:9] = True
    pseudo[mask] = 0.1
    pseudo[0, 0, 0] = 100.0
    assert psnr(dwi, pseudo, mask) == pytest.approx(20.0)
    assert psnr(dwi, pseudo) < 0


def test_psnr_and_ssim_agree_with_scikit_image(images):
    assert psnr(*images) == pytest.approx(peak_signal_noise_ratio(*images, data_range=1))
    slices = [structural_similarity(*pair, data_range=1) for pair in zip(*images, strict=True)]
    assert ssim(*images) == pytest.approx(np.mean(slices))


def test_ssim_by_the_formula(images):
    dwi, pseudo = images
    a, b = dwi[1, 5:12, 8:15], pseudo[1, 5:12, 8:15]
    covariance = np.cov(a.ravel(), b.ravel())
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * a.mean() * b.mean() + c1) / (a.mean() ** 2 + b.mean() ** 2 + c1)
    structure = (2 * covariance[0, 1] + c2) / (covariance[0, 0] + covariance[1, 1] + c2)
    assert ssim_map(dwi, pseudo)[1, 8, 11] == pytest.approx(luminance * structure)
    mask = np.zeros(SHAPE, dtype=bool)
    mask[1, 8, 11] = True
    assert ssim(dwi, pseudo, mask) == pytest.approx(luminance * structure)


def test_slices_do_not_look_at_each_other(images):
    dwi, pseudo = images
    mask = np.zeros(SHAPE, dtype=bool)
    mask[0] = True
    changed = pseudo.copy()
    changed[1] = 0
    assert ssim(dwi, changed, mask) == ssim(dwi, pseudo, mask)
    assert ssim(dwi, changed) < ssim(dwi, pseudo)


def test_mask_of_ones_is_global(images):
    ones = np.ones(SHAPE, dtype=bool)
    assert ssim(*images, ones) == ssim(*images)
    assert psnr(*images, ones) == psnr(*images)


def test_mask_on_the_border_alone_is_still_measured(images):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[0, 0, :] = True
    assert ssim(*images, mask) == pytest.approx(ssim_map(*images)[0, 0].mean())


def test_equal_images_and_empty_masks(images):
    dwi, pseudo = images
    assert ssim(dwi, dwi) == pytest.approx(1.0)
    assert psnr(dwi, dwi) == math.inf
    empty = np.zeros(SHAPE, dtype=bool)
    assert math.isnan(ssim(dwi, pseudo, empty)) and math.isnan(psnr(dwi, pseudo, empty))


def test_more_noise_is_worse(images):
    dwi, pseudo = images
    worse = dwi + 3 * (pseudo - dwi)
    assert ssim(dwi, worse) < ssim(dwi, pseudo)
    assert psnr(dwi, worse) == pytest.approx(psnr(dwi, pseudo) - 20 * math.log10(3))


def test_local_region_is_the_box_with_margin_in_each_slice():
    lesion = np.zeros((3, 40, 50), dtype=bool)
    lesion[0, 15, 20] = lesion[0, 18, 27] = True
    lesion[2, 2, 49] = True
    expected = np.zeros_like(lesion)
    expected[0, 5:29, 10:38] = True
    expected[2, 0:13, 39:50] = True  # cut off at the border
    np.testing.assert_array_equal(local_region(lesion), expected)
    assert local_region(lesion, margin_px=0)[0].sum() == 4 * 8
    assert not local_region(np.zeros_like(lesion)).any()


def test_unfit_shapes_are_refused(images):
    with pytest.raises(ValueError, match="shapes"):
        ssim(images[0], images[1][:1])
    with pytest.raises(ValueError, match="shapes"):
        psnr(images[0], images[1], np.ones((1, 2, 3), dtype=bool))
    with pytest.raises(ValueError, match="7 x 7"):
        ssim(np.zeros((2, 6, 9)), np.zeros((2, 6, 9)))
