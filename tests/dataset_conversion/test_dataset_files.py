"""The data set as a whole: its files, resuming, overwriting, determinism."""

import csv
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.channels import PRESETS
from nnunetv2_strokesynth.cli import main


@pytest.fixture
def convert(scans, nnunet_raw):
    """Runs the command with one worker and two folds; returns the data set's folder."""

    def run(*options):
        arguments = [str(scans.root), "--folds", "2", "--workers", "1", *options]
        assert main(["convert", "isles2018", *arguments]) == 0
        return nnunet_raw / "Dataset018_ISLES2018"

    return run


@pytest.fixture
def three_patients(scans):
    for number, label in ((1, "01_A"), (2, "01_B"), (3, "02_A"), (4, "03_A")):
        scans.add(number, dwi=number == 2, sidecar=f"Train_{label}", lesion=number + 1)
    return scans.add(1, "TESTING", sidecar="Test_01_A")


def contents(folder):
    """Relative path -> bytes of every file."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_files_of_the_data_set(three_patients, convert):
    folder = convert()
    images = [f"imagesTr/case_{n:03d}_{c:04d}.nii.gz" for n in range(1, 5) for c in range(12)]
    images += [f"imagesTs/test_001_{c:04d}.nii.gz" for c in range(12)]
    labels = [f"labelsTr/case_{n:03d}.nii.gz" for n in range(1, 5)]
    records = [f"conversion/{name}.json" for name in ("settings", "test_001")]
    records += [f"conversion/case_{n:03d}.json" for n in range(1, 5)]
    others = ["dataset.json", "splits_final.json", "conversion_report.csv"]
    others.append("targetsTr/case_002.nii.gz")
    assert sorted(contents(folder)) == sorted([*images, *labels, *records, *others])
    description = json.loads((folder / "dataset.json").read_text())
    assert description["channel_names"] == PRESETS["wang2020"].channel_names
    assert description["labels"] == {"background": 0, "lesion": 1}
    assert description["numTraining"] == 4 and description["file_ending"] == ".nii.gz"
    assert description["preset"] == "wang2020" and description["brain_mask"] is True
    assert {"name", "licence", "reference", "description", "release"} <= description.keys()


def test_splits_keep_patients_together(three_patients, convert):
    splits = json.loads((convert() / "splits_final.json").read_text())
    assert len(splits) == 3
    for split in splits[:2]:
        assert split.keys() == {"train", "val"}
        assert sorted(split["train"] + split["val"]) == [f"case_{n:03d}" for n in range(1, 5)]
        assert ("case_001" in split["val"]) == ("case_002" in split["val"])


def test_the_paper_s_split_is_one_more_fold(three_patients, convert, caplog):
    caplog.set_level("INFO")
    folder = convert()
    paper = json.loads((folder / "splits_final.json").read_text())[2]
    assert list(paper) == ["train", "val", "test"]
    assert sorted(sum(paper.values(), [])) == [f"case_{n:03d}" for n in range(1, 5)]
    assert any({"case_001", "case_002"} <= set(case_ids) for case_ids in paper.values())
    assert "fold 2 is a split like Wang et al. 2020's: 2 training, 1 validation, 1 test" in (
        caplog.text
    )
    with open(folder / "conversion_report.csv", newline="") as file:
        column = {row["case_id"]: row["paper_split"] for row in csv.DictReader(file)}
    assert column.pop("test_001") == ""
    assert all(case_id in paper[group] for case_id, group in column.items())


def test_nnunet_trains_the_paper_s_split(three_patients, convert, nnunet_raw):
    """nnU-Net's own copy of the file and its own choice of cases."""
    planner = pytest.importorskip(
        "nnunetv2.experiment_planning.experiment_planners.default_experiment_planner"
    )
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    source = convert() / "splits_final.json"
    target = nnunet_raw.parent / "nnUNet_preprocessed" / "splits_final.json"
    for _ in range(2):  # the second call compares the copy
        planner._maybe_copy_splits_file(str(source), str(target))
    trainer = SimpleNamespace(
        dataset_class=lambda *args, **options: None,
        preprocessed_dataset_folder_base=str(target.parent),
        preprocessed_dataset_folder="",
        folder_with_segs_from_previous_stage=None,
        fold=2,
        print_to_log_file=lambda *lines: None,
    )
    paper = json.loads(source.read_text())[2]
    assert nnUNetTrainer.do_split(trainer) == (paper["train"], paper["val"])


