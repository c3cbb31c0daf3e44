"""Folds at patient level, balanced in lesion volume."""

from __future__ import annotations

import numpy as np

_DRAWS = 200


def patient_folds(
    lesion_volume_ml: dict[str, float], patients: dict[str, str], n_folds: int, seed: int
) -> dict[str, int]:
    """Assign every scan to the fold that validates on it.

    Patients are ranked by lesion volume (the sum over their scans) and dealt out in blocks of
    ``n_folds``, one to each fold at random, so that every fold gets small, medium and large
    lesions. Of 200 such deals the most even one in scans and in lesion volume is kept.

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
    """Range over the folds of scan count and lesion volume, each relative to its mean."""
    total = 0.0
    for weights in (n_scans, volumes):
        sums = np.bincount(folds, weights=weights, minlength=n_folds)
        total += float(np.ptp(sums) / sums.mean()) if sums.any() else 0.0
    return total
