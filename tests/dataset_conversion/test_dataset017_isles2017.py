"""Finding ISLES 2017 scans on disk: names of folders and files, litter, duplicates."""

import shutil

import numpy as np
import pytest

from nnunetv2_strokesynth.dataset_conversion.Dataset017_ISLES2017 import (
    find_scans,
)

MAPS = ("ADC", "rCBF", "rCBV", "MTT", "TTP", "Tmax")


def ids(scans):
    return [scan.case_id for scan in scans]


def test_a_scan_has_its_maps_and_its_lesion(mri_scans):
    mri_scans.add(7)
    (scan,), problems = find_scans(mri_scans.root)
    assert problems == []
    assert (scan.case_id, scan.split, scan.source) == ("case_007", "train", "training/training_7")
    assert scan.files == {name: mri_scans.path(7, name) for name in (*MAPS, "OT")}
    assert scan.reference == "ADC" and set(scan.required) == set(MAPS)


def test_training_before_testing_in_the_order_of_numbers(mri_scans):
    for number in (48, 2, 10):
        mri_scans.add(number)
    mri_scans.add(2, "testing").add(1, "testing")
    found, _ = find_scans(mri_scans.root)
    assert ids(found) == ["case_002", "case_010", "case_048", "test_001", "test_002"]
    assert set(found[-1].files) == set(MAPS)


@pytest.mark.parametrize(
    ("training", "testing"),
    [("TRAINING", "TESTING"), ("Train", "test"), ("ISLES2017_Training", "ISLES2017_Testing")],
)
def test_names_of_the_split_folders(mri_scans, training, testing):
    mri_scans.add(1).add(1, "testing")
    (mri_scans.root / "training").rename(mri_scans.root / training)
    (mri_scans.root / "testing").rename(mri_scans.root / testing)
    assert ids(find_scans(mri_scans.root)[0]) == ["case_001", "test_001"]
    assert ids(find_scans(mri_scans.root.parent)[0]) == ["case_001", "test_001"]
    assert ids(find_scans(mri_scans.root / training)[0]) == ["case_001"]
    assert ids(find_scans(mri_scans.root / testing)[0]) == ["test_001"]


def test_archives_that_hold_the_split_folders(mri_scans):
    mri_scans.add(1).add(1, "testing")
    for archive, split in (("ISLES2017_Training", "training"), ("ISLES2017_Testing", "testing")):
        (mri_scans.root / archive).mkdir()
        (mri_scans.root / split).rename(mri_scans.root / archive / split)
    assert ids(find_scans(mri_scans.root)[0]) == ["case_001", "test_001"]


def test_both_splits_in_one_folder(mri_scans):
    mri_scans.add(1).add(1, "testing")
    for split in ("training", "testing"):
        (scan,) = (mri_scans.root / split).iterdir()
        scan.rename(mri_scans.root / scan.name.upper())
    found, _ = find_scans(mri_scans.root)
    assert [(scan.case_id, scan.source) for scan in found] == [
        ("case_001", "ISLES2017/TRAINING_1"),
        ("test_001", "ISLES2017/TEST_1"),
    ]


def test_litter_the_other_prefix_and_no_series(mri_scans):
    """Some of the release's files begin with SMIR."""
    mri_scans.add(1)
    for name in ("MTT", "4DPWI"):
        mri_scans.remove(1, name)
    mri_scans.write(1, "MR_MTT", mri_scans.arrays(1)["MTT"], prefix="SMIR")
    adc = mri_scans.path(1, "ADC")
    adc.with_name(f"._{adc.name}").write_bytes(b"\0" * 100)
    shutil.copytree(mri_scans.root / "training", mri_scans.root / "__MACOSX" / "training")
    (scan,), problems = find_scans(mri_scans.root)
    assert problems == [] and set(scan.files) == {*MAPS, "OT"}
    assert scan.files["ADC"] == adc and scan.files["MTT"].name.startswith("SMIR.")


def test_doubles(mri_scans):
    mri_scans.add(1).add("01").add(2)
    mri_scans.write(2, "MR_rCBF", np.zeros((18, 16, 2)))
    found, problems = find_scans(mri_scans.root)
    assert ids(found) == ["case_002"]
    assert problems[0].startswith("case 1 is there twice: ")
    assert problems[1].startswith("case_002 (training/training_2): two files for rCBF: ")


def test_nothing_to_find(mri_scans, scans):
    with pytest.raises(FileNotFoundError, match="no such folder; name the one that holds training"):
        find_scans(mri_scans.root)
    mri_scans.root.mkdir()
    with pytest.raises(FileNotFoundError, match="neither training nor testing nor training_1 in"):
        find_scans(mri_scans.root)
    scans.add(1)
    with pytest.raises(ValueError, match="TRAINING: no folder training_1, training_2, ... in it"):
        find_scans(scans.root)
