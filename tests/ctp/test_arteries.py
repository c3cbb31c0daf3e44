"""Which voxels are taken for artery and vein, and what the vein says about the artery."""

import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.arteries import (
    LARGEST_SCALE,
    LEAST_SIGNIFICANCE,
    find_aif,
    find_vof,
    partial_volume_scale,
    vessel_at,
)
from nnunetv2_strokesynth.ctp.voxel_curves import smooth_in_plane
from nnunetv2_strokesynth.phantom.hemodynamics import gamma_variate

BASELINE = slice(8)
DISC_SIZE = 100


def bolus(start, width=4.0, n_frames=60):
    x = np.maximum(np.arange(n_frames) - start, 0) / width
    return x**3 * np.exp(3 * (1 - x))


def rows_of(series, mask):
    return series[:, mask].T.astype(np.float32)


def pick_vein(head, series, rim=None):
    aif = find_aif(rows_of(series, head.brain), head.brain, pixel_mm=2.5, frame_s=1.0).curve
    rim = np.zeros_like(head.brain) if rim is None else rim
    regions = [(rows_of(series, mask), mask) for mask in (head.brain, rim)]
    return find_vof(regions, aif, baseline=BASELINE, pixel_mm=2.5, frame_s=1.0)


def test_aif_is_the_mean_of_its_voxels(make_head):
    head = make_head(noise_hu=2.0)
    aif = find_aif(rows_of(head.series, head.brain), head.brain, pixel_mm=2.5, frame_s=1.0)
    assert len(aif.voxels) == 6 and all(head.artery[voxel] for voxel in aif.voxels)
    mean = np.mean([head.series[(slice(None), *voxel)] for voxel in aif.voxels], axis=0)
    np.testing.assert_allclose(aif.curve, mean, rtol=1e-5)


@pytest.fixture(scope="module")
def make_disc():
    """Builder of brain-like discs: curves (N, T), the brain, the artery's and the vein's mask."""

    def make(frame_s, noise_hu, *, contrast=1.0):
        rng = np.random.default_rng(7)
        time_s = np.arange(0, 60, frame_s)
        y, x = np.mgrid[:DISC_SIZE, :DISC_SIZE] - (DISC_SIZE - 1) / 2
        brain = np.repeat((np.hypot(y, x) < 48)[None], 2, axis=0)
        artery, vein = np.zeros_like(brain), np.zeros_like(brain)
        artery[:, 52:58, 38:44] = True
        vein[:, 72:78, 50:56] = True
        series = np.full((len(time_s), *brain.shape), 34.0)
        peaks = ((brain, 17.0, 9.0, 10.0), (artery, 15.0, 7.0, 200.0), (vein, 21.0, 7.0, 200.0))
        for mask, peak_s, fwhm_s, height_hu in peaks:
            curve = gamma_variate(time_s, peak_s, fwhm_s=fwhm_s, alpha=4.0)
            series[:, mask] = 34 + contrast * height_hu * curve[:, None]
        series += noise_hu * rng.standard_normal(series.shape)
        return rows_of(series, brain), brain, artery, vein

    return make


