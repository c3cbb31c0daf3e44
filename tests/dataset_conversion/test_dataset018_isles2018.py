"""Finding ISLES 2018 scans on disk: naming generations, letter case, archive litter, duplicates."""

import shutil

import numpy as np
import pytest

from nnunetv2_strokesynth.dataset_conversion.Dataset018_ISLES2018 import find_scans

ALL = {"CT", "4DPWI", "CBF", "CBV", "MTT", "Tmax", "OT"}


@pytest.mark.parametrize(("prefix", "dwi"), [("CT_", False), ("MR_", True), ("MR_", False)])
def test_both_naming_generations(scans, prefix, dwi):
    scans.add(1, prefix=prefix, dwi=dwi)
    (scan,), problems = find_scans(scans.root)
    assert problems == []
    assert scan.case_id == "case_001" and scan.split == "train"
    assert scan.source == "TRAINING/case_1"
    assert scan.files.keys() == (ALL | {"DWI"} if dwi else ALL)
    for modality, path in scan.files.items():
        assert path == scans.path(1, modality)


def test_one_case_may_mix_both_generations(scans):
    scans.add(18)
    scans.remove(18, "Tmax")
    scans.write(18, "MR_Tmax", np.zeros((18, 16, 2)))
    (scan,), problems = find_scans(scans.root)
    assert problems == [] and scan.files.keys() == ALL
    assert "MR_Tmax" in scan.files["Tmax"].name


def test_training_before_testing_in_the_order_of_numbers(scans):
    for number in (10, 2, 1):
        scans.add(number)
    scans.add(3, "TESTING")
    found, _ = find_scans(scans.root)
    assert [scan.case_id for scan in found] == ["case_001", "case_002", "case_010", "test_003"]
    assert [scan.split for scan in found] == ["train"] * 3 + ["test"]


@pytest.mark.parametrize("name", ["TRAINING", "training", "Training"])
def test_letter_case_of_the_folder(scans, name):
    scans.add(1, name)
    assert [scan.case_id for scan in find_scans(scans.root)[0]] == ["case_001"]


def test_the_training_or_testing_folder_itself(scans):
    scans.add(1).add(1, "TESTING")
    assert [s.case_id for s in find_scans(scans.root / "TRAINING")[0]] == ["case_001"]
    assert [s.case_id for s in find_scans(scans.root / "TESTING")[0]] == ["test_001"]


def test_one_folder_further_down(scans):
    scans.add(1)
    assert [s.case_id for s in find_scans(scans.root.parent)[0]] == ["case_001"]


def test_archive_litter_is_ignored(scans):
    scans.add(1)
    ct = scans.path(1, "CT")
    ct.with_name(f"._{ct.name}").write_bytes(b"\0" * 100)
    (scans.root / "TRAINING" / ".DS_Store").write_bytes(b"\0")
    shutil.copytree(scans.root / "TRAINING", scans.root / "__MACOSX" / "TRAINING")
    found, problems = find_scans(scans.root)
    assert problems == [] and len(found) == 1
    assert found[0].files["CT"] == ct


def test_other_modalities_are_left_alone(scans):
    scans.add(1)
    scans.write(1, "MR_ADC", np.zeros((18, 16, 2)))
    scans.write(1, "CTA", np.zeros((18, 16, 2)))
    (scan,), problems = find_scans(scans.root)
    assert problems == [] and scan.files.keys() == ALL


def test_two_files_of_one_modality(scans):
    scans.add(1)
    scans.write(1, "CT_CBF", np.zeros((18, 16, 2)))
    _, (problem,) = find_scans(scans.root)
    assert problem.startswith("case_001 (TRAINING/case_1): two files for CBF: ")


def test_two_folders_of_one_number(scans):
    scans.add(1).add("01")
    found, (problem,) = find_scans(scans.root)
    assert found == [] and problem.startswith("case 1 is there twice")


def test_nothing_to_find(scans, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        find_scans(tmp_path / "absent")
    (scans.root / "photos").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=r"neither TRAINING nor TESTING.*found photos"):
        find_scans(scans.root)
    (scans.root / "TRAINING").mkdir()
    with pytest.raises(ValueError, match="TRAINING: no folder case_1"):
        find_scans(scans.root)


def test_two_training_folders(scans):
    scans.add(1).add(1, "train")
    with pytest.raises(ValueError, match="two train folders"):
        find_scans(scans.root)
