"""Where the patients come from: sidecars, a file, the built-in map, or nowhere."""

import json
import logging
from collections import Counter
from pathlib import Path

import pytest

from nnunetv2_strokesynth.dataset_conversion.Dataset018_ISLES2018 import (
    PATIENTS_FILE,
    find_scans,
)
from nnunetv2_strokesynth.dataset_conversion.patients import (
    assign_patients,
    read_patients_file,
)
from nnunetv2_strokesynth.dataset_conversion.scans import Scan


def assign(scans, patients_file=None):
    return assign_patients(find_scans(scans.root)[0], patients_file, PATIENTS_FILE)


def bare(n_train, n_test=0):
    """Scans without files."""
    names = [("case", "train")] * n_train + [("test", "test")] * n_test
    counts = Counter()
    found = []
    for prefix, split in names:
        counts[split] += 1
        case_id, files = f"{prefix}_{counts[split]:03d}", {"CT": Path("absent.nii")}
        found.append(Scan(case_id, split, "x", files, reference="CT", required=("CT",)))
    return found


def test_sidecars(scans, caplog):
    caplog.set_level(logging.INFO)
    scans.add(1, sidecar="Train_01_A").add(2, sidecar="Train_01_B").add(3, sidecar="Train_02_A")
    scans.add(1, "TESTING", sidecar="Test_01_A")
    assert assign(scans) == {
        "case_001": "train_01",
        "case_002": "train_01",
        "case_003": "train_02",
        "test_001": "test_01",
    }
    assert "from their JSON sidecars" in caplog.text


def test_sidecars_of_some_cases_only_are_not_used(scans, caplog, tmp_path):
    scans.add(1, sidecar="Train_01_A").add(2)
    assert assign(scans) == {"case_001": "case_001", "case_002": "case_002"}
    assert "only 1 of 2 training scans have a JSON sidecar" in caplog.text
    assert "give --patients FILE" in caplog.text
    file = tmp_path / "patients.json"
    file.write_text('{"case_1": 7, "case_2": 7}')
    assert assign(scans, file) == {"case_001": "train_07", "case_002": "train_07"}


@pytest.mark.parametrize("content", ["{", "[]", '{"description": 3}', '{"description": "CT"}'])
def test_sidecars_that_say_nothing(scans, content):
    scans.add(1, sidecar="Train_01_A").add(2, sidecar="Train_01_B")
    for path in (scans.root / "TRAINING" / "case_2").rglob("*.json"):
        path.write_text(content)
    assert assign(scans) == {"case_001": "case_001", "case_002": "case_002"}


def test_corrupt_sidecars_are_named(scans, caplog):
    scans.add(1, sidecar="Train_01_A")
    sidecar = scans.path(1, "CT").with_suffix(".json")
    sidecar.write_bytes(b"\xff\xfe{")
    assert assign(scans) == {"case_001": "train_01"}
    assert f"{sidecar}: unreadable sidecar" in caplog.text


def test_sidecars_that_disagree_within_a_case(scans, caplog):
    scans.add(1, sidecar="Train_01_A")
    scans.path(1, "CT").with_suffix(".json").write_text('{"description": "Train_02_A - CT"}')
    assert assign(scans) == {"case_001": "case_001"}
    assert "sidecars name the patients ['01', '02']" in caplog.text


def test_built_in_map(caplog):
    caplog.set_level(logging.INFO)
    patients = assign_patients(bare(94, 62), None, PATIENTS_FILE)
    train = Counter(v for k, v in patients.items() if k.startswith("case"))
    test = Counter(v for k, v in patients.items() if k.startswith("test"))
    assert len(train) == 63 and len(test) == 40 and not train.keys() & test.keys()
    assert patients["case_001"] == patients["case_002"] != patients["case_003"]
    singles = {*range(9, 18), 20, 25, 30, 31, 38, 61, 74, 77, *range(80, 95)}
    alone = {n for n in range(1, 95) if train[patients[f"case_{n:03d}"]] == 1}
    assert alone == singles
    assert "built-in map" in caplog.text


@pytest.mark.parametrize("n_train", [93, 95])
def test_built_in_map_is_for_94_cases_only(n_train, caplog):
    patients = assign_patients(bare(n_train), None, PATIENTS_FILE)
    assert len(set(patients.values())) == n_train
    assert "unknown" in caplog.text


def test_file_wins_over_the_built_in_map(tmp_path):
    file = tmp_path / "p.json"
    file.write_text(json.dumps({f"case_{n}": "everybody" for n in range(1, 95)}))
    assert set(assign_patients(bare(94), file, PATIENTS_FILE).values()) == {"train_everybody"}


def test_forms_of_the_file(tmp_path):
    expected = {"case_001": "01", "case_012": "anna", "test_003": "02"}
    forms = {
        "flat.json": '{"case_1": 1, "case_012": "anna", "test_3": "2"}',
        "nested.json": '{"source": "me", "train": {"case_1": 1, "case_12": "anna"}, '
        '"test": {"case_3": 2}}',
        "table.csv": "case,patient\ncase_1,1\ncase_12,anna\ntest_3,2\n",
        "excel.csv": "\ufeffpatient,case,note\r\n1,case_1,\r\nanna,case_12,x\r\n2,test_3,\r\n",
    }
    for name, text in forms.items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        assert read_patients_file(tmp_path / name) == expected, name


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.json", "{", "neither a .csv file nor valid JSON"),
        ("p.json", "[1, 2]", "found list"),
        ("p.json", '{"scan 1": 1}', "case 'scan 1', expected a name like case_1"),
        ("p.json", '{"case_1": [1]}', r"case_1 has the patient \[1\]"),
        ("p.json", '{"case_1": 1, "case_001": 2}', "case_001 is listed twice"),
        ("p.csv", "scan;patient\n1;1\n", "expected case,patient"),
        ("p.csv", "", "columns none"),
        ("p.csv", "case,patient\ncase_1\n", "case_1 has the patient None"),
        ("p.csv", "case,patient\ncase_1,\n", "case_1 has the patient ''"),
    ],
)
def test_malformed_files(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_patients_file(tmp_path / name)


def test_file_must_list_every_training_scan(tmp_path):
    file = tmp_path / "p.json"
    file.write_text('{"case_1": 1}')
    with pytest.raises(ValueError, match="no patient for 2 training scans, case_002, case_003"):
        assign_patients(bare(3, 2), file, PATIENTS_FILE)
