"""Folds and the paper's split, at patient level and balanced in lesion volume."""

from __future__ import annotations

import numpy as np

_DRAWS = 200
_PAPER_SCANS = {"train": 65, "val": 6, "test": 23}
_PAPER_DRAWS = 1000
_SIZE_CLASSES_ML = (10, 50)


def patient_folds(
    lesion_volume_ml: dict[str, float], patients: dict[str, str], n_folds: int, *, seed: int
) -> dict[str, int]:
    """Assign every scan to the fold that validates on it.

    Patients are ranked by lesion volume (the sum over their scans). Each block of ``n_folds``
    patients is dealt out at random, one to each fold, so that every fold gets small, medium and
    large lesions. Of 200 such deals, the most even one in scans and in lesion volume is kept.

    Args:
        lesion_volume_ml: case id -> lesion volume.
        patients: case id -> patient, for at least the same cases.
        n_folds: 2 or more.
        seed: the same seed gives the same folds.

    Returns:
        case id -> fold, 0 .. n_folds - 1, in sorted order of the cases.

    Raises:
        ValueError: fewer than 2 folds, or fewer patients than folds.
    """
    case_ids = sorted(lesion_volume_ml)
    names = sorted({patients[case_id] for case_id in case_ids})
    check_folds(len(names), n_folds)
    member = np.array([names.index(patients[case_id]) for case_id in case_ids])
    volumes = np.bincount(member, weights=[lesion_volume_ml[case_id] for case_id in case_ids])
    n_scans = np.bincount(member)
    order = np.argsort(-volumes, kind="stable")
    rng = np.random.default_rng(seed)
    deals = [_deal(order, n_folds, rng) for _ in range(_DRAWS)]
    best = min(deals, key=lambda deal: _unevenness(deal, n_scans, volumes, n_folds=n_folds))
    return {case_id: int(best[i]) for case_id, i in zip(case_ids, member, strict=True)}


def nnunet_splits(folds: dict[str, int], n_folds: int) -> list[dict[str, list[str]]]:
    """nnU-Net's ``splits_final.json``: for each fold its ``train`` and ``val`` cases."""
    return [
        {
            "train": sorted(case_id for case_id, own in folds.items() if own != fold),
            "val": sorted(case_id for case_id, own in folds.items() if own == fold),
        }
        for fold in range(n_folds)
    ]


def paper_split(
    lesion_volume_ml: dict[str, float], patients: dict[str, str], seed: int
) -> dict[str, list[str]]:
    """Training, validation and test scans in the proportions of Wang et al. 2020, section 4.2.

    The paper splits the 94 training scans of ISLES 2018 at patient level into 65, 6 and 23, and
    does not say which. Our choice: of 1000 random draws of patients, those that come closest to
    these sizes are compared, and the one whose groups are most alike in lesion volume is kept.
    Other numbers of scans are split in the same proportions.

    Args:
        lesion_volume_ml: case id -> lesion volume.
        patients: case id -> patient, for at least the same cases.
        seed: the same seed gives the same split.

    Returns:
        ``train``, ``val`` and ``test`` -> sorted case ids, with at least one patient in each; empty
        if there are fewer than 3 patients.
    """
    case_ids = sorted(lesion_volume_ml)
    names = sorted({patients[case_id] for case_id in case_ids})
    if len(names) < len(_PAPER_SCANS):
        return {}
    member = np.array([names.index(patients[case_id]) for case_id in case_ids])
    volumes = np.array([lesion_volume_ml[case_id] for case_id in case_ids])
    sizes = _paper_sizes(len(case_ids))
    rng = np.random.default_rng(seed)
    draws = [_draw_groups(np.bincount(member), sizes, rng)[member] for _ in range(_PAPER_DRAWS)]
    misses = [int(np.abs(np.bincount(draw) - sizes).sum()) for draw in draws]
    nearest = [draw for draw, miss in zip(draws, misses, strict=True) if miss == min(misses)]
    best = min(nearest, key=lambda draw: _group_difference(draw, volumes))
    return {
        name: [case_id for case_id, own in zip(case_ids, best, strict=True) if own == group]
        for group, name in enumerate(_PAPER_SCANS)
    }


def check_folds(n_patients: int, n_folds: int) -> None:
    """Raise ``ValueError`` unless ``n_patients`` can be dealt into ``n_folds``."""
    if n_folds < 2:
        raise ValueError(f"--folds {n_folds}: expected at least 2")
    if n_patients < 2:
        raise ValueError(f"{n_patients} training patient, folds need at least 2")
    if n_patients < n_folds:
        raise ValueError(
            f"{n_patients} training patients cannot fill {n_folds} folds; "
            f"use --folds {n_patients} or fewer"
        )


def _deal(order: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """One random deal: the fold of each patient."""
    folds = np.empty(order.size, dtype=int)
    for first in range(0, order.size, n_folds):
        block = order[first : first + n_folds]
        folds[block] = rng.permutation(n_folds)[: block.size]
    return folds


def _unevenness(
    folds: np.ndarray, n_scans: np.ndarray, volumes: np.ndarray, *, n_folds: int
) -> float:
    """How uneven folds are: the ranges of scan count and lesion volume, relative to their means."""
    total = 0.0
    for weights in (n_scans, volumes):
        sums = np.bincount(folds, weights=weights, minlength=n_folds)
        total += float(np.ptp(sums) / sums.mean()) if sums.any() else 0.0
    return total


def _paper_sizes(n_scans: int) -> np.ndarray:
    """Scans for training, validation and test."""
    share = n_scans / sum(_PAPER_SCANS.values())
    n_val, n_test = (max(1, round(share * _PAPER_SCANS[name])) for name in ("val", "test"))
    return np.array([n_scans - n_val - n_test, n_val, n_test])


def _draw_groups(n_scans: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One random draw: the group of each patient, 0 training, 1 validation, 2 test.

    First validation, then test takes patients in random order, as long as that brings the group
    closer to its size; the others train. One patient is kept for each group that is still empty.
    """
    groups = np.zeros(n_scans.size, dtype=int)
    order = rng.permutation(n_scans.size)
    for group in (1, 2):
        filled = 0
        for patient in order[groups[order] == 0]:
            left = np.count_nonzero(groups == 0)
            closer = abs(filled + n_scans[patient] - sizes[group]) < abs(filled - sizes[group])
            if left > len(sizes) - group and (closer or not filled):
                groups[patient] = group
                filled += n_scans[patient]
    return groups


def _group_difference(groups: np.ndarray, volumes: np.ndarray) -> float:
    """How far the groups are from all scans, in shares of the size classes and in mean volume."""
    classes = np.digitize(volumes, _SIZE_CLASSES_ML)
    shares = np.bincount(classes, minlength=3) / classes.size
    difference = 0.0
    for group in range(groups.max() + 1):
        own = groups == group
        own_shares = np.bincount(classes[own], minlength=3) / own.sum()
        difference += float(np.abs(own_shares - shares).sum())
        if volumes.any():
            difference += abs(float(volumes[own].mean() / volumes.mean()) - 1)
    return difference