def test_two_patients_have_no_paper_s_split(scans, convert, caplog):
    caplog.set_level("INFO")
    scans.add(1).add(2)
    assert len(json.loads((convert() / "splits_final.json").read_text())) == 2
    assert "Wang" not in caplog.text


def test_real_dwi_has_the_same_folds(scans, convert, nnunet_raw):
    for number in range(1, 7):
        scans.add(number, dwi=True, sidecar=f"Train_{(number + 1) // 2:02d}_A", lesion=number)
    scans.add(1, "TESTING")
    other = convert()
    convert("--preset", "real_dwi", "-d", "19", "--name", "ISLES2018_DWI")
    folder = nnunet_raw / "Dataset019_ISLES2018_DWI"
    name = "splits_final.json"
    assert (folder / name).read_bytes() == (other / name).read_bytes()
    description = json.loads((folder / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "DWI"} and description["numTraining"] == 6
    assert description["preset"] == "real_dwi"
    assert not (folder / "targetsTr").exists() and not (folder / "imagesTs").exists()
    assert len(list((folder / "imagesTr").iterdir())) == 6
    before = contents(folder)
    convert("--preset", "real_dwi", "-d", "19", "--name", "ISLES2018_DWI")
    assert contents(folder) == before


def test_real_dwi_leaves_out_scans_without_one(scans, convert, caplog):
    for number in range(1, 11):
        scans.add(number, dwi=number > 6, sidecar=f"Train_{number:02d}_A")
    scans.add(1, "TESTING").add(2, "TESTING")
    scans.write(2, "MR_DWI", scans.arrays(2)["DWI"], split="TESTING")
    folder = convert("--preset", "real_dwi")
    assert (
        "6 of 10 training scans have no DWI and are left out: "
        "case_001, case_002, case_003, case_004, case_005 and 1 more"
    ) in caplog.text
    assert "1 of 2 testing scans have no DWI and are left out: test_001" in caplog.text
    with open(folder / "conversion_report.csv", newline="") as file:
        rows = {row["case_id"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["case_007", "case_008", "case_009", "case_010", "test_002"]
    assert {row["dwi_present"] for row in rows.values()} == {"yes"}
    assert rows["case_009"]["patient"] == "train_09"
    images = sorted(path.name for path in folder.glob("images*/*"))
    assert images == [f"{case_id}_0000.nii.gz" for case_id in rows]
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 4


def test_real_dwi_knows_the_challenge_s_patients(scans, convert):
    """The built-in map holds for the 94 scans, however few of them have a DWI."""
    for number in range(1, 95):
        scans.add(number, dwi=number < 5)
    folder = convert("--preset", "real_dwi")
    with open(folder / "conversion_report.csv", newline="") as file:
        patients = {row["case_id"]: row["patient"] for row in csv.DictReader(file)}
    assert patients == {
        "case_001": "train_01",
        "case_002": "train_01",
        "case_003": "train_02",
        "case_004": "train_02",
    }


def test_report(three_patients, convert):
    folder = convert()
    with open(folder / "conversion_report.csv", newline="") as file:
        rows = {row["case_id"]: row for row in csv.DictReader(file)}
    splits = json.loads((folder / "splits_final.json").read_text())
    row = rows["case_002"]
    assert row["source"] == "TRAINING/case_2" and row["patient"] == "train_01"
    assert (row["split"], row["shape_zyx"], row["n_frames"]) == ("train", "2x16x18", "14")
    assert row["spacing_zyx_mm"] == "10x8x9" and row["window_rule"] == "raw"
    assert row["dwi_present"] == "yes" and rows["case_001"]["dwi_present"] == "no"
    assert float(row["lesion_volume_ml"]) == pytest.approx(9 * 0.72, abs=1e-3)
    assert "case_002" in splits[int(row["fold"])]["val"]
    test_row = rows["test_001"]
    assert test_row["patient"] == "test_01" and test_row["split"] == "test"
    assert test_row["fold"] == test_row["lesion_volume_ml"] == ""


def test_nnunet_accepts_the_data_set(three_patients, convert):
    """What ``nnUNetv2_plan_and_preprocess --verify_dataset_integrity`` checks, in this process."""
    integrity = pytest.importorskip("nnunetv2.experiment_planning.verify_dataset_integrity")
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    folder = convert()
    cases = get_filenames_of_train_images_and_targets(str(folder))
    assert sorted(cases) == [f"case_{n:03d}" for n in range(1, 5)]
    for case in cases.values():
        assert integrity.verify_labels(case["label"], SimpleITKIO, [0, 1])
        assert integrity.check_cases(case["images"], case["label"], 12, SimpleITKIO)


def test_two_runs_and_two_workers_write_the_same_bytes(three_patients, convert, nnunet_raw):
    first = contents(convert("--plots"))
    (nnunet_raw / "Dataset018_ISLES2018").rename(nnunet_raw / "moved")
    assert contents(convert("--plots", "--workers", "2")) == first
    assert [name for name in first if name.startswith("curves/")] != []


def test_a_complete_data_set_is_left_alone(three_patients, convert, caplog):
    caplog.set_level("INFO")
    folder = convert()
    before = {p: p.stat().st_mtime_ns for p in (folder / "imagesTr").iterdir()}
    caplog.clear()
    convert()
    assert "all 5 cases are up to date" in caplog.text
    assert before == {p: p.stat().st_mtime_ns for p in (folder / "imagesTr").iterdir()}


def test_only_what_is_missing_or_changed_is_done_again(three_patients, convert, caplog):
    caplog.set_level("INFO")
    folder = convert()
    reference = contents(folder)
    times = {p: p.stat().st_mtime_ns for p in (folder / "labelsTr").iterdir()}
    (folder / "imagesTr" / "case_001_0003.nii.gz").unlink()
    (folder / "conversion" / "case_003.json").write_text("{")
    (folder / "imagesTr" / ".tmp-0123-case_001_0003.nii.gz").write_bytes(b"half")
    convert()
    assert "3 of 5 cases were up to date" in caplog.text
    assert contents(folder) == reference
    redone = {p.name for p, time in times.items() if p.stat().st_mtime_ns != time}
    assert redone == {"case_001.nii.gz", "case_003.nii.gz"}


def test_a_changed_scan_is_converted_again(three_patients, convert):
    folder = convert()
    arrays = three_patients.arrays(3)
    three_patients.replace(3, "CT", arrays["CT"] + 7)
    convert()
    ct = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "imagesTr/case_003_0000.nii.gz")))
    inside = ct != 0
    np.testing.assert_array_equal(ct[inside], (arrays["CT"] + 7).T[inside])