@pytest.mark.parametrize("frame_s", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("noise_hu", [2.0, 6.0, 10.0])
def test_vessels_are_found_at_clinical_noise(make_disc, frame_s, noise_hu):
    curves, brain, artery, vein = make_disc(frame_s, noise_hu)
    options = {"pixel_mm": 1.5, "frame_s": frame_s}
    aif = find_aif(curves, brain, **options)
    assert len(aif.voxels) == 6 and all(artery[voxel] for voxel in aif.voxels)
    assert aif.significance > LEAST_SIGNIFICANCE
    baseline = slice(int(6 / frame_s))
    vof = find_vof([(curves, brain)], aif.curve, baseline=baseline, **options)
    assert len(vof.voxels) == 6 and all(vein[voxel] for voxel in vof.voxels)


@pytest.mark.parametrize("frame_s", [1.0, 3.0])
@pytest.mark.parametrize("noise_hu", [0.1, 5.0, 50.0])
def test_without_contrast_nothing_stands_out(make_disc, frame_s, noise_hu):
    curves, brain, _, _ = make_disc(frame_s, noise_hu, contrast=0.0)
    aif = find_aif(curves, brain, pixel_mm=1.5, frame_s=frame_s)
    assert aif.significance < LEAST_SIGNIFICANCE


def test_coarse_grained_noise_does_not_stand_out(make_disc):
    """A kernel as soft as the smoothing in plane leaves less for it to average."""
    curves, brain, _, _ = make_disc(2.0, 20.0, contrast=0.0)
    smooth_in_plane(curves, brain, sigma_px=1.5)
    aif = find_aif(curves, brain, pixel_mm=1.5, frame_s=2.0)
    assert aif.significance < LEAST_SIGNIFICANCE


def test_empty_mask_has_no_artery():
    with pytest.raises(ValueError, match="mask is empty"):
        find_aif(
            np.zeros((0, 20), np.float32), np.zeros((1, 8, 8), bool), pixel_mm=1.0, frame_s=1.0
        )


def test_vof_is_the_vein(make_head):
    head = make_head(noise_hu=2.0)
    vof = pick_vein(head, head.series)
    assert len(vof.voxels) == 6 and all(head.vein[voxel] for voxel in vof.voxels)


def test_vein_beside_the_brain_is_found(make_head):
    head = make_head()
    inside = head._replace(brain=head.brain & ~head.vein)
    assert pick_vein(inside, head.series) is None
    vof = pick_vein(inside, head.series, rim=head.vein)
    assert all(head.vein[voxel] for voxel in vof.voxels)


@pytest.mark.parametrize("fault", ["jolt", "bone", "air", "no later", "much too late", "small"])
def test_what_is_no_vein(make_head, fault):
    """In place of the vein lies something that enhances more than the artery, or less."""
    head = make_head()
    curve = {
        "jolt": 45 + 600 * ((np.arange(60) >= 20) & (np.arange(60) < 24)),
        "bone": 400 + 500 * bolus(12, 6.0),
        "air": -300 + 500 * bolus(12, 6.0),
        "no later": 45 + 1.2 * head.arterial,
        "much too late": 45 + 500 * bolus(30, 6.0),
        "small": 45 + 160 * bolus(12, 6.0),
    }[fault]
    series = head.series.copy()
    series[:, head.vein] = curve[:, None]
    assert pick_vein(head, series) is None


def test_scale_is_the_ratio_of_the_areas():
    aif, vof = 40 + 100 * bolus(10), 50 + 170 * bolus(16)
    assert partial_volume_scale(aif, vof, baseline=BASELINE, frame_s=1.0) == pytest.approx(
        1.7, rel=1e-3
    )


def test_scale_counts_equally_many_frames():
    """A plateau of recirculation that the recording cuts by the vein's delay."""
    aif, vof = (100 * bolus(start) + 30.0 * (np.arange(60) >= start) for start in (10, 20))
    scale = partial_volume_scale(aif, 2 * vof, baseline=BASELINE, frame_s=1.0)
    assert scale == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize(("factor", "scale"), [(0.4, 1.0), (7.0, LARGEST_SCALE)])
def test_scale_has_bounds(factor, scale):
    assert (
        partial_volume_scale(bolus(10), factor * bolus(16), baseline=BASELINE, frame_s=1.0) == scale
    )


def test_scale_of_no_inflow_is_one():
    assert partial_volume_scale(-bolus(10), bolus(16), baseline=BASELINE, frame_s=1.0) == 1.0


def test_vessel_at_is_the_named_voxel():
    series = np.zeros((3, 2, 4, 5), np.float32)
    series[:, 1, 2, 3] = 10, 20, 30
    series[:, 1, 1, 3] = 5  # a neighbour
    series[:, 0, 2, 3] = 1000  # the slice below
    vessel = vessel_at(series, (3, 2, 1))
    np.testing.assert_array_equal(vessel.curve, [10, 20, 30])
    assert vessel.voxels == ((1, 2, 3),)


@pytest.mark.parametrize("xyz", [(5, 0, 0), (0, 4, 0), (0, 0, 1), (-1, 0, 0)])
def test_vessel_outside_the_image_is_named(xyz):
    with pytest.raises(ValueError, match=r"outside the image of \(5, 4, 1\) voxels"):
        vessel_at(np.zeros((2, 1, 4, 5)), xyz)
