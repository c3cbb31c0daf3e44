from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.distance import cdist

from nnunetv2_strokesynth.evaluation import metrics

SPACING = (5.0, 1.0, 2.0)


def precision(gt, pred) -> float:
    return metrics.precision_from(metrics.overlap_counts(gt, pred))


def recall(gt, pred) -> float:
    return metrics.recall_from(metrics.overlap_counts(gt, pred))


def lesion_f1(gt, pred) -> float:
    return metrics.lesion_f1_from(metrics.lesion_counts(gt, pred))


def lesion_count_difference(gt, pred) -> float:
    return metrics.lesion_count_difference_from(metrics.lesion_counts(gt, pred))


def hausdorff95_mm(gt, pred, spacing_mm) -> float:
    return metrics.hausdorff_from(metrics.surface_distances(gt, pred, spacing_mm), 95.0)


def assd_mm(gt, pred, spacing_mm) -> float:
    return metrics.assd_from(metrics.surface_distances(gt, pred, spacing_mm))


OVERLAP = (metrics.dice, precision, recall, lesion_f1)
DISTANCES = (metrics.hausdorff_mm, hausdorff95_mm, assd_mm)


def _mask(*voxels, shape=(4, 8, 9)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    for voxel in voxels:
        mask[voxel] = True
    return mask


def _box(z, y, x, shape=(4, 8, 9)) -> np.ndarray:
    return _mask((slice(*z), slice(*y), slice(*x)), shape=shape)


def _surface_by_loops(mask: np.ndarray) -> list[tuple[int, ...]]:
    """The definition, voxel by voxel."""
    points = []
    for voxel in np.argwhere(mask):
        for axis in range(3):
            for step in (-1, 1):
                neighbour = voxel.copy()
                neighbour[axis] += step
                inside = all(0 <= n < size for n, size in zip(neighbour, mask.shape, strict=True))
                if not inside or not mask[tuple(neighbour)]:
                    points.append(tuple(voxel))
    return sorted(set(points))


def _all_distances(gt, pred, spacing) -> tuple[np.ndarray, np.ndarray]:
    points = [np.array(_surface_by_loops(mask)) * np.array(spacing) for mask in (gt, pred)]
    table = cdist(*points)
    return table.min(axis=1), table.min(axis=0)


def test_overlap_of_counted_voxels():
    gt = _box((0, 1), (0, 2), (0, 5))  # 10 voxels
    pred = _box((0, 1), (1, 5), (0, 4))  # 16 voxels, 4 of them shared
    assert metrics.overlap_counts(gt, pred) == (4, 12, 6)
    assert metrics.dice(gt, pred) == pytest.approx(8 / 26)
    assert precision(gt, pred) == pytest.approx(4 / 16)
    assert recall(gt, pred) == pytest.approx(4 / 10)


@pytest.mark.parametrize(
    ("offset", "expected"), [((2, 0, 0), 10.0), ((0, 3, 0), 3.0), ((0, 0, 2), 4.0), ((1, 0, 6), 13)]
)
def test_single_voxels_are_apart_by_the_spacing(offset, expected):
    gt, pred = _mask((1, 2, 1)), _mask(tuple(np.add((1, 2, 1), offset)))
    for function in DISTANCES:
        assert function(gt, pred, SPACING) == pytest.approx(expected)


def test_box_moved_by_one_slice():
    gt, pred = _box((0, 2), (2, 4), (2, 4)), _box((1, 3), (2, 4), (2, 4))
    # Of the 8 surface points of each box, 4 lie on the other box and 4 one slice (5 mm) away.
    assert metrics.hausdorff_mm(gt, pred, SPACING) == pytest.approx(5.0)
    assert assd_mm(gt, pred, SPACING) == pytest.approx(2.5)


def test_distance_is_between_surfaces_not_volumes():
    # The centre of a solid 5 x 5 x 5 box is inside it, yet two voxels from its surface.
    gt = _box((1, 6), (1, 6), (1, 6), shape=(7, 7, 7))
    pred = _mask((3, 3, 3), shape=(7, 7, 7))
    assert metrics.surface_distances(gt, pred, (1, 1, 1)).pred_to_gt_mm == pytest.approx([2.0])
    assert metrics.hausdorff_mm(gt, pred, (1, 1, 1)) == pytest.approx(math.sqrt(12))


def test_surface_of_a_solid_cube_and_of_a_full_image():
    cube = _box((1, 4), (1, 4), (1, 4), shape=(5, 5, 5))
    assert metrics.surface_mask(cube).sum() == 26
    full = np.ones((3, 4, 5), dtype=bool)  # outside the image counts as outside
    assert metrics.surface_mask(full).sum() == 60 - 1 * 2 * 3


def test_hausdorff95_takes_each_direction_on_its_own():
    gt = _mask((0, 0, slice(0, 40)), shape=(1, 3, 60))
    pred = gt.copy()
    pred[0, 0, 50] = True  # 11 voxels behind the end of the line: one point of 41
    to_gt = np.append(np.zeros(40), 11.0)
    assert metrics.hausdorff_mm(gt, pred, (1, 1, 1)) == pytest.approx(11)
    expected = np.percentile(to_gt, 95)
    assert hausdorff95_mm(gt, pred, (1, 1, 1)) == pytest.approx(expected)
    pred[0, 0, 53:56] = True  # 4 of 44 points: above the 95th percentile now, 4 of 84 pooled not
    directed = np.concatenate([np.zeros(40), [11, 14, 15, 16]])
    pooled = np.percentile(np.concatenate([directed, np.zeros(40)]), 95)
    found = hausdorff95_mm(gt, pred, (1, 1, 1))
    assert found == pytest.approx(np.percentile(directed, 95)) != pytest.approx(pooled)


@pytest.mark.parametrize("seed", range(6))
def test_distances_agree_with_brute_force(blobs, seed):
    gt, pred = blobs(seed) > 0.5, blobs(seed + 100) > 0.6
    to_pred, to_gt = _all_distances(gt, pred, SPACING)
    assert metrics.hausdorff_mm(gt, pred, SPACING) == pytest.approx(max(to_pred.max(), to_gt.max()))
    p95 = max(np.percentile(to_pred, 95), np.percentile(to_gt, 95))
    assert hausdorff95_mm(gt, pred, SPACING) == pytest.approx(p95)
    mean = (to_pred.sum() + to_gt.sum()) / (to_pred.size + to_gt.size)
    assert assd_mm(gt, pred, SPACING) == pytest.approx(mean)
    of_means = metrics.assd_of_means_from(metrics.surface_distances(gt, pred, SPACING))
    assert of_means == pytest.approx((to_pred.mean() + to_gt.mean()) / 2)


def test_a_missed_lesion_costs_what_the_leaderboard_says():
    lesion, nothing = _box((0, 2), (2, 4), (2, 4)), _box((0, 0), (0, 0), (0, 0))
    for gt, pred, expected in (
        (lesion, nothing, 1e8),
        (nothing, lesion, 1e8),
        (nothing, nothing, float("nan")),
        (lesion, lesion, 0.0),
    ):
        overlap = metrics.overlap_counts(gt, pred)
        distance = metrics.hausdorff_mm(gt, pred, SPACING)
        found = metrics.penalised_from(overlap, distance)
        assert found == pytest.approx(expected, nan_ok=True)
    # Mean and deviation of the leaderboard's 62 scans with six missed lesions, in millions.
    values = np.array([metrics.MISSED_MM] * 6 + [30.0] * 56) / 1e6
    assert round(values.mean(), 1) == 9.7 and round(values.std(), 1) == 29.6


def _image(mask: np.ndarray) -> sitk.Image:
    # Padded, because SimpleITK's contours do not regard the image's border as a surface.
    image = sitk.GetImageFromArray(np.pad(mask, 2).astype(np.uint8))
    image.SetSpacing(SPACING[::-1])
    return image


def _itk_directed(from_mask: np.ndarray, to_mask: np.ndarray) -> np.ndarray:
    contours = [sitk.BinaryContour(_image(mask), fullyConnected=False) for mask in
                (from_mask, to_mask)]  # fmt: skip
    distance = sitk.SignedMaurerDistanceMap(
        contours[1], squaredDistance=False, useImageSpacing=True, insideIsPositive=False
    )
    # Inside the one-voxel contour the map is negative or zero: those points are on the surface.
    values = np.maximum(sitk.GetArrayFromImage(distance), 0)
    return values[sitk.GetArrayFromImage(contours[0]) > 0]


@pytest.mark.parametrize("seed", range(3))
def test_distances_agree_with_simpleitk(blobs, seed):
    gt, pred = blobs(seed) > 0.5, blobs(seed + 50) > 0.5
    to_pred, to_gt = _itk_directed(gt, pred), _itk_directed(pred, gt)
    expected = max(to_pred.max(), to_gt.max())
    assert metrics.hausdorff_mm(gt, pred, SPACING) == pytest.approx(expected, rel=1e-5)
    pooled = np.concatenate([to_pred, to_gt]).mean()
    assert assd_mm(gt, pred, SPACING) == pytest.approx(pooled, rel=1e-5)


def test_hausdorff_of_disjoint_masks_is_simpleitks(blobs):
    # Between disjoint masks the distance of volumes and of surfaces is the same.
    gt, pred = blobs(1) > 0.5, blobs(2) > 0.5
    gt[:, :, 12:], pred[:, :, :13] = False, False
    measure = sitk.HausdorffDistanceImageFilter()
    measure.Execute(_image(gt), _image(pred))
    assert metrics.hausdorff_mm(gt, pred, SPACING) == pytest.approx(measure.GetHausdorffDistance())


@pytest.mark.parametrize("seed", range(3))
def test_overlap_and_lesion_counts_agree_with_simpleitk(blobs, seed):
    gt, pred = blobs(seed, sigma=1.0) > 0.5, blobs(seed + 9, sigma=1.0) > 0.6
    measure = sitk.LabelOverlapMeasuresImageFilter()
    measure.Execute(_image(gt), _image(pred))
    assert metrics.dice(gt, pred) == pytest.approx(measure.GetDiceCoefficient())
    labels = [sitk.GetArrayFromImage(sitk.ConnectedComponent(_image(m), True)) for m in (gt, pred)]
    gt_hits = [(np.pad(pred, 2) & (labels[0] == k)).any() for k in range(1, labels[0].max() + 1)]
    pred_hits = [(np.pad(gt, 2) & (labels[1] == k)).any() for k in range(1, labels[1].max() + 1)]
    assert len(gt_hits) > 3 and not all(gt_hits)
    tp, fn, fp = sum(gt_hits), gt_hits.count(False), pred_hits.count(False)
    assert lesion_f1(gt, pred) == pytest.approx(2 * tp / (2 * tp + fp + fn))
    difference = abs(len(gt_hits) - len(pred_hits))
    assert lesion_count_difference(gt, pred) == difference


def test_lesion_f1_of_counted_lesions():
    gt = _mask((0, 0, 0), (0, 0, 2), (0, 4, 4), (3, 7, 8))  # four lesions of one voxel
    # One prediction covers the first two, one misses everything, two lesions are missed.
    pred = _mask((0, 0, slice(0, 3)), (2, 2, 2))
    assert metrics.lesion_counts(gt, pred) == (4, 2, 2, 1)
    assert lesion_f1(gt, pred) == pytest.approx(4 / (4 + 1 + 2))
    assert lesion_count_difference(gt, pred) == 2.0


def test_lesions_that_share_a_corner_are_one():
    corner = _mask((0, 0, 0), (1, 1, 1))
    assert metrics.lesion_counts(corner, corner).n_gt == 1


def test_volumes_are_in_millilitres_and_signed():
    gt, pred = _box((0, 2), (0, 5), (0, 5)), _box((0, 1), (0, 5), (0, 2))
    # 50 and 10 voxels of 10 mm^3.
    assert metrics.volume_ml(gt, SPACING) == pytest.approx(0.5)
    assert metrics.volume_difference_ml(gt, pred, SPACING) == pytest.approx(-0.4)
    assert metrics.volume_difference_ml(pred, gt, SPACING) == pytest.approx(0.4)
    assert metrics.absolute_volume_difference_ml(gt, pred, SPACING) == pytest.approx(0.4)
    assert metrics.relative_volume_error(gt, pred, SPACING) == pytest.approx(0.8)
    assert metrics.relative_volume_error(pred, gt, SPACING) == pytest.approx(4.0)


EMPTY, FULL = _mask(), _mask((1, 1, 1), (1, 1, 2))


def test_both_empty():
    for function in OVERLAP:
        assert function(EMPTY, EMPTY) == 1.0
    for function in (*DISTANCES, metrics.relative_volume_error):
        assert math.isnan(function(EMPTY, EMPTY, SPACING))
    assert metrics.volume_difference_ml(EMPTY, EMPTY, SPACING) == 0.0
    assert lesion_count_difference(EMPTY, EMPTY) == 0.0


@pytest.mark.parametrize(("gt", "pred"), [(EMPTY, FULL), (FULL, EMPTY)])
def test_one_empty(gt, pred):
    for function in OVERLAP:
        assert function(gt, pred) == 0.0
    for function in DISTANCES:
        assert math.isnan(function(gt, pred, SPACING))
    assert lesion_count_difference(gt, pred) == 1.0
    error = metrics.relative_volume_error(gt, pred, SPACING)
    assert math.isnan(error) if gt is EMPTY else error == 1.0


def test_equal_masks_are_perfect(blobs):
    mask = blobs(3) > 0.5
    assert [function(mask, mask) for function in OVERLAP] == [1.0] * 4
    assert [function(mask, mask, SPACING) for function in DISTANCES] == [0.0] * 3


def test_axes_and_spacing_turn_together(blobs):
    gt, pred = blobs(4) > 0.5, blobs(5) > 0.5
    turned = [np.moveaxis(mask, 0, 2) for mask in (gt, pred)]
    for function in DISTANCES:
        expected = function(gt, pred, SPACING)
        assert function(*turned, (SPACING[1], SPACING[2], SPACING[0])) == pytest.approx(expected)
        assert function(*turned, SPACING) != pytest.approx(expected)


def test_masks_of_different_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 8, 9\).*\(1, 1, 1\)"):
        metrics.dice(EMPTY, np.zeros((1, 1, 1), dtype=bool))
    with pytest.raises(ValueError, match="3 axes"):
        metrics.hausdorff_mm(FULL, FULL, (1.0, 1.0))
