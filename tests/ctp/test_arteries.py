"""Which voxels are taken for artery and vein, and what the vein says about the artery."""

import numpy as np
import pytest

from nnunetv2_strokesynth.ctp.arteries import (
    LARGEST_SCALE,
    find_aif,
    find_vof,
    partial_volume_scale,
    vessel_at,
)

BASELINE = slice(8)


def bolus(start, width=4.0, n_frames=60):
    x = np.maximum(np.arange(n_frames) - start, 0) / width
    return x**3 * np.exp(3 * (1 - x))


def rows_of(series, mask):
    return series[:, mask].T.astype(np.float32)


def pick_vein(head, series, rim=None):
    aif = find_aif(rows_of(series, head.brain), head.brain, pixel_mm=2.5).curve
    rim = np.zeros_like(head.brain) if rim is None else rim
    regions = [(rows_of(series, mask), mask) for mask in (head.brain, rim)]
    return find_vof(regions, aif, baseline=BASELINE, frame_s=1.0)


def test_aif_is_the_mean_of_its_voxels(make_head):
    head = make_head(noise_hu=2.0)
    aif = find_aif(rows_of(head.series, head.brain), head.brain, pixel_mm=2.5)
    assert len(aif.voxels) == 6 and all(head.artery[voxel] for voxel in aif.voxels)
    mean = np.mean([head.series[(slice(None), *voxel)] for voxel in aif.voxels], axis=0)
    np.testing.assert_allclose(aif.curve, mean, rtol=1e-5)


def test_empty_mask_has_no_artery():
    with pytest.raises(ValueError, match="mask is empty"):
        find_aif(np.zeros((0, 20), np.float32), np.zeros((1, 8, 8), bool), pixel_mm=1.0)


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
    assert partial_volume_scale(aif, vof, baseline=BASELINE) == pytest.approx(1.7, rel=1e-3)


def test_scale_counts_equally_many_frames():
    """A plateau of recirculation that the recording cuts by the vein's delay."""
    aif, vof = (100 * bolus(start) + 30.0 * (np.arange(60) >= start) for start in (10, 20))
    scale = partial_volume_scale(aif, 2 * vof, baseline=BASELINE)
    assert scale == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize(("factor", "scale"), [(0.4, 1.0), (7.0, LARGEST_SCALE)])
def test_scale_has_bounds(factor, scale):
    assert partial_volume_scale(bolus(10), factor * bolus(16), baseline=BASELINE) == scale


def test_scale_of_no_inflow_is_one():
    assert partial_volume_scale(-bolus(10), bolus(16), baseline=BASELINE) == 1.0


def test_vessel_at_is_the_mean_of_five():
    series = np.zeros((3, 2, 4, 5), np.float32)
    series[:, 1, 2, 3] = 10, 20, 30
    series[:, 1, 1, 3] = 5
    series[:, 1, 1, 2] = 1000  # a diagonal neighbour
    series[:, 0, 2, 3] = 1000  # the slice below
    vessel = vessel_at(series, (3, 2, 1))
    np.testing.assert_allclose(vessel.curve, [3, 5, 7])
    assert vessel.voxels[0] == (1, 2, 3) and len(vessel.voxels) == 5


def test_vessel_in_a_corner_has_fewer_neighbours():
    series = np.zeros((2, 1, 4, 5), np.float32)
    series[:, 0, 0, 0] = 3
    np.testing.assert_allclose(vessel_at(series, (0, 0, 0)).curve, [1, 1])


@pytest.mark.parametrize("xyz", [(5, 0, 0), (0, 4, 0), (0, 0, 1), (-1, 0, 0)])
def test_vessel_outside_the_image_is_named(xyz):
    with pytest.raises(ValueError, match=r"outside the image of \(5, 4, 1\) voxels"):
        vessel_at(np.zeros((2, 1, 4, 5)), xyz)