def test_other_settings_need_overwrite(three_patients, convert, scans, nnunet_raw, capsys):
    folder = convert()
    before = contents(folder)
    for options in (["--preset", "song2018"], ["--no-brain-mask"], ["--seed", "1"]):
        assert main(["convert", "isles2018", str(scans.root), "--folds", "2", *options]) == 2
        assert "other settings" in capsys.readouterr().err
    assert contents(folder) == before
    convert("--preset", "song2018", "--overwrite")
    assert len(json.loads((folder / "dataset.json").read_text())["channel_names"]) == 18
    assert len(list((folder / "imagesTr").iterdir())) == 4 * 18


def test_a_scan_that_is_gone_needs_overwrite(three_patients, convert, scans, capsys):
    convert()
    (scans.root / "TRAINING" / "case_4").rename(scans.root.parent / "case_4")
    assert main(["convert", "isles2018", str(scans.root), "--folds", "2"]) == 2
    error = capsys.readouterr().err
    assert "1 cases that are not among the scans, case_004" in error
    assert "nnUNet_preprocessed/Dataset018_ISLES2018" in error


def test_a_withdrawn_scan_leaves_nothing_in_the_data_set(three_patients, convert, scans):
    folder = convert("--plots")
    shutil.rmtree(scans.root / "TRAINING" / "case_4")
    convert("--plots", "--overwrite")
    assert not [name for name in contents(folder) if "case_004" in name]
    for name in ("splits_final.json", "conversion_report.csv"):
        assert "case_004" not in (folder / name).read_text()
    assert len(list((folder / "labelsTr").iterdir())) == 3


