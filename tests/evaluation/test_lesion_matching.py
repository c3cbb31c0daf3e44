from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from lesion_masks import mask_pairs
from panoptica_oracle import ANSWERS, panoptica_counts

from nnunetv2_strokesynth.evaluation import metrics
from nnunetv2_strokesynth.evaluation.lesion_matching import (
    component_ious,
    lesion_counts_isles2024,
    match_one_to_one,
)

PAIRS = mask_pairs()


def lesion_f1(gt, pred) -> float:
    return metrics.lesion_f1_from(lesion_counts_isles2024(gt, pred))


def _answer(gt, pred) -> list:
    counts = lesion_counts_isles2024(gt, pred)
    f1 = metrics.lesion_f1_from(counts) if counts.n_gt or counts.n_pred else None
    return [counts.n_gt, counts.n_pred, counts.detected, f1]


def test_counts_and_f1_are_panopticas():
    """Recorded answers, with the settings of ISLES 2024's code; see ``panoptica_oracle``."""
    answers = json.loads(ANSWERS.read_text())
    answers.pop("panoptica")
    assert set(answers) == set(PAIRS)  # made from these very masks
    for name, (gt, pred) in PAIRS.items():
        assert _answer(gt, pred) == pytest.approx(answers[name], nan_ok=True), name


def test_counts_and_f1_are_those_of_an_installed_panoptica():
    pytest.importorskip("panoptica", reason="pip install '.[oracle]' pins numpy and pandas")
    counts = panoptica_counts()
    for name, (gt, pred) in PAIRS.items():
        assert _answer(gt, pred) == pytest.approx(counts(gt, pred)), name


def test_masks_of_the_oracle_hold_what_they_promise():
    """Without ties, several lesions and empty masks the comparison would prove little."""
    counts = {name: lesion_counts_isles2024(*pair) for name, pair in PAIRS.items()}
    overlap = {name: metrics.lesion_counts(*pair) for name, pair in PAIRS.items()}
    assert sum(counts[name].detected != overlap[name].detected for name in PAIRS) > 50
    assert sum(count.n_gt > 5 and count.n_pred > 5 for count in counts.values()) > 50
    assert sum(not count.n_gt or not count.n_pred for count in counts.values()) > 5
    assert any(_is_decided_by_a_tie(*pair) for pair in PAIRS.values())


def test_the_stricter_rule_never_gives_more():
    for name, (gt, pred) in PAIRS.items():
        assert lesion_f1(gt, pred) <= metrics.lesion_f1_from(metrics.lesion_counts(gt, pred)), name


def _is_decided_by_a_tie(gt, pred) -> bool:
    turned = [mask[::-1, ::-1, ::-1] for mask in (gt, pred)]
    return lesion_counts_isles2024(*turned) != lesion_counts_isles2024(gt, pred)


def _counts_by_pairs(gt, pred, min_iou) -> tuple[int, int, int, int]:
    """The definition, pair by pair, on SimpleITK's components."""
    masks = []
    for mask in (gt, pred):
        image = sitk.GetImageFromArray(mask.astype(np.uint8))
        labels = sitk.GetArrayFromImage(sitk.ConnectedComponent(image, True))
        masks.append([labels == k for k in range(1, labels.max() + 1)])
    pairs = [
        ((a & b).sum() / (a | b).sum(), i, k)
        for i, a in enumerate(masks[0])
        for k, b in enumerate(masks[1])
    ]
    taken: list[tuple[int, int]] = []
    for iou, i, k in sorted(pairs, reverse=True):
        if iou >= min_iou and all(i != gt and k != pred for gt, pred in taken):
            taken.append((i, k))
    n_gt, n_pred = map(len, masks)
    return n_gt, n_pred, len(taken), n_pred - len(taken)


@pytest.mark.parametrize("min_iou", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(4))
def test_counts_of_blobs_are_those_of_the_definition(blobs, seed, min_iou):
    # Blobs of these sizes have no two equal IoUs, so that the order of ties plays no part.
    gt = blobs(seed, shape=(4, 60, 70), sigma=1.5) > 0.5
    pred = blobs(seed, shape=(4, 60, 70), sigma=1.5) + 0.5 * (
        blobs(seed + 9, shape=(4, 60, 70), sigma=1.5) - 0.2
    ) > 0.5  # fmt: skip
    counts = lesion_counts_isles2024(gt, pred, min_iou=min_iou)
    assert counts == _counts_by_pairs(gt, pred, min_iou)
    assert 3 < counts.detected < counts.n_gt


def test_f1_by_hand():
    gt, pred = np.zeros((2, 1, 5, 20), bool)
    gt[0, 0, 0:4], gt[0, 0, 6:16], gt[0, 4, 0] = True, True, True  # 4, 10 and 1 voxels
    pred[0, 0, 2:6] = True  # IoU 2 / 6 with the first
    pred[0, 0, 15:20] = True  # IoU 1 / 14 with the second
    assert lesion_counts_isles2024(gt, pred) == (3, 2, 1, 1)
    assert lesion_f1(gt, pred) == pytest.approx(2 / (2 + 1 + 2))
    assert metrics.lesion_f1_from(metrics.lesion_counts(gt, pred)) == pytest.approx(4 / (4 + 0 + 1))


def test_one_prediction_finds_one_lesion_at_most():
    gt, pred = PAIRS["two merged"]
    assert lesion_f1(gt, pred) == pytest.approx(2 / 3)
    assert metrics.lesion_f1_from(metrics.lesion_counts(gt, pred)) == 1.0


def test_an_iou_of_exactly_the_minimum_is_a_match():
    assert lesion_f1(*PAIRS["IoU of 0.2"]) == 1.0
    assert lesion_f1(*PAIRS["IoU below 0.2"]) == 0.0


def test_empty_masks():
    assert lesion_f1(*PAIRS["both empty"]) == 1.0
    assert lesion_f1(*PAIRS["no truth"]) == lesion_f1(*PAIRS["no prediction"]) == 0.0


@pytest.mark.parametrize("name", ["boxes 4", "specks 3", "ties 5"])
def test_background_around_the_lesions_plays_no_part(name):
    padded = [np.pad(mask, ((1, 2), (0, 5), (3, 0))) for mask in PAIRS[name]]
    assert lesion_counts_isles2024(*padded) == lesion_counts_isles2024(*PAIRS[name])


def test_ious_name_each_overlapping_pair_once():
    gt = np.array([[1, 1, 0, 2, 2, 2, 0, 3]])
    pred = np.array([[0, 1, 1, 1, 0, 2, 2, 0]])
    pairs, iou = component_ious(gt, pred)
    assert pairs.tolist() == [[1, 1], [2, 1], [2, 2]]
    assert iou.tolist() == pytest.approx([1 / 4, 1 / 5, 1 / 4])
    assert match_one_to_one(pairs, iou) == [(1, 1), (2, 2)]


def test_masks_of_different_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3, 4\).*\(4, 3, 2\)"):
        lesion_counts_isles2024(np.zeros((2, 3, 4)), np.zeros((4, 3, 2)))
