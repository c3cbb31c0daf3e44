import json

import numpy as np
import pytest

from nnunetv2_strokesynth.dataset_conversion.Dataset018_ISLES2018 import PATIENTS_FILE
from nnunetv2_strokesynth.dataset_conversion.splits import (
    nnunet_splits,
    paper_split,
    patient_folds,
)


def challenge_like(n_patients=63, seed=0):
    """Lesion volumes and patients: every other patient has two scans."""
    rng = np.random.default_rng(seed)
    volumes, patients = {}, {}
    for patient in range(n_patients):
        for _ in range(1 + patient % 2):
            case_id = f"case_{len(volumes) + 1:03d}"
            volumes[case_id] = float(rng.gamma(0.7, 40))
            patients[case_id] = f"p{patient}"
    return volumes, patients


def test_a_patient_is_in_one_fold_and_every_case_validated_once():
    volumes, patients = challenge_like()
    folds = patient_folds(volumes, patients, 5, seed=12345)
    assert folds.keys() == volumes.keys()
    for patient in set(patients.values()):
        assert len({folds[case_id] for case_id in patients if patients[case_id] == patient}) == 1
    splits = nnunet_splits(folds, 5)
    assert sorted(case_id for split in splits for case_id in split["val"]) == sorted(volumes)
    for split in splits:
        assert sorted(split["train"] + split["val"]) == sorted(volumes)
        held_out = {patients[case_id] for case_id in split["val"]}
        assert held_out.isdisjoint(patients[case_id] for case_id in split["train"])


@pytest.mark.parametrize("seed", range(5))
def test_folds_are_balanced(seed):
    """Against random patient folds of the same data: at most half their range of lesion volume."""
    volumes, patients = challenge_like(seed=seed)
    folds = patient_folds(volumes, patients, 5, seed=seed)
    sizes = np.bincount(list(folds.values()))
    assert np.ptp(sizes) <= 3
    sums = np.bincount(list(folds.values()), weights=list(volumes[c] for c in folds))
    rng = np.random.default_rng(seed)
    names = sorted(set(patients.values()))
    ranges = []
    for _ in range(50):
        random_fold = dict(zip(names, rng.permutation(len(names)) % 5, strict=True))
        member = [random_fold[patients[c]] for c in volumes]
        ranges.append(np.ptp(np.bincount(member, weights=list(volumes.values()))))
    assert np.ptp(sums) < 0.5 * np.median(ranges)


def test_every_fold_gets_a_large_lesion():
    volumes = {f"case_{i:03d}": 100.0 if i < 5 else 1.0 for i in range(25)}
    folds = patient_folds(volumes, {c: c for c in volumes}, 5, seed=1)
    assert sorted(folds[f"case_{i:03d}"] for i in range(5)) == [0, 1, 2, 3, 4]


def test_seed_decides():
    volumes, patients = challenge_like()
    first = patient_folds(volumes, patients, 5, seed=1)
    assert first == patient_folds(dict(reversed(volumes.items())), patients, 5, seed=1)
    assert first != patient_folds(volumes, patients, 5, seed=2)


def test_no_lesion_anywhere_still_splits():
    volumes = dict.fromkeys((f"case_{i:03d}" for i in range(6)), 0.0)
    folds = patient_folds(volumes, {c: c for c in volumes}, 3, seed=0)
    assert np.bincount(list(folds.values())).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    ("n_patients", "n_folds", "message"),
    [
        (3, 5, "use --folds 3"),
        (4, 1, "at least 2"),
        (1, 2, "need at least 2"),
        (4, 0, "at least 2"),
    ],
)
def test_impossible_folds(n_patients, n_folds, message):
    volumes = {f"case_{i:03d}": 1.0 for i in range(n_patients)}
    with pytest.raises(ValueError, match=message):
        patient_folds(volumes, {c: c for c in volumes}, n_folds, seed=0)


def isles2018(seed):
    """The challenge's 94 training scans of 63 patients, with drawn lesion volumes."""
    patients = json.loads(PATIENTS_FILE.read_text())["train"]
    rng = np.random.default_rng(seed)
    return {case_id: float(rng.gamma(0.7, 40)) for case_id in patients}, patients


def assert_patients_are_apart(split, patients):
    owners = [patients[case_id] for case_ids in split.values() for case_id in set(case_ids)]
    per_group = [{patients[case_id] for case_id in case_ids} for case_ids in split.values()]
    assert all(per_group) and sum(map(len, per_group)) == len(set(owners))


@pytest.mark.parametrize("seed", range(5))
def test_paper_split_of_the_challenge(seed):
    """65, 6 and 23 scans as in Wang et al. 2020, the groups alike in lesion volume."""
    volumes, patients = isles2018(seed)
    split = paper_split(volumes, patients, seed)
    assert {name: len(case_ids) for name, case_ids in split.items()} == {
        "train": 65,
        "val": 6,
        "test": 23,
    }
    assert sorted(sum(split.values(), [])) == sorted(volumes)
    assert_patients_are_apart(split, patients)
    mean = np.mean(list(volumes.values()))
    large = np.mean([volume > 50 for volume in volumes.values()])
    for case_ids in split.values():
        own = np.array([volumes[case_id] for case_id in case_ids])
        assert own.mean() == pytest.approx(mean, rel=0.2)
        assert (own > 50).mean() == pytest.approx(large, abs=0.1)


def test_paper_split_depends_on_the_seed_alone():
    volumes, patients = isles2018(0)
    first = paper_split(volumes, patients, 1)
    assert first == paper_split(dict(reversed(volumes.items())), patients, 1)
    assert first != paper_split(volumes, patients, 2)


@pytest.mark.parametrize(
    ("scans_of_patients", "sizes"),
    [
        ([1, 1, 1], (1, 1, 1)),
        ([1] * 10, (7, 1, 2)),
        ([1] * 47, (32, 3, 12)),
        ([2] * 47, (66, 6, 22)),  # 23 cannot be reached
        ([2] * 5, (6, 2, 2)),
        ([10, 1, 1], (10, 1, 1)),
        ([1, 1, 1, 9], (9, 1, 2)),
    ],
)
def test_paper_split_of_other_numbers(scans_of_patients, sizes):
    patients = {
        f"case_{patient}{scan}": str(patient)
        for patient, n_scans in enumerate(scans_of_patients)
        for scan in range(n_scans)
    }
    for volume in (0.0, 20.0):
        split = paper_split(dict.fromkeys(patients, volume), patients, 0)
        assert_patients_are_apart(split, patients)
        assert tuple(len(case_ids) for case_ids in split.values()) == sizes


def test_paper_split_needs_three_patients():
    volumes = {"case_001": 1.0, "case_002": 2.0, "case_003": 3.0}
    assert paper_split(volumes, {"case_001": "a", "case_002": "a", "case_003": "b"}, 0) == {}