def test_what_was_planned_before_a_withdrawal_is_named(
    three_patients, convert, scans, tmp_path, monkeypatch, caplog
):
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "preprocessed"))
    folder = convert()
    planned = tmp_path / "preprocessed" / folder.name
    (planned / "nnUNetPlans_2d").mkdir(parents=True)
    for number in range(1, 5):
        (planned / "nnUNetPlans_2d" / f"case_{number:03d}.pkl").touch()
    splits = json.loads((folder / "splits_final.json").read_text())
    for split in splits:  # nnU-Net compares sets, and its copy may have more folds
        split["train"].reverse()
    (planned / "splits_final.json").write_text(json.dumps([*splits, splits[0]]))
    convert()
    assert str(planned) not in caplog.text

    shutil.rmtree(scans.root / "TRAINING" / "case_4")
    convert("--overwrite")
    assert f"{planned} still holds 1 cases that the data set no longer has, case_004" in caplog.text
    assert f"{planned / 'splits_final.json'} has other folds" in caplog.text
    assert f"delete {planned}, then plan and preprocess again" in caplog.text
    assert len(list((planned / "nnUNetPlans_2d").iterdir())) == 4


def test_changed_patients_change_the_splits_with_a_warning(scans, convert, tmp_path, caplog):
    for number in range(1, 5):
        scans.add(number, lesion=number)
    convert()
    (tmp_path / "p.json").write_text('{"case_1": 1, "case_2": 1, "case_3": 2, "case_4": 2}')
    splits = json.loads(
        (convert("--patients", str(tmp_path / "p.json")) / "splits_final.json").read_text()
    )
    assert sorted(split["val"] for split in splits) == [
        ["case_001", "case_002"],
        ["case_003", "case_004"],
    ]
    assert "delete its copy in nnUNet_preprocessed" in caplog.text


def test_testing_scans_alone(scans, convert, caplog):
    caplog.set_level("INFO")
    scans.add(1, "TESTING")
    folder = convert()
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 0
    assert not (folder / "splits_final.json").exists()
    assert "no training scans" in caplog.text


def test_paths_with_spaces_accents_and_links(three_patients, scans, nnunet_raw, tmp_path):
    odd = tmp_path / "Schlaganfälle 2018 (β)"
    scans.root.rename(odd)
    case = odd / "TRAINING" / "case_1"
    case.rename(tmp_path / "elsewhere")
    case.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    arguments = ["--folds", "2", "--workers", "1", "--name", "odd", "-d", "7"]
    assert main(["convert", "isles2018", str(odd), *arguments]) == 0
    assert (nnunet_raw / "Dataset007_odd" / "labelsTr" / "case_001.nii.gz").is_file()


def test_plots_show_each_case(three_patients, convert):
    folder = convert("--plots")
    plots = sorted(path.name for path in (folder / "curves").iterdir())
    of_cases = [*(f"case_{n:03d}.png" for n in range(1, 5)), "test_001.png"]
    assert plots == ["all_scans_1.png", *of_cases]
    assert all((folder / "curves" / name).stat().st_size > 5000 for name in plots)
